"""The gather of everything but timings: cell files in, tidy tables out, which figures, report and readers use.

Timings stay apart (`cost_tables`): the tables written here are the same byte for byte from run to run.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from scorepath.intervals import (
    Estimate,
    bias_p_values,
    mean_estimates,
    positive_mean_estimates,
    quantile_limits,
    squared_norm_limits,
)
from scorepath.stages._measurements import Measured, Measurements, read_rows, with_policies
from scorepath.stages._summaries import regrets_table, wins_table
from scorepath.stages._training import CRITERIA, read_training, training_table
from scorepath.stages._verdicts import gradient_verdicts, training_verdicts
from scorepath.store.paths import curves_path, log_path
from scorepath.store.tables import COLUMNS, UNCERTIFIED, save
from scorepath.study.jobs import cell_job
from scorepath.verdicts import ratio

if TYPE_CHECKING:
    from scorepath.study.cells import Plan

SPREADS = ("error_spread", "error_along", "error_roundness")
"""The columns of a cell that say how its mean error spreads."""
ENDS = ("", "_low", "_high")


def tables(plan: Plan) -> None:
    """Gather cells and references into tables."""
    measurements, places = Measurements(plan), read_training(plan)
    by_error = pd.concat(
        [gradient_verdicts(measurements, criterion) for criterion in ("equal_samples", "equal_steps")],
        ignore_index=True,
    )
    made = {
        "cells": cells_table(plan),
        "references": references_table(measurements),
        "gradient_statistics": gradient_statistics_table(measurements),
        "training": training_table(places, plan.study.training.seeds),
        "verdicts": pd.concat(
            [by_error, *(training_verdicts(measurements, places, criterion) for criterion in CRITERIA)],
            ignore_index=True,
        ),
        "wins": wins_table(by_error, plan.study),
        "regrets": regrets_table(measurements, by_error),
        "exact_curves": exact_curves_table(plan),
    }
    for name, table in made.items():
        save(name, table)


def cells_table(plan: Plan) -> pd.DataFrame:
    """Every cell and its status, the ones that failed or are missing included."""
    rows = []
    for cell in plan.cells:
        status, reason, log, command = cell.status, cell.reason, "", ""
        if status == "run":
            log, command = str(log_path(cell.path)), cell_job(cell).command
            absent = next((path for path in cell.inputs if not path.exists()), None)
            if absent:
                status, reason = "missing", f"{absent} is missing: see {log_path(absent)}"
            elif not cell.path.exists():
                failed = Path(log).is_file()
                status = "failed" if failed else "missing"
                reason = f"its job failed: see {log}" if failed else "its job has not run"
        rows.append({
            "environment": cell.environment, "estimator": cell.estimator, "family": cell.family, "sigma": cell.sigma,
            "stage": cell.stage, "status": status, "reason": reason, "log": log, "command": command,
        })  # fmt: skip
    return pd.DataFrame(rows)


def references_table(measurements: Measurements) -> pd.DataFrame:
    """One row per environment, noise level and checkpoint."""
    rows = []
    for place, norm in measurements.norms.items():
        reference = measurements.references[place.environment, place.sigma]
        index = measurements.study.references.return_gaps.index(place.checkpoint)
        rows.append({
            "environment": place.environment, "sigma": float(place.sigma), "checkpoint": place.checkpoint,
            "reference_class": reference.reference_class if reference.certified[index] else UNCERTIFIED,
            "gradient_norm": norm, "standard_error": reference.standard_error[index],
            "samples": reference.samples, "certified_by": reference.certified_by[index],
            "noticeable_bias": reference.noticeable[index], "finding": reference.findings[index],
        })  # fmt: skip
    return pd.DataFrame(rows)


def gradient_statistics_table(measurements: Measurements) -> pd.DataFrame:
    """One row per measured cell and checkpoint; `_low` and `_high` are 95 % limits over batches."""
    settings = measurements.study.gradients
    budget = settings.batch_size
    found = measurements.gradients
    limits, p_values = _limits(measurements), _bias_p_values(measurements)
    rows = []
    for index, (cell, place, batches, components) in enumerate(found):
        reason = components.tail.unmeasurable
        variance = math.nan if reason else components.variances.mean()
        norm = measurements.norms[place]
        # against a reference that is not certified there is nothing to say about bias or direction
        directed = measurements.certified[place] and norm > 0
        squared_bias_used = np.maximum(0.0, float(components.biases.mean()))
        rows.append({
            "environment": cell.environment, "estimator": cell.estimator, "sigma": cell.sigma,
            "checkpoint": place.checkpoint, "samples": settings.samples, "batch_size": settings.batch_size,
            "environment_steps_per_sample": cell.steps,
            **{f"{name}{end}": part[index]
               for name, estimate in limits.items() for part, end in zip(estimate[:3], ENDS, strict=True)},
            "bias_p_value": p_values[index], "proved_unbiased": measurements.proved(cell),
            "not_measurable": reason, "dtype": f"float{batches['bits'][0]:.0f}",
            "tail_share": components.tail.share, "tail_index": components.tail.index,
            "largest_share": components.tail.largest,
            "nsr": ratio(variance, norm**2),
            "budget": budget,
            "mse_equal_samples": squared_bias_used + variance / budget,
            "mse_equal_steps": squared_bias_used + variance * found[index].steps / budget,
            "cosine_similarity": batches["cosine_similarity"].mean() if directed else math.nan,
            "nonfinite_fraction": batches["nonfinite_fraction"].mean(),
            "zero_fraction": batches["zero_fraction"].mean(),
            "float32_relative_error": batches["float32_relative_error"][0],
        })  # fmt: skip
    return pd.DataFrame(rows)


def exact_curves_table(plan: Plan) -> pd.DataFrame:
    """The curves of every environment, one after another."""
    paths = [curves_path(name) for name in with_policies(plan.study.environments)]
    parts = [read_rows(path, may_be_empty=True) for path in paths if path.exists()]
    parts = [part for part in parts if len(part)]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=COLUMNS["exact_curves"])


def _limits(measurements: Measurements) -> dict[str, Estimate]:
    """Every interval of the table at once, an array over its rows for each end."""
    found = measurements.gradients
    batches = measurements.study.gradients.batches
    judged = np.array([measurements.certified[measured.place] for measured in found], dtype=bool)
    columns = {
        name: np.reshape([measured.rows[name] for measured in found], (-1, batches))
        for name in ("squared_bias", "projection", *SPREADS)
    }
    square = columns["squared_bias"].mean(-1)
    spread, along, roundness = (columns[name][:, 0] for name in SPREADS)
    low, high = squared_norm_limits(square, spread, along, roundness, batches)
    return {
        # the estimate may come out below 0, where no square can lie
        "squared_bias": Estimate(*(np.where(judged, each.clip(0), math.nan) for each in (square, low, high, high))),
        "projection": mean_estimates(np.where(judged[:, None], columns["projection"], math.nan)),
        "variance": _variances(found, batches),
        **{
            f"squared_error_{name}": _squared_errors(found, judged, batches, level)
            for name, level in (("median", 0.5), ("90", 0.9))
        },
    }


def _bias_p_values(measurements: Measurements) -> np.ndarray:
    """Of every row of the table; nan against a reference that is not certified."""
    batches = measurements.study.gradients.batches
    rows = [
        (each.rows["squared_bias"].mean(), each.rows["error_spread"][0], each.rows["error_roundness"][0])
        if measurements.certified[each.place] else (math.nan,) * 3
        for each in measurements.gradients
    ]  # fmt: skip
    return bias_p_values(*np.reshape(rows, (-1, 3)).T, batches)


def _variances(found: list[Measured], batches: int) -> Estimate:
    """nan where the samples' tails allow no such number."""
    tails = [each.components.tail for each in found]
    values = np.reshape([each.components.variances for each in found], (-1, batches))
    measurable = np.array([not tail.unmeasurable for tail in tails], dtype=bool)
    unseen = np.array([tail.unseen if not tail.unmeasurable else 0.0 for tail in tails])
    return positive_mean_estimates(np.where(measurable[:, None], values, math.nan), unseen)


def _squared_errors(found: list[Measured], judged: np.ndarray, batches: int, level: float) -> Estimate:
    """A quantile over batches, with limits that hold whatever the tails."""
    errors = np.sort(np.reshape([each.rows["squared_error"] for each in found], (-1, batches)))
    value, low, high = (np.where(judged, each, math.nan) for each in quantile_limits(errors, level))
    return Estimate(value, low, high, high)
