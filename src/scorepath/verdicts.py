"""Who has the smaller error, and how surely: arrays in, a verdict out.

The study's tables and `scorepath.compare` judge by these functions. Everything is said of a first contestant against
a second: positive values, and the sign +1, mean that the first is better.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from scorepath.statistics import limits, two_sided_p

RESOLUTION = 1e-12
"""Errors further apart than this are not told apart: an error ratio is given as 1e12 at most."""
NO_DIFFERENCE = "the interval contains no difference"


@dataclass(frozen=True)
class ErrorComponents:
    """What an estimator's mean squared error is made of, per independent batch.

    | field | meaning | shape |
    |---|---|---|
    | name | what sentences call it | |
    | variances | of one sample | (batches,) |
    | biases | squared; zeros where unbiased, nan where it cannot be judged | (batches,) |
    | blank | every sample was exactly zero: no signal was seen | |
    """

    name: str
    variances: np.ndarray
    biases: np.ndarray
    blank: bool

    def squared_error(self, weights: np.ndarray, price: float, budget: float) -> np.ndarray:
        """`max(0, bias^2) + V * price / budget` for weights (..., batches) of the batches: (...,)."""
        return np.maximum(0.0, weights @ self.biases) + weights @ self.variances * price / budget


def error_components(
    name: str,
    variances: np.ndarray,
    squared_biases: np.ndarray,
    nonfinite_fractions: np.ndarray,
    zero_fractions: np.ndarray,
    *,
    unbiased: bool,
    certified: bool,
) -> ErrorComponents:
    """What counts of the batches' numbers, each (batches,).

    With any sample that is not finite the error is infinite: failures are never dropped. A declared unbiasedness is
    believed. Against a reference that is not certified no bias can be judged: any other one is unknown then.
    """
    count = len(variances)
    biases = np.zeros(count) if unbiased else squared_biases
    if not (certified or unbiased):
        biases = np.full(count, math.nan)
    if nonfinite_fractions.max() > 0:
        variances, biases = np.full(count, math.inf), np.zeros(count)
    return ErrorComponents(name, variances, biases, bool((zero_fractions == 1).all()))


class Outcome(NamedTuple):
    """A comparison before it is decided; nan where there is nothing to compare."""

    value: float = math.nan
    low: float = math.nan
    high: float = math.nan
    """95 % limits."""
    p_value: float = math.nan
    """Of the hypothesis that there is no difference; nan if that is no question."""
    flip_budget: float = math.nan
    """The number of samples at which the other one becomes better; nan if there is none."""
    reason: str = ""


def mean_of(batches: np.ndarray, total: int) -> np.ndarray:
    """Weights (total,) that average these of so many batches."""
    weights = np.zeros(total)
    weights[batches] = 1 / len(batches)
    return weights


def compare_errors(
    first: ErrorComponents,
    second: ErrorComponents,
    prices: tuple[float, float],
    budget: float,
    batches: np.ndarray,
    weights: np.ndarray,
) -> Outcome:
    """log10(MSE of the second / MSE of the first) with its paired-bootstrap limits.

    Args:
        first: whose error is in the denominator: positive values mean that it is better.
        second: measured on the same random numbers.
        prices: what a sample of each costs, in the unit of the budget.
        budget: how much of it an estimate may cost.
        batches: the indices of those that are judged on.
        weights: their bootstrap weights, (resamples, len(batches)).
    """
    total = len(first.variances)
    draws = np.zeros((len(weights), total))
    draws[:, batches] = weights
    centre = mean_of(batches, total)
    contestants = list(zip((first, second), prices, strict=True))
    ours, theirs = (float(each.squared_error(centre, price, budget)) for each, price in contestants)
    if not math.isfinite(ours) or not math.isfinite(theirs):
        if math.isfinite(ours) == math.isfinite(theirs):
            return Outcome(reason="neither gradient is finite")
        value = math.inf if math.isfinite(ours) else -math.inf
        loser = second if value > 0 else first
        return Outcome(value, value, value, p_value=0.0, reason=f"{loser.name} gave gradients that are not finite")
    if (first.blank and second.blank) or max(ours, theirs) == 0:
        return Outcome(reason="no sample of either shows any signal")
    our_draws, their_draws = (each.squared_error(draws, price, budget) for each, price in contestants)
    tiny = RESOLUTION * max(ours, theirs)
    ratios = np.log10(np.maximum(their_draws, tiny)) - np.log10(np.maximum(our_draws, tiny))
    flip = ratio(
        second.variances.mean() * prices[1] - first.variances.mean() * prices[0],
        max(0.0, first.biases.mean()) - max(0.0, second.biases.mean()),
    )
    return Outcome(
        math.log10(max(theirs, tiny)) - math.log10(max(ours, tiny)),
        *limits(ratios),
        p_value=two_sided_p(ratios),
        flip_budget=flip if flip > 0 and math.isfinite(flip) else math.nan,
    )


def ratio(numerator: float, denominator: float) -> float:
    """A quotient; infinite over zero, and nan for zero over zero."""
    return float(numerator / denominator) if denominator != 0 else math.inf if numerator else math.nan


def smallest_error(
    rivals: Sequence[ErrorComponents], prices: Sequence[float], budget: float, batches: np.ndarray
) -> int | None:
    """The index of the rival with the smallest error on these batches; None of none."""
    errors = [
        float(each.squared_error(mean_of(batches, len(each.variances)), price, budget))
        for each, price in zip(rivals, prices, strict=True)
    ]
    return int(np.argmin(errors)) if errors else None


def decide(
    lows: np.ndarray, highs: np.ndarray, p_values: np.ndarray, families: np.ndarray, rate: float
) -> list[tuple[int, str]]:
    """Signs: where the interval excludes no difference and the false-discovery rate holds, else 0 with the reason.

    Args:
        lows: lower limits, (comparisons,), of values that are 0 where there is no difference.
        highs: upper limits.
        p_values: of the hypotheses of no difference; all are finite.
        families: the label of the family of hypotheses that each belongs to; the rate holds in each.
        rate: of false discoveries (Benjamini & Hochberg 1995).
    """
    from scipy.stats import false_discovery_control

    adjusted = np.full(len(p_values), math.nan)
    for family in np.unique(families):
        own = families == family
        adjusted[own] = false_discovery_control(p_values[own].clip(0, 1), method="bh")
    decisions = []
    for low, high, p in zip(lows, highs, adjusted, strict=True):
        sign = 1 if low > 0 and p <= rate else -1 if high < 0 and p <= rate else 0
        rest = NO_DIFFERENCE if low <= 0 <= high else f"not significant among all comparisons (adjusted p = {p:.2g})"
        decisions.append((sign, "" if sign else rest))
    return decisions
