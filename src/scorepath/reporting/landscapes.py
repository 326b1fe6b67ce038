"""What a card draws of its environment: the return along a line through each checkpoint, and one trajectory.

Numbers are rounded to a five-hundredth of what they span, which is finer than a screen.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import pandas as pd

from scorepath.store.paths import sigma_token
from scorepath.store.tables import Tables

LARGEST = 1e300
"""Beyond it nothing is resolved, and rounding would overflow."""
STEPS = 500
"""What a drawing resolves."""


def embedded_landscapes(tables: Tables) -> dict[str, dict[str, Any]]:
    """By environment and checkpoint: half the line's length, and the return by noise level, evenly along the line.

    Where it is sampled limits stand beside it, the policy's own return taken as known: of the shape, not the height.
    """
    found: dict[str, dict[str, Any]] = {}
    for (name, checkpoint), own in tables.read("landscapes").groupby(["environment", "checkpoint"], sort=False):
        unit = _unit(own["expected_return"])
        sampled = bool((own["trajectories"] > 0).any())
        lines = {}
        for sigma, line in own.groupby("sigma", sort=False):
            columns = ("expected_return", "paired_low", "paired_high") if sampled else ("expected_return",)
            lines[sigma_token(float(sigma))] = [_short(line[column], unit) for column in columns]
        found.setdefault(str(name), {})[sigma_token(float(checkpoint))] = {
            "reach": float(f"{own['distance'].max():.3g}"), "along": sigma_token(float(own["along_sigma"].iloc[0])),
            "trajectories": int(own["trajectories"].iloc[0]), "lines": lines,
        }  # fmt: skip
    return found


def embedded_trajectories(tables: Tables) -> dict[str, dict[str, Any]]:
    """By environment and checkpoint: each coordinate of states and actions, and the reward, step by step."""
    found: dict[str, dict[str, Any]] = {}
    rows = tables.read("trajectories")
    for (name, checkpoint, quantity), own in rows.groupby(["environment", "checkpoint", "quantity"], sort=False):
        series = [_short(each["value"], _unit(own["value"])) for _, each in own.groupby("coordinate", dropna=False)]
        found.setdefault(str(name), {}).setdefault(sigma_token(float(checkpoint)), {})[str(quantity)] = series
    return found


def _unit(values: pd.Series) -> int:
    """The decimal places that resolve what the finite ones span; negative ones for tens and more."""
    finite = [float(value) for value in values if math.isfinite(value)]
    span = max(finite) / 2 - min(finite) / 2 if finite else 0.0  # half of it, which is finite
    size = 2 * min(span, LARGEST) if span > 0 else min(abs(finite[0]), LARGEST) if finite else 0.0
    return math.ceil(math.log10(STEPS / size)) if size > 0 else 0


def _short(values: Iterable[float], places: int) -> list[float | int | None]:
    """None for what is not finite; whole numbers without a point."""
    found: list[float | int | None] = []
    for value in values:
        short = round(value, places) if math.isfinite(value) else None
        found.append(int(short) if short is not None and short.is_integer() else short)
    return found
