"""Every cell at every checkpoint, with its numbers and their limits: what the page's table and map are drawn from."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from scorepath.reporting.embedding import columns
from scorepath.reporting.numbers import readable
from scorepath.store.tables import Tables

TEXT = ("environment", "estimator", "family", "stage", "status", "dtype", "reason", "command")
NUMBERS = (
    "sigma", "checkpoint", "samples", "variance", "variance_low", "variance_high", "nsr", "bias", "bias_low",
    "bias_high", "counted", "counted_low", "counted_high", "mse_equal_samples", "mse_equal_steps", "cosine_similarity",
    "steps", "seconds", "norm",
)  # fmt: skip
PLACE = ["environment", "sigma", "checkpoint"]


def embedded_cells(tables: Tables) -> dict[str, Any]:
    """The columns of `every_cell`, as the page carries them: commands have placeholders for the names in their rows."""
    rows = every_cell(tables)
    names = zip(rows["command"], rows["environment"], rows["estimator"], strict=True)
    short = [
        command.replace(f" {environment} {estimator} ", " {environment} {estimator} ", 1)
        for command, environment, estimator in names
    ]
    return columns(rows.assign(command=short), TEXT, NUMBERS)


def every_cell(tables: Tables) -> pd.DataFrame:
    """A row per cell and checkpoint; a cell without numbers has one row.

    Beside the tables' own columns: `bias` (its square by that of the exact gradient, with limits), `counted` (the
    square of the bias that counts in the error: 0 where it is proved to be 0), `norm` (of the exact gradient), `steps`
    and `seconds` (what a sample costs, in trajectories and in seconds of one training batch at a time).
    """
    cells = tables.read("cells")
    statistics = tables.read("gradient_statistics").assign(stage="gradients")
    rows = cells.merge(statistics, on=["environment", "estimator", "sigma", "stage"], how="left")
    norms = tables.read("references")[[*PLACE, "gradient_norm"]].drop_duplicates(PLACE)
    rows = rows.merge(norms, on=PLACE, how="left").rename(columns={"gradient_norm": "norm"})
    square = rows["norm"].where(rows["norm"] > 0) ** 2
    own = rows["mse_equal_samples"] - rows["variance"] / rows["budget"]
    counts = own > 1e-6 * rows["mse_equal_samples"]
    for end in ("", "_low", "_high"):
        rows[f"bias{end}"] = rows[f"squared_bias{end}"] / square
        rows[f"counted{end}"] = rows[f"squared_bias{end}"].where(counts, 0.0).where(own.notna())
    price = (rows["mse_equal_steps"] - rows["counted"]) * rows["budget"] / rows["variance"]
    rows["steps"] = price.where(rows["variance"] > 0, 1.0).where(own.notna()).replace([np.inf, -np.inf], np.nan)
    costs = tables.read("costs")
    costs = costs[costs["samples_at_once"] == costs["samples_at_once"].min()]
    seconds = costs.assign(seconds=costs["seconds_per_sample"] + costs["pilot_seconds_per_sample"].fillna(0))
    seconds = seconds.drop_duplicates(["environment", "estimator"])[["environment", "estimator", "seconds"]]
    rows = rows.merge(seconds, on=["environment", "estimator"], how="left")
    rows["command"] = rows["command"].fillna("")
    rows["reason"] = _reasons(rows)
    return rows


def _reasons(rows: pd.DataFrame) -> pd.Series:
    """Why a cell has no numbers, or no variance; of one that failed also its log."""
    failed = rows["status"].isin(["failed", "missing"]) & (rows["log"] != "")
    reasons = rows["reason"].where(rows["reason"] != "", rows["not_measurable"].fillna(""))
    reasons = reasons.map(readable)
    return reasons.where(~failed, reasons + " (" + rows["log"] + ")")
