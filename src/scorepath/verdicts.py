"""Who has the smaller error, and how surely: arrays in, a verdict out.

The study's tables and `scorepath.compare` judge by these functions. Everything is said of a first contestant against
a second: positive values, and the sign +1, mean that the first is better.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np

from scorepath.intervals import Estimate, jackknife, positive_ratio
from scorepath.tails import NO_TAIL, Tail, luck_of

RESOLUTION = 1e-12
"""Errors further apart than this are not told apart: an error ratio is given as 1e12 at most."""
NO_DIFFERENCE = "the interval contains 0: either may be the better one"

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


@dataclass(frozen=True)
class Side:
    """One side of n comparisons at once: what its errors are made of, and what a sample costs.

    | field | meaning | shape |
    |---|---|---|
    | components | of each comparison's estimator | n of them |
    | prices | of a sample, in the unit of the budget | (n,) |
    | budget | how much of it an estimate may cost | |
    """

    components: Sequence[ErrorComponents]
    prices: np.ndarray
    budget: float

    @classmethod
    def alone(cls, components: ErrorComponents, price: float, budget: float) -> Side:
        """Of a single comparison."""
        return cls([components], np.array([price]), budget)

    @cached_property
    def _variances(self) -> np.ndarray:
        """Of the mean of as many samples as the budget buys: (n, batches)."""
        return self._stacked("variances") * (np.asarray(self.prices)[:, None] / self.budget)

    @cached_property
    def _biases(self) -> np.ndarray:
        return self._stacked("biases")

    def _stacked(self, name: str) -> np.ndarray:
        return np.array([getattr(each, name) for each in self.components]).reshape(len(self.components), -1)

    @property
    def blank(self) -> np.ndarray:
        return np.array([each.blank for each in self.components], dtype=bool)

    def errors(self, batches: np.ndarray) -> np.ndarray:
        """`max(0, bias^2) + V * price / budget`, of the means over these batches: (n,)."""
        return np.maximum(0.0, self._biases[:, batches].mean(-1)) + self._variances[:, batches].mean(-1)

    def without_each(self, batches: np.ndarray) -> np.ndarray:
        """The same of these batches, each left out in turn: (n, len(batches))."""
        biases, variances = (
            (values.sum(-1, keepdims=True) - values) / (len(batches) - 1)
            for values in (self._biases[:, batches], self._variances[:, batches])
        )
        return np.maximum(0.0, biases) + variances

    def unseen(self, batches: np.ndarray) -> np.ndarray:
        """By how much log10 of the errors is higher for what the tails, on average, have not shown in these batches."""
        return self._higher([each.tail.unseen for each in self.components], batches)

    def unseen_beside(self, other: Side, batches: np.ndarray) -> np.ndarray:
        """The same of the ratio to the other's errors, at most, (n,): less what those lack at least."""
        most = self._higher([each.tail.most_unseen for each in self.components], batches)
        least = other._higher([each.tail.least_unseen for each in other.components], batches)
        return np.maximum(0.0, most - least)

    def _higher(self, shares: Sequence[float], batches: np.ndarray) -> np.ndarray:
        """By how much log10 of the errors would be higher with such shares of the variances more; 0 if infinite."""
        more = self._shares(batches) * shares * self._variances.shape[-1] / len(batches)
        return np.log10(1 + np.where(np.isfinite(more), more, 0.0))

    def luck(self, batches: np.ndarray) -> np.ndarray:
        """By how much log10 of the errors could be lower, these batches having been let through by luck: (n,)."""
        lucky = luck_of([each.tail for each in self.components])
        return -np.log10(1 - self._shares(batches) * (1 - 1 / lucky))

    def _shares(self, batches: np.ndarray) -> np.ndarray:
        """Of the errors, what the variances are; 0 where there is no error, or it has no limit."""
        with np.errstate(invalid="ignore", divide="ignore"):
            shares = self._variances[:, batches].mean(-1) / self.errors(batches)
        return np.where(np.isfinite(shares), shares, 0.0)

    def at_least(self, batches: np.ndarray) -> Side:
        """The same, but what cannot be measured has no bias, and of its batches the largest is as the second largest.

        A variance has a lower limit whatever its tail, for what has not been seen only adds to it, as a bias does; and
        so one batch cannot make that limit uncertain.
        """

        def seen(each: ErrorComponents) -> ErrorComponents:
            if not each.tail.unmeasurable:
                return each
            cap = np.sort(each.variances[batches])[-2]
            biases = np.zeros_like(each.biases)
            return replace(each, variances=np.minimum(each.variances, cap), biases=biases, tail=NO_TAIL)

        return replace(self, components=[seen(each) for each in self.components])

    def flip_budgets(self, other: Side) -> Estimate:
        """The budget at which the smaller variance is worth as much as the smaller bias; nan of none: (n,).

        Its limits are of chance alone, without what tails have not shown: of normal samples they hold 93.5 to 95 %, and
        more where the biases may be equal.
        """

        def counted(biases: np.ndarray) -> np.ndarray:
            return biases * (biases.mean(-1, keepdims=True) > 0)

        variances = (other._variances - self._variances) * self.budget
        return positive_ratio(variances, counted(self._biases) - counted(other._biases))


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
    flip_low: float = math.nan
    flip_high: float = math.nan
    """Its 95 % limits; infinite where there may be none."""
    reason: str = ""
    verdict: str = "not_applicable"
    """What is said where there is nothing to decide."""

    @property
    def open_word(self) -> str:
        """What is said where the interval does not decide."""
        return self.verdict if self.verdict == NOT_MEASURABLE else UNDECIDED


