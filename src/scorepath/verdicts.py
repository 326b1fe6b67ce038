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

from scorepath.intervals import Estimate, jackknife
from scorepath.tails import NO_TAIL, Tail

RESOLUTION = 1e-12
"""Errors further apart than this are not told apart: an error ratio is given as 1e12 at most."""
NO_DIFFERENCE = "the interval contains no difference"

UNDECIDED = "undecided"
EQUIVALENT = "equivalent"
"""The whole interval lies within the practical margin, whether it excludes no difference or not."""
NO_SIGNAL = "no_signal"
"""Every sample of a side is exactly zero: its error says how long the gradient is, not how good the estimate."""
NEITHER_USABLE = "neither_usable"
"""The smaller error is no smaller than that of an estimate that is always zero: the gradient's own square."""
NOT_MEASURABLE = "not_measurable"
"""A side's variance cannot be measured from its samples."""
NOT_APPLICABLE = "not_applicable"
BEYOND, WITHIN, UNCLEAR = "beyond", "within", "unclear"
"""Where an interval lies beside the practical margin: wholly beyond it, wholly within it, or across one of its ends."""


@dataclass(frozen=True)
class ErrorComponents:
    """What an estimator's mean squared error is made of, per independent batch.

    | field | meaning | shape |
    |---|---|---|
    | name | what sentences call it | |
    | variances | of one sample | (batches,) |
    | biases | squared; zeros where unbiased, nan where it cannot be judged | (batches,) |
    | blank | every sample was exactly zero: no signal was seen | |
    | tail | of the samples' squared deviations | |
    """

    name: str
    variances: np.ndarray
    biases: np.ndarray
    blank: bool
    tail: Tail = NO_TAIL

    def squared_error(self, weights: np.ndarray, price: float, budget: float) -> np.ndarray:
        """`max(0, bias^2) + V * price / budget` for weights (..., batches) of the batches: (...,)."""
        with np.errstate(invalid="ignore"):  # of infinite ones
            return np.maximum(0.0, weights @ self.biases) + weights @ self.variances * price / budget

    def without_each(self, batches: np.ndarray, price: float, budget: float) -> np.ndarray:
        """The same of these batches, each left out in turn: (len(batches),)."""
        biases, variances = (
            (values.sum() - values) / (len(batches) - 1) for values in (self.biases[batches], self.variances[batches])
        )
        return np.maximum(0.0, biases) + variances * price / budget

    def unseen(self, batches: np.ndarray, price: float, budget: float) -> float:
        """By how much log10 of the squared error could be higher for what the tail has not shown in these batches."""
        error = float(self.squared_error(mean_of(batches, len(self.variances)), price, budget))
        if not self.tail.unseen or error == 0:
            return 0.0
        share = self.variances[batches].mean() * price / budget / error
        return math.log10(1 + share * self.tail.unseen * len(self.variances) / len(batches))


def error_components(
    name: str,
    variances: np.ndarray,
    squared_biases: np.ndarray,
    nonfinite_fractions: np.ndarray,
    zero_fractions: np.ndarray,
    *,
    unbiased: bool,
    certified: bool,
    tail: Tail = NO_TAIL,
) -> ErrorComponents:
    """What counts of the batches' numbers, each (batches,).

    With any sample that is not finite the error is infinite: failures are never dropped. `unbiased` says that the bias
    is known to be zero. Against a reference that is not certified no bias can be judged: any other one is unknown then.
    """
    count = len(variances)
    biases = np.zeros(count) if unbiased else squared_biases
    if not (certified or unbiased):
        biases = np.full(count, math.nan)
    if nonfinite_fractions.max() > 0:
        variances, biases = np.full(count, math.inf), np.zeros(count)
    return ErrorComponents(name, variances, biases, bool((zero_fractions == 1).all()), tail)


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
    verdict: str = "not_applicable"
    """What is said where there is nothing to decide."""


def mean_of(batches: np.ndarray, total: int) -> np.ndarray:
    """Weights (total,) that average these of so many batches."""
    weights = np.zeros(total)
    weights[batches] = 1 / len(batches)
    return weights


def error_estimate(components: ErrorComponents, price: float, budget: float) -> Estimate:
    """The mean squared error with its limits, from all batches; its p-value means nothing. nan if not measurable."""
    batches = np.arange(len(components.variances))
    error = float(components.squared_error(mean_of(batches, len(batches)), price, budget))
    if components.tail.unmeasurable:
        error = math.nan
    if not math.isfinite(error) or error == 0:
        return Estimate(error, error, error, math.nan)
    parts = np.maximum(components.without_each(batches, price, budget), RESOLUTION * error)
    unseen = components.unseen(batches, price, budget) / math.log10(math.e)
    found = jackknife(0.0, np.log(parts / error), above=unseen)
    return Estimate(error, error * math.exp(found.low), error * math.exp(found.high), math.nan)


