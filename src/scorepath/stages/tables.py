"""The gather of everything but timings: cell files in, tidy tables out, which figures, report and readers use.

Timings stay apart (`cost_tables`): the tables written here are the same byte for byte from run to run.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from scorepath.stages._measurements import UNCERTIFIED, Measurements
from scorepath.stages._verdicts import gradient_verdicts, training_verdicts
from scorepath.statistics import interval
from scorepath.store.paths import log_path
from scorepath.store.tables import COLUMNS, save
from scorepath.study.jobs import cell_job
from scorepath.verdicts import ratio

if TYPE_CHECKING:
    from scorepath.study.cells import Plan


def tables(plan: Plan) -> None:
    """Gather cells and references into tables."""
    measurements = Measurements(plan)
    made = {
        "cells": cells_table(plan),
        "references": references_table(measurements),
        "gradient_statistics": gradient_statistics_table(measurements),
        "training": training_table(measurements),
        "verdicts": pd.concat(
            [
                gradient_verdicts(measurements, "equal_samples"),
                gradient_verdicts(measurements, "equal_steps"),
                training_verdicts(measurements),
            ],
            ignore_index=True,
        ),
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
    draws = measurements.bootstrap_weights(settings.batches)
    rows = []
    for measured in measurements.gradients:
        cell, place, group, components = measured
        # against a reference that is not certified there is nothing to say about bias or direction
        directed = dict.fromkeys(("squared_bias", "projection", "cosine_similarity"), math.nan)
        judged = group if measurements.certified[place] else group.assign(**directed)
        variance = interval(components.variances, draws)
        bias = interval(judged["squared_bias"].to_numpy(float), draws)
        projection = interval(judged["projection"].to_numpy(float), draws)
        norm = measurements.norms[place]
        squared_bias_used = np.maximum(0.0, float(components.biases.mean()))
        first = group.iloc[0]
        rows.append({
            "environment": cell.environment, "estimator": cell.estimator, "sigma": cell.sigma,
            "checkpoint": place.checkpoint, "samples": settings.samples, "batch_size": settings.batch_size,
            "environment_steps_per_sample": cell.steps,
            **_with_limits("squared_bias", bias), **_with_limits("projection", projection),
            **_with_limits("variance", variance),
            "tail_share": first["tail_share"],
            "nsr": ratio(variance[0], norm**2),
            "budget": budget,
            "mse_equal_samples": squared_bias_used + variance[0] / budget,
            "mse_equal_steps": squared_bias_used + variance[0] * measured.steps / budget,
            "cosine_similarity": judged["cosine_similarity"].mean() if norm > 0 else math.nan,
            "nonfinite_fraction": group["nonfinite_fraction"].mean(),
            "zero_fraction": group["zero_fraction"].mean(),
            "float32_relative_error": first["float32_relative_error"],
        })  # fmt: skip
    return pd.DataFrame(rows)


def training_table(measurements: Measurements) -> pd.DataFrame:
    """The curves of every trained cell."""
    parts = [
        rows.assign(environment=cell.environment, estimator=cell.estimator, sigma=cell.sigma)
        for cell, rows in measurements.training
    ]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=COLUMNS["training"])


def _with_limits(name: str, values: tuple[float, float, float]) -> dict[str, float]:
    return dict(zip((name, f"{name}_low", f"{name}_high"), values, strict=True))
