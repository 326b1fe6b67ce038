"""Where a cost is convex and never negative, pathwise has the smaller variance at every noise level."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np

from scorepath.claims._lab import Claim, Finding, Lab, exactly

Pair = tuple[Callable[[np.ndarray], np.ndarray], Callable[[np.ndarray], np.ndarray]]
"""A cost and its derivative."""
COSTS: dict[str, Pair] = {
    "(a - 2)^2": (lambda a: (a - 2) ** 2, lambda a: 2 * (a - 2)),
    "a^4": (lambda a: a**4, lambda a: 4 * a**3),
    "|a - 1|": (lambda a: np.abs(a - 1), lambda a: np.sign(a - 1)),
    "exp(3 a)": (lambda a: np.exp(3 * a), lambda a: 3 * np.exp(3 * a)),
    "log(1 + exp(20 a))": (lambda a: np.logaddexp(0, 20 * a), lambda a: 20 / (1 + np.exp(-np.clip(20 * a, -700, 700)))),
}
RIPPLED: Pair = lambda a: 2 + np.cos(10 * a), lambda a: -10 * np.sin(10 * a)
LEVELS = tuple(map(float, np.geomspace(0.01, 1.0, 9)))
NODES, REACH = 40_001, 9.0


def experiment(lab: Lab) -> Iterator[Finding]:
    """`sigma^2 (V_SF - V_PW) = E f^2 + sigma^2 E f'^2 + 2 sigma^2 E f f''`, and no term is negative there."""
    for name, pair in COSTS.items():
        worst = max(_ratio(lab.setting("cost", pair), sigma) for sigma in LEVELS)
        yield Finding(
            f"{name}, sigma = 0.01 to 1: largest variance of pathwise over the score function's below 1",
            exactly(worst), None, (0.0, 1.0),
        )  # fmt: skip
    yield Finding(
        "2 + cos(10 a), which is never negative but not convex: the same ratio above 1",
        exactly(max(_ratio(lab.setting("rippled", RIPPLED), sigma) for sigma in LEVELS)), None, (1.0, math.inf),
    )  # fmt: skip


def _ratio(pair: Pair, sigma: float) -> float:
    """V_PW / V_SF without a baseline at mean 0, by the trapezoidal rule."""
    eps = np.linspace(-REACH, REACH, NODES)
    weights = np.exp(-np.square(eps) / 2)
    weights /= weights.sum()
    cost, slope = (part(sigma * eps) for part in pair)
    first, zeroth = slope, cost * eps / sigma
    own, rival = (weights @ np.square(each) - (weights @ each) ** 2 for each in (first, zeroth))
    return float(own / rival)


CLAIM = Claim(
    source="Gal 2016 section 3; Mohamed 2020; derived",
    prediction="For a cost that is convex and not negative pathwise has the smaller variance, whatever the noise.",
    experiment=experiment,
    mutants=({"cost": RIPPLED, "rippled": COSTS["a^4"]},),
)