def compare_errors(
    first: ErrorComponents,
    second: ErrorComponents,
    prices: tuple[float, float],
    budget: float,
    batches: np.ndarray,
) -> Outcome:
    """log10(MSE of the second / MSE of the first) with its limits: a jackknife over the batches, which pair the two.

    Args:
        first: whose error is in the denominator: positive values mean that it is better.
        second: measured on the same random numbers.
        prices: what a sample of each costs, in the unit of the budget.
        budget: how much of it an estimate may cost.
        batches: the indices of those that are judged on; at least three.
    """
    centre = mean_of(batches, len(first.variances))
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
    if reasons := [f"{each.name}: {each.tail.unmeasurable}" for each in (first, second) if each.tail.unmeasurable]:
        return Outcome(reason="; ".join(reasons), verdict=NOT_MEASURABLE)
    tiny = RESOLUTION * max(ours, theirs)
    our_parts, their_parts = (
        np.maximum(each.without_each(batches, price, budget), tiny) for each, price in contestants
    )
    value = math.log10(max(theirs, tiny) / max(ours, tiny))
    flip = ratio(
        second.variances.mean() * prices[1] - first.variances.mean() * prices[0],
        max(0.0, first.biases.mean()) - max(0.0, second.biases.mean()),
    )
    value, low, high, p_value = jackknife(
        value, np.log10(their_parts / our_parts),
        *(each.unseen(batches, price, budget) for each, price in contestants),
    )  # fmt: skip
    return Outcome(
        value, low, high, p_value,
        flip_budget=flip if flip > 0 and math.isfinite(flip) else math.nan,
    )  # fmt: skip


def ratio(numerator: float, denominator: float) -> float:
    """A quotient; infinite over zero, and nan for zero over zero."""
    return float(numerator / denominator) if denominator != 0 else math.inf if numerator else math.nan


def smallest_error(
    rivals: Sequence[ErrorComponents], prices: Sequence[float], budget: float, batches: np.ndarray
) -> int | None:
    """The index of the rival with the smallest error on these batches, measurable ones first; None of none."""
    errors = [
        float(each.squared_error(mean_of(batches, len(each.variances)), price, budget))
        for each, price in zip(rivals, prices, strict=True)
    ]
    return min(range(len(errors)), key=lambda i: (bool(rivals[i].tail.unmeasurable), errors[i]), default=None)


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


# --- what a verdict is ------------------------------------------------------------------------------------------------


class Worth(NamedTuple):
    """Whether a comparison has anything to win, whoever wins."""

    relative_error: float
    """The smaller of both errors, by the gradient's square; nan where that is not known.

    The error of samples that are all zero is that square, whatever is declared of their bias."""
    verdict: str = ""
    """`no_signal` or `neither_usable`; "" if the comparison is to be decided."""
    reason: str = ""


def worth(
    first: ErrorComponents,
    second: ErrorComponents,
    prices: tuple[float, float],
    budget: float,
    batches: np.ndarray,
    square: float,
) -> Worth:
    """Whether either side saw anything, and whether the better one is better than an estimate that is always zero.

    The arguments are those of `compare_errors`, and `square`, the squared length of the gradient: nan where nothing
    certifies it; then only the samples that are all zero are found.
    """
    centre = mean_of(batches, len(first.variances))
    sides = list(zip((first, second), prices, strict=True))
    errors = [square if each.blank else float(each.squared_error(centre, price, budget)) for each, price in sides]
    relative = math.inf if square == 0 else min(errors) / square
    blank = [each.name for each, _ in sides if each.blank]
    if blank:
        whose = "both" if len(blank) == 2 else blank[0]
        return Worth(relative, NO_SIGNAL, f"every sample of {whose} is exactly zero")
    if square == 0:
        return Worth(relative, NEITHER_USABLE, "the gradient is zero")
    if relative >= 1 and math.isfinite(min(errors)):
        return Worth(relative, NEITHER_USABLE, f"the smaller error is {relative:.3g} times the gradient's square")
    return Worth(relative)


def settled(outcome: Outcome, found: Worth) -> tuple[str, str]:
    """The verdict of a comparison in which there is nothing to decide, and why; "" where there is."""
    if found.verdict == NO_SIGNAL or (found.verdict and outcome.verdict != NOT_MEASURABLE):
        return found.verdict, found.reason
    return (outcome.verdict, outcome.reason) if outcome.verdict == NOT_MEASURABLE else ("", "")


def beside_margin(low: float, high: float, margin: float) -> str:
    """`beyond`, `within` or `unclear`: where an interval of differences lies beside a margin on either side of 0.

    An interval that excludes 0 and is not `beyond` shows a difference that may be too small to matter.
    """
    if low > margin or high < -margin:
        return BEYOND
    return WITHIN if -margin <= low and high <= margin else UNCLEAR


def ruling(sign: int, low: float, high: float, margin: float, winners: tuple[str, str]) -> tuple[str, str]:
    """The verdict's word, and where the interval lies beside the practical margin.

    A difference that is surely smaller than the margin is no win, be it significant or not; one that is significant
    and may be smaller is a win whose practical side is `unclear`.

    Args:
        sign: from `decide`.
        low: lower limit of a value that is 0 where there is no difference.
        high: its upper limit.
        margin: the smallest difference that matters, in the same unit; with 0 none is too small.
        winners: the words for the signs +1 and -1.
    """
    beside = beside_margin(low, high, margin)
    if beside == WITHIN and margin > 0:
        return EQUIVALENT, beside
    return (UNDECIDED if sign == 0 else winners[0] if sign > 0 else winners[1]), beside
