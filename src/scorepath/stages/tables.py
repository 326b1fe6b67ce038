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
from scorepath.stages._measurements import Measured, Measurements, read_rows, with_equal_batches, with_policies
from scorepath.stages._summaries import regrets_table, wins_table
from scorepath.stages._training import CRITERIA, read_training, training_table
from scorepath.stages._verdicts import gradient_verdicts, training_verdicts
from scorepath.store.paths import curves_path, log_path
from scorepath.store.tables import COLUMNS, UNCERTIFIED, save
from scorepath.study.jobs import cell_job
from scorepath.tails import luck_of

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
            "samples": reference.samples, "estimated_by": reference.estimated_by[index],
            "certified_by": reference.certified_by[index], "noticeable_bias": reference.noticeable[index],
            "continuous": reference.continuous, "finding": reference.findings[index],
            "jump_share": reference.jump_shares[index],
        })  # fmt: skip
    return pd.DataFrame(rows)


def gradient_statistics_table(measurements: Measurements) -> pd.DataFrame:
    """One row per measured cell and checkpoint; `_low` and `_high` are 95 % limits over batches."""
    if not (found := measurements.gradients):
        return pd.DataFrame(columns=COLUMNS["gradient_statistics"])
    groups = with_equal_batches(found)
    parts = [_statistics(measurements, [found[index] for index in indices]).set_axis(indices) for indices in groups]
    return pd.concat(parts).sort_index()


def _statistics(measurements: Measurements, found: list[Measured]) -> pd.DataFrame:
    """The rows of cells with equally many batches."""
    budget = measurements.study.gradients.batch_size
    tails = [each.components.tail for each in found]
    reasons = [tail.unmeasurable for tail in tails]
    variances = np.array([each.components.variances for each in found]).mean(-1)
    variances = np.where([bool(reason) for reason in reasons], math.nan, variances)
    biases = np.maximum(0.0, np.array([each.components.biases for each in found]).mean(-1))
    steps = np.array([each.steps for each in found])
    norms = np.array([measurements.norms[each.place] for each in found])
    # against a reference that is not certified there is nothing to say about bias or direction
    directed = np.array([measurements.certified[each.place] for each in found], dtype=bool) & (norms > 0)
    squares = norms**2
    with np.errstate(divide="ignore", invalid="ignore"):
        noise_to_signal = variances / squares
    return pd.DataFrame({
        "environment": [each.cell.environment for each in found],
        "estimator": [each.cell.estimator for each in found],
        "sigma": [each.cell.sigma for each in found], "checkpoint": [each.place.checkpoint for each in found],
        "samples": found[0].batches * budget, "batch_size": budget,
        "environment_steps_per_sample": [each.cell.steps for each in found],
        **{f"{name}{end}": part
           for name, estimate in _limits(measurements, found).items()
           for part, end in zip(estimate[:3], ENDS, strict=True)},
        "bias_p_value": _bias_p_values(measurements, found),
        "proved_unbiased": [measurements.proved(each.cell) for each in found],
        "not_measurable": reasons, "dtype": [f"float{each.rows['bits'][0]:.0f}" for each in found],
        "tail_share": [tail.share for tail in tails], "tail_index": [tail.index for tail in tails],
        "largest_share": [tail.largest for tail in tails],
        "nsr": noise_to_signal, "budget": budget,
        "mse_equal_samples": biases + variances / budget, "mse_equal_steps": biases + variances * steps / budget,
        "cosine_similarity": np.where(directed, _columns(found, "cosine_similarity").mean(-1), math.nan),
        "nonfinite_fraction": _columns(found, "nonfinite_fraction").mean(-1),
        "zero_fraction": _columns(found, "zero_fraction").mean(-1),
        "float32_relative_error": _columns(found, "float32_relative_error")[:, 0],
    })  # fmt: skip


def exact_curves_table(plan: Plan) -> pd.DataFrame:
    """The curves of every environment, one after another."""
    paths = [curves_path(name) for name in with_policies(plan.study.environments)]
    parts = [read_rows(path, may_be_empty=True) for path in paths if path.exists()]
    parts = [part for part in parts if len(part)]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=COLUMNS["exact_curves"])


def _columns(found: list[Measured], name: str) -> np.ndarray:
    """(rows, batches)."""
    return np.array([each.rows[name] for each in found])


def _limits(measurements: Measurements, found: list[Measured]) -> dict[str, Estimate]:
    """Every interval of the rows at once, an array over them for each end."""
    judged = np.array([measurements.certified[measured.place] for measured in found], dtype=bool)
    columns = {name: _columns(found, name) for name in ("squared_bias", "projection", *SPREADS)}
    square = columns["squared_bias"].mean(-1)
    low, high = squared_norm_limits(columns["squared_bias"], *(columns[name][:, 0] for name in SPREADS))
    errors = np.sort(_columns(found, "squared_error"))
    return {
        # the estimate may come out below 0, where no square can lie
        "squared_bias": Estimate(*(np.where(judged, each.clip(0), math.nan) for each in (square, low, high, high))),
        "projection": mean_estimates(np.where(judged[:, None], columns["projection"], math.nan)),
        "variance": _variances(found),
        **{
            f"squared_error_{name}": _squared_errors(errors, judged, level)
            for name, level in (("median", 0.5), ("90", 0.9))
        },
    }


def _bias_p_values(measurements: Measurements, found: list[Measured]) -> np.ndarray:
    """Of every row; nan against a reference that is not certified."""
    certified = np.array([measurements.certified[each.place] for each in found], dtype=bool)
    square = _columns(found, "squared_bias").mean(-1)
    spread, roundness = (_columns(found, name)[:, 0] for name in ("error_spread", "error_roundness"))
    return bias_p_values(np.where(certified, square, math.nan), spread, roundness, found[0].batches)


def _variances(found: list[Measured]) -> Estimate:
    """nan where the samples' tails allow no such number."""
    tails = [each.components.tail for each in found]
    values = np.array([each.components.variances for each in found])
    measurable = np.array([not tail.unmeasurable for tail in tails], dtype=bool)
    unseen = np.array([tail.unseen if ok else 0.0 for tail, ok in zip(tails, measurable, strict=True)])
    return positive_mean_estimates(np.where(measurable[:, None], values, math.nan), unseen, luck_of(tails))


def _squared_errors(ordered: np.ndarray, judged: np.ndarray, level: float) -> Estimate:
    """A quantile over batches, in order, with limits that hold whatever the tails."""
    value, low, high = (np.where(judged, each, math.nan) for each in quantile_limits(ordered, level))
    return Estimate(value, low, high, high)
