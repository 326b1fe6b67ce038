"""What claims are made of: the evidence, a row that answers two questions apart, and intervals of what is computed.

Does the interval contain the prediction, and does it lie within the stated tolerance? A wide interval is consistent
with everything and within nothing; a narrow one may lie within the tolerance and contradict the prediction.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from scorepath.store.tables import COLUMNS

ROUNDING = 1e-3
"""What float32 may round off, relative to the prediction: an exact estimator's interval has no width of its own."""

Interval = tuple[float, float, float]
"""A value and its 95 % limits."""


@dataclass(frozen=True)
class Evidence:
    """The study's tables and its configured environments."""

    statistics: pd.DataFrame
    references: pd.DataFrame
    training: pd.DataFrame
    regrets: pd.DataFrame
    mixtures: Mapping[str, str]
    """The methods of the study's estimators that mix the two sides, by name."""
    environments: tuple[dict[str, Any], ...]
    """Name, family, all knobs, and the environment that it is but for its initial policy (`original`)."""
    called: Callable[[str], str]
    """From a method to the name of the study's first estimator that is this method."""

    def instances(self, family: str) -> Iterator[dict[str, Any]]:
        """Configured instances of a family: name and all knobs, defaults included."""
        return (entry for entry in self.environments if entry["family"] == family)

    def originals(self, environments: Iterable[str]) -> list[str]:
        """The environments themselves, whatever the initial policy: these are the clusters of what is compared."""
        known = {entry["name"]: entry["original"] for entry in self.environments}
        return [known.get(name, name) for name in environments]

    def rows(self, environment: str, method: str, checkpoint: float | None = 0.0) -> pd.DataFrame:
        """Gradient statistics of a method at sigma > 0 with the reference's norm, by rising noise level.

        They are those of the study's first estimator that is this method, whatever it is called.
        """
        table = self.statistics.merge(
            self.references[["environment", "sigma", "checkpoint", "gradient_norm"]],
            on=["environment", "sigma", "checkpoint"],
        )
        chosen = (
            (table["environment"] == environment) & (table["estimator"] == self.called(method)) & (table["sigma"] > 0)
        )
        if checkpoint is not None:
            chosen &= table["checkpoint"] == checkpoint
        return table[chosen].sort_values(["sigma", "checkpoint"])


def row(
    claim: str,
    source: str,
    prediction: str,
    measured: Interval,
    predicted: float | None,
    accepted: tuple[float, float],
    figure: str,
    why: str = "",
) -> dict[str, Any]:
    """A ledger row.

    Args:
        claim: its name.
        source: who says so.
        prediction: the prediction in words, with its tolerance.
        measured: value and limits.
        predicted: the number predicted; None where it is a range, which is then `accepted`.
        accepted: the range that the tolerance allows.
        figure: where to see it.
        why: why it is refuted or left open, where that is known.
    """
    value, low, high = measured
    least, most = (predicted, predicted) if predicted is not None else accepted
    slack = ROUNDING * abs(predicted or 0.0)
    consistency = "consistent" if low - slack <= most and least <= high + slack else "inconsistent"
    if accepted[0] <= low and high <= accepted[1]:
        tolerance = "within"
    elif high < accepted[0] or low > accepted[1]:
        tolerance = "outside"
    else:
        tolerance = "undecided"
    number = math.nan if predicted is None else predicted
    cells = (claim, source, prediction, number, value, low, high, consistency, tolerance, figure, why)
    return dict(zip(COLUMNS["claims"], cells, strict=True))


# --- intervals of what is computed from several numbers ---------------------------------------------------------------


def log_ratio(first: pd.DataFrame, second: pd.DataFrame) -> pd.DataFrame:
    """Logarithms of a ratio, row by row: columns `""`, `_low`, `_high`, from frames of the same columns.

    The limits are the worst corners of both, which hold however the two depend on each other.
    """
    corners = {"": ("", ""), "_low": ("_low", "_high"), "_high": ("_high", "_low")}
    with np.errstate(divide="ignore", invalid="ignore"):  # the logarithm of a limit at or below 0 is infinite
        return pd.DataFrame({
            end: np.log(first[over].clip(lower=0.0)) - np.log(second[under].clip(lower=0.0))
            for end, (over, under) in corners.items()
        })  # fmt: skip


def limits_of(rows: pd.DataFrame, column: str) -> pd.DataFrame:
    """A column with its limits, as `log_ratio` takes it."""
    return pd.DataFrame({end: rows[f"{column}{end}"] for end in ("", "_low", "_high")})


def average(values: pd.DataFrame) -> Interval:
    """Mean over noise levels, which share their random numbers, and checkpoints, which do not: the index's levels.

    The mean of limits holds for the mean of values however these depend on each other; what is independent is
    averaged in quadrature.
    """
    each = values.groupby("checkpoint").mean()
    middle = float(each[""].mean())
    if not math.isfinite(middle):
        return middle, -math.inf, math.inf
    down, up = (
        float(np.sqrt((each[end] - each[""]).pow(2).sum())) / len(each) if np.isfinite(each[end]).all() else math.inf
        for end in ("_low", "_high")
    )
    return middle, middle - down, middle + up


def exponential(interval: Interval) -> Interval:
    """An interval of logarithms as one of numbers."""
    value, low, high = (math.inf if limit == math.inf else math.exp(limit) for limit in interval)
    return value, low, high


def slope(rows: pd.DataFrame, column: str) -> Interval | None:
    """Logarithmic slope in sigma between the two smallest noise levels; None if there are no two.

    Where a value has no logarithm nothing is known of the slope.
    """
    if len(rows) < 2:
        return None
    first, second = (limits_of(rows.iloc[[place]], column).reset_index(drop=True) for place in (0, 1))
    if not all(value > 0 and math.isfinite(value) for value in (first[""][0], second[""][0])):
        return math.nan, -math.inf, math.inf
    value, low, high = log_ratio(second, first).iloc[0] / step_between(rows)
    return float(value), float(low), float(high)


def step_between(rows: pd.DataFrame) -> float:
    """The distance of the two smallest noise levels, in logarithms."""
    smallest, next_one = rows["sigma"].iloc[:2]
    return math.log(next_one / smallest)
