"""The gather of everything but timings: cell files in, tidy tables out, which figures, report and readers use.

Timings stay apart (`cost_tables`): the tables written here are the same byte for byte from run to run.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from scorepath.stages._measurements import Measurements, read_rows, with_policies
from scorepath.stages._training import CRITERIA, read_training, training_table
from scorepath.stages._verdicts import gradient_verdicts, training_verdicts
from scorepath.statistics import intervals
from scorepath.store.paths import curves_path, log_path
from scorepath.store.tables import COLUMNS, UNCERTIFIED, save
from scorepath.study.jobs import cell_job
from scorepath.verdicts import ratio

if TYPE_CHECKING:
    from scorepath.study.cells import Plan


def tables(plan: Plan) -> None:
    """Gather cells and references into tables."""
    measurements, places = Measurements(plan), read_training(plan)
    made = {
        "cells": cells_table(plan),
        "references": references_table(measurements),
        "gradient_statistics": gradient_statistics_table(measurements),
        "training": training_table(places),
        "verdicts": pd.concat(
            [
                gradient_verdicts(measurements, "equal_samples"),
                gradient_verdicts(measurements, "equal_steps"),
                *(training_verdicts(measurements, places, criterion) for criterion in CRITERIA),
            ],
            ignore_index=True,
        ),
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
        })  # fmt: skip
    return pd.DataFrame(rows)


def gradient_statistics_table(measurements: Measurements) -> pd.DataFrame:
    """One row per measured cell and checkpoint; `_low` and `_high` are 95 % bootstrap limits over batches."""
    settings = measurements.study.gradients
    budget = settings.batch_size
    found = measurements.gradients
    limits = _limits(measurements)
    rows = []
    for index, (cell, place, batches, components) in enumerate(found):
        variance = components.variances.mean()
        norm = measurements.norms[place]
        # against a reference that is not certified there is nothing to say about bias or direction
        directed = measurements.certified[place] and norm > 0
        squared_bias_used = np.maximum(0.0, float(components.biases.mean()))
        rows.append({
            "environment": cell.environment, "estimator": cell.estimator, "sigma": cell.sigma,
            "checkpoint": place.checkpoint, "samples": settings.samples, "batch_size": settings.batch_size,
            "environment_steps_per_sample": cell.steps,
            **{f"{name}{end}": row[index, column]
               for name, row in limits.items() for column, end in enumerate(("", "_low", "_high"))},
            "tail_share": batches["tail_share"][0],
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


def _limits(measurements: Measurements) -> dict[str, np.ndarray]:
    """Every interval of the table at once, (rows, 3) for each quantity."""
    draws = measurements.bootstrap_weights(measurements.study.gradients.batches)
    empty = np.full(draws.shape[1], math.nan)
    values: dict[str, list[np.ndarray]] = {"squared_bias": [], "projection": [], "variance": []}
    for measured in measurements.gradients:
        judged = measurements.certified[measured.place]
        for name in ("squared_bias", "projection"):
            values[name].append(measured.rows[name] if judged else empty)
        values["variance"].append(measured.components.variances)
    return {name: intervals(np.reshape(rows, (-1, draws.shape[1])), draws) for name, rows in values.items()}
