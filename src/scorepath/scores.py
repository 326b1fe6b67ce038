"""What training reached, every run judged at a learning rate that other seeds chose.

Each rate is run at each seed. A seed's rate is the one with the best mean score over the *other* seeds, so no run is
judged at a rate that it helped to choose, and every other run of the cell helps to choose it; further seeds may do that
alone. Which rate that is counts as chance, too: one side is better only if, tuned so, it is better than the other side
at *every* rate that this one could have chosen (an intersection-union test, Berger 1982). The best of these is among
them, so the error rate is that of a single test, and rates that nearly tie cost next to nothing.
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
        no difference. The value is that of both sides tuned; the lower limit is the least of those of our tuned runs
        against each of their candidates, the upper one is made the other way round, and so is the p-value. Each of
        these is Student's over seeds.
    """
    if judged < 2:
        return {"score_difference": Outcome(reason="a single seed shows no spread")}
    our_runs, their_runs = ours[:, :judged], theirs[:, :judged]
    our_scores, their_scores = tuned_scores(ours)[:judged], tuned_scores(theirs)[:judged]
    better = _outcome(
        probability_of_improvement(our_scores, their_scores) - 0.5,
        _improvements(our_scores, their_runs), _improvements(their_scores, our_runs), judged - 1,
    )  # fmt: skip
    difference = _outcome(
        float((our_scores - their_scores).mean()), _gains(our_scores - their_runs), _gains(their_scores - our_runs),
        judged - 1,
    )  # fmt: skip
    better = better._replace(value=better.value + 0.5, low=max(0.0, better.low + 0.5), high=min(1.0, better.high + 0.5))
    return {"score_difference": difference, "probability_of_improvement": better}


def _gains(differences: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Means with their standard errors, (candidates,) of (candidates, seeds)."""
    return differences.mean(1), differences.std(1, ddof=1) / math.sqrt(differences.shape[1])


def _improvements(scores: np.ndarray, rivals: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities that runs (seeds,) are better than each rival's, (candidates, seeds), less 0.5, with their errors.

    The jackknife's over seeds, which both sides share. It is at least the largest that the value allows (van Dantzig
    1951): between few runs a probability takes few values, which can agree whichever seed is left out.
    """
    seeds = len(scores)
    wins = np.sign(scores[:, None] - rivals[:, None, :]) / 2  # (candidates, our seed, their seed)
    value = wins.mean((1, 2))
    with_seed = wins.sum(1) + wins.sum(2) - np.diagonal(wins, axis1=1, axis2=2)
    without = (wins.sum((1, 2))[:, None] - with_seed) / (seeds - 1) ** 2
    jackknifed = (seeds - 1) / seeds * np.square(without - without.mean(1, keepdims=True)).sum(1)
    return value, np.sqrt(np.maximum(jackknifed, (0.25 - value**2) / (seeds - 1)))


def _outcome(
    value: float, ahead: tuple[np.ndarray, np.ndarray], behind: tuple[np.ndarray, np.ndarray], freedom: int
) -> Outcome:
    """From what we are ahead of each of their candidates, and they of each of ours, (candidates,), with errors."""
    from scipy.stats import t

    def surely(means: np.ndarray, errors: np.ndarray) -> tuple[float, float]:
        """The lower limit, and the p-value of being no better than one of them."""
        means = np.where(abs(means) < 1e-12, 0.0, means)
        same = errors < 1e-12  # in every seed
        p_values = np.where(same, means <= 0, t.sf(means / np.where(same, 1.0, errors), freedom))
        return float((means - t.ppf(0.975, freedom) * errors).min()), float(p_values.max())

    (low, better), (high, worse) = surely(*ahead), surely(*behind)
    return Outcome(value if abs(value) >= 1e-12 else 0.0, low, -high, p_value=min(1.0, 2 * min(better, worse)))


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