def error_estimate(components: ErrorComponents, price: float, budget: float) -> Estimate:
    """The mean squared error with its limits, from all batches; its p-value means nothing. nan if not measurable."""
    side, batches = Side.alone(components, price, budget), np.arange(len(components.variances))
    (error,) = map(float, side.errors(batches))
    if components.tail.unmeasurable:
        error = math.nan
    if not math.isfinite(error) or error == 0:
        return Estimate(error, error, error, math.nan)
    parts = np.maximum(side.without_each(batches), RESOLUTION * error)
    reach = (part(batches) * math.log(10) for part in (side.luck, side.unseen))
    found = jackknife(np.zeros(1), np.log(parts / error), *reach)
    low, high = (error * float(np.exp(limit[0])) for limit in (found.low, found.high))
    return Estimate(error, low, high, math.nan)


def compare_errors(first: Side, second: Side, batches: np.ndarray) -> list[Outcome]:
    """log10(MSE of the second / MSE of the first) with its limits: a jackknife over the batches, which pair the two.

    Args:
        first: n estimators, at least one; positive values mean that they are better.
        second: their rivals, measured on the same random numbers.
        batches: the indices of those that are judged on; at least three.
    """
    measured = first.errors(batches), second.errors(batches)
    first_seen, second_seen = first.at_least(batches), second.at_least(batches)
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        ours, theirs = first_seen.errors(batches), second_seen.errors(batches)
        tiny = RESOLUTION * np.maximum(ours, theirs)
        our_parts, their_parts = (
            np.maximum(side.without_each(batches), tiny[:, None]) for side in (first_seen, second_seen)
        )
        found = jackknife(
            np.log10(np.maximum(theirs, tiny) / np.maximum(ours, tiny)),
            np.log10(their_parts / our_parts),
            first_seen.unseen_beside(second_seen, batches) + second_seen.luck(batches),
            second_seen.unseen_beside(first_seen, batches) + first_seen.luck(batches),
        )
        flips = first.flip_budgets(second)
    outcomes = (Outcome(*numbers) for numbers in zip(*(part.tolist() for part in (*found, *flips[:3])), strict=True))
    errors = zip(*(side.tolist() for side in measured), strict=True)
    pairs = zip(first.components, second.components, strict=True)
    return [_outcome(*both) for both in zip(outcomes, pairs, errors, strict=True)]


