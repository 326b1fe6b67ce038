"""What training reached, every run judged at a learning rate that other seeds chose.

Each rate is run at each seed. A seed's rate is the one with the best mean score over the *other* seeds, so no run is
judged at a rate that it helped to choose, and every other run of the cell helps to choose it; further seeds may do that
alone. Which rate that is counts as chance, too: for an interval the whole procedure is repeated without each seed in
turn, choices included (a jackknife over seeds, which both sides of a comparison share). Choices, scores and intervals
all come from `tuned_scores`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np

from scorepath.verdicts import Outcome

LATE = 0.75
"""Training is judged by the last quarter of its budget."""
SCORE_RANGE = (-1.0, 2.0)
"""Normalised training scores are clipped to this: a run that diverges loses what others gained, not infinity."""


def late_means(spent: np.ndarray, returns: np.ndarray, budget: float) -> np.ndarray:
    """Mean of every curve over the last quarter of a budget, straight lines drawn between its records.

    Args:
        spent: at each record, in the budget's unit and increasing: (records,).
        returns: (records, ...).
        budget: at most what is spent at the last record; what comes after it counts for nothing.

    Returns:
        (...), not finite where a curve is not in that quarter.
    """
    first, last = LATE * budget, min(budget, spent[-1])
    inside = spent[(spent > first) & (spent < last)]
    at = np.concatenate([[first], inside, [last]])
    shares = np.array([np.interp(at, spent, record) for record in np.eye(len(spent))])
    weights = ((shares[:, 1:] + shares[:, :-1]) / 2) @ np.diff(at) / (last - first)
    used = weights > 0
    with np.errstate(invalid="ignore"):  # of infinities of both signs
        return np.asarray(np.tensordot(weights[used], returns[used], axes=1))


def scale_of(gains: Iterable[np.ndarray]) -> float:
    """What scores are measured in: the best mean gain of any rate of any of the estimators that share the scale.

    Args:
        gains: of each estimator, how far every run is above its own seed's return before training: (rates, seeds).

    Returns:
        The largest gain; where nobody gained anything, the largest of the estimators' smallest losses, or else the
        largest loss of any run: it changes with the reward's unit in any case.
    """
    gains = list(gains)
    finite = (each[np.isfinite(each).all(1)] for each in gains)
    best = [float(each.mean(1).max()) for each in finite if len(each)]
    if max(best, default=0.0) > 0:
        return max(best)
    runs = np.concatenate([abs(each[np.isfinite(each)]) for each in gains] or [np.empty(0)])
    return max(map(abs, best), default=0.0) or float(runs.max(initial=0.0)) or 1.0


def normalised(gains: np.ndarray, scale: float) -> np.ndarray:
    """Scores of gains of any shape: 0 is the return before training, 1 the best mean.

    A run that is not finite has the lowest score.
    """
    lowest, highest = SCORE_RANGE
    return np.nan_to_num(np.where(np.isfinite(gains), gains, math.nan) / scale, nan=lowest).clip(lowest, highest)


def choices(scores: np.ndarray) -> np.ndarray:
    """The candidate that is best in the mean of the other seeds, for each seed: (seeds,).

    Ties, such as of rates that all learn nothing, go to the candidate in the middle.

    Args:
        scores: (candidates, seeds); candidates are rates in increasing order, perhaps of several estimators in turn.
    """
    candidates, seeds = scores.shape
    others = scores @ (1 - np.eye(seeds)) / max(1, seeds - 1)
    from_middle = np.argsort(abs(np.arange(candidates) - (candidates - 1) / 2), kind="stable")
    tied = others >= others.max(0) - 1e-12
    return np.asarray(from_middle[tied[from_middle].argmax(0)])


def tuned_scores(scores: np.ndarray) -> np.ndarray:
    """Every seed's score at the candidate that the other seeds chose: (seeds,) of (candidates, seeds)."""
    return scores[choices(scores), np.arange(scores.shape[1])]


def compare_scores(ours: np.ndarray, theirs: np.ndarray, judged: int) -> dict[str, Outcome]:
    """Tuned training runs against each other, seed by seed: the same seeds share starts, noise and evaluation.

    Args:
        ours: normalised scores, (our candidates, seeds).
        theirs: likewise; a rival that has to be chosen among several brings the rates of all of them.
        judged: so many seeds, the first ones; the others only help to choose.

    Returns:
        `score_difference`, the difference of mean scores, and `probability_of_improvement`, which is 0.5 where there is
        no difference. Limits and p-values are Student's with the jackknife's standard error (Tukey 1958). Of a
        probability that error is at least the largest that its value allows (van Dantzig 1951): between few runs it
        takes few values, which can agree whichever seed is left out.
    """
    if judged < 2:
        return {"score_difference": Outcome(reason="a single seed shows no spread")}
    whole = _difference(ours, theirs, judged)
    without = np.array([
        _difference(np.delete(ours, i, 1), np.delete(theirs, i, 1), judged - 1) for i in range(judged)
    ])  # fmt: skip
    errors = np.sqrt((judged - 1) / judged * ((without - without.mean(0)) ** 2).sum(0))
    probability = whole[1] + 0.5
    errors[1] = max(errors[1], math.sqrt(max(0.0, probability * (1 - probability)) / (judged - 1)))
    difference, better = (_outcome(*found, judged - 1) for found in zip(whole, errors, strict=True))
    better = better._replace(value=better.value + 0.5, low=max(0.0, better.low + 0.5), high=min(1.0, better.high + 0.5))
    return {"score_difference": difference, "probability_of_improvement": better}


def _difference(ours: np.ndarray, theirs: np.ndarray, judged: int) -> tuple[float, float]:
    """Both statistics, each 0 where there is no difference."""
    our_scores, their_scores = tuned_scores(ours)[:judged], tuned_scores(theirs)[:judged]
    return float((our_scores - their_scores).mean()), probability_of_improvement(our_scores, their_scores) - 0.5


def _outcome(value: float, error: float, freedom: int) -> Outcome:
    from scipy.stats import t

    if abs(value) < 1e-12:
        value = 0.0
    reach = float(t.ppf(0.975, freedom)) * error
    same = error < 1e-12  # whichever seed is left out
    p_value = float(not value) if same else 2 * float(t.sf(abs(value) / error, freedom))
    return Outcome(value, value - reach, value + reach, p_value=p_value)


def probability_of_improvement(ours: np.ndarray, theirs: np.ndarray) -> float:
    """P(ours > theirs) + P(equal) / 2 over all pairs of runs; inputs (seeds,)."""
    return float((np.sign(ours[:, None] - theirs[None, :]) / 2 + 0.5).mean())


def at_edge(chosen: Iterable[int], rates: Sequence[float]) -> tuple[bool, bool]:
    """Whether any choice is the lowest rate of a grid, and whether any is the highest; one rate is no choice."""
    found = set(chosen) if len(rates) > 1 else set()
    return 0 in found, len(rates) - 1 in found


def extended(rates: tuple[float, ...], low: bool, high: bool, more: int) -> tuple[float, ...]:
    """So many further rates beyond either end of an increasing grid, each by the ratio of that end's last two."""
    below = [rates[0] * (rates[0] / rates[1]) ** k for k in range(more, 0, -1)] if low else []
    above = [rates[-1] * (rates[-1] / rates[-2]) ** k for k in range(1, more + 1)] if high else []
    return (*(float(f"{rate:.2g}") for rate in below), *rates, *(float(f"{rate:.2g}") for rate in above))