def _outcome(found: Outcome, sides: tuple[ErrorComponents, ErrorComponents], errors: tuple[float, float]) -> Outcome:
    """What is said of two errors whose ratio would be this one: an error may be infinite, nothing or unmeasurable."""
    finite = [math.isfinite(error) for error in errors]
    if not all(finite):
        if not any(finite):
            return Outcome(reason="neither gradient is finite")
        value, loser = (math.inf, sides[1]) if finite[0] else (-math.inf, sides[0])
        return Outcome(value, value, value, p_value=0.0, reason=f"{loser.name} gave gradients that are not finite")
    if all(side.blank for side in sides) or max(errors) == 0:
        return Outcome(reason="no sample of either shows any signal")
    reasons = [f"{side.name}: {side.tail.unmeasurable}" for side in sides if side.tail.unmeasurable]
    if not reasons:
        return found
    nothing = Outcome(reason="; ".join(reasons), verdict=NOT_MEASURABLE)
    # nor is anything told by a side of which nothing has been seen to vary
    if len(reasons) == 2 or any(not side.variances.any() for side in sides):
        return nothing
    # how much larger the error is that cannot be measured has no upper limit
    low, high = (found.low, math.inf) if sides[1].tail.unmeasurable else (-math.inf, found.high)
    if low > 0 or high < 0:
        return nothing._replace(value=min(low, high, key=abs), low=low, high=high, p_value=found.p_value)
    return nothing._replace(low=low, high=high, p_value=1.0)


def smallest_error(errors: Sequence[float], unmeasurable: Sequence[str]) -> int | None:
    """The index of the rival with the smallest error, measurable ones first; None of none."""
    return min(range(len(errors)), key=lambda i: (bool(unmeasurable[i]), errors[i]), default=None)


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


def worth(first: Side, second: Side, batches: np.ndarray, squares: np.ndarray) -> list[Worth]:
    """Whether either side saw anything, and whether the better one is better than an estimate that is always zero.

    The arguments are those of `compare_errors`, and `squares`, the squared lengths of the gradients, (n,): nan where
    nothing certifies one; then only the samples that are all zero are found.
    """
    sides = first, second
    ours, theirs = (np.where(side.blank, squares, side.errors(batches)) for side in sides)
    return [
        _worth([side.components[index].name for side in sides if side.components[index].blank], float(error), square)
        for index, (error, square) in enumerate(zip(np.minimum(ours, theirs), map(float, squares), strict=True))
    ]


def _worth(blank: list[str], error: float, square: float) -> Worth:
    """Of one comparison: whose samples are all zero, and the smaller error."""
    relative = math.inf if square == 0 else error / square
    if blank:
        whose = "both" if len(blank) == 2 else blank[0]
        return Worth(relative, NO_SIGNAL, f"every sample of {whose} is exactly zero")
    if square == 0:
        return Worth(relative, NEITHER_USABLE, "the gradient is zero")
    if relative >= 1 and math.isfinite(error):
        return Worth(relative, NEITHER_USABLE, f"the smaller error is {relative:.3g} times the gradient's square")
    return Worth(relative)


def settled(outcome: Outcome, found: Worth) -> tuple[str, str]:
    """The verdict of a comparison in which there is nothing to decide, and why; "" where there is.

    Where a side cannot be measured the smaller error is known only if the other's is surely smaller.
    """
    known = outcome.verdict != NOT_MEASURABLE or outcome.low > 0 or outcome.high < 0
    if found.verdict == NO_SIGNAL or (found.verdict and known):
        return found.verdict, found.reason
    if outcome.verdict == NOT_MEASURABLE and (found.verdict or math.isnan(outcome.p_value)):
        return outcome.verdict, outcome.reason
    return "", ""


def beside_margin(low: float, high: float, margin: float) -> str:
    """`beyond`, `within` or `unclear`: where an interval of differences lies beside a margin on either side of 0.

    An interval that excludes 0 and is not `beyond` shows a difference that may be too small to matter.
    """
    if low > margin or high < -margin:
        return BEYOND
    return WITHIN if -margin <= low and high <= margin else UNCLEAR


def ruling(
    sign: int, low: float, high: float, margin: float, winners: tuple[str, str], open_word: str = UNDECIDED
) -> tuple[str, str]:
    """The verdict's word, and where the interval lies beside the practical margin.

    A difference that is surely smaller than the margin is no win, be it significant or not; one that is significant
    and may be smaller is a win whose practical side is `unclear`.

    Args:
        sign: from `decide`.
        low: lower limit of a value that is 0 where there is no difference.
        high: its upper limit.
        margin: the smallest difference that matters, in the same unit; with 0 none is too small.
        winners: the words for the signs +1 and -1.
        open_word: that for none.
    """
    beside = beside_margin(low, high, margin)
    if beside == WITHIN and margin > 0:
        return EQUIVALENT, beside
    return (open_word if sign == 0 else winners[0] if sign > 0 else winners[1]), beside
