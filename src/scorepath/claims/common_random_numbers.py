"""Common random numbers decide how fast a finite difference's variance grows as its step shrinks."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np
from scipy.stats import norm

from scorepath.claims._lab import Claim, Finding, Lab, about, slope

MEAN, STEPS = 0.3, (0.1, 0.01)
BATCHES, SAMPLES = 64, 4096


def experiment(lab: Lab) -> Iterator[Finding]:
    """Central differences with sigma = 1 around 0.3, of a smooth return and of a jump: log slope in the step."""
    for name, function, common, variance, limit in (
        ("independent noise on both sides, sin(a)", np.sin, False, _independent, -2),
        ("common noise, sin(a)", np.sin, True, lambda step: (math.sin(step) / step) ** 2, 0),
        ("common noise, a jump at 0", _jump, True, _of_a_jump, -1),
    ):
        distance = math.log(STEPS[1] / STEPS[0])
        far, near = (_variances(lab, function, lab.setting("common", common), step) for step in STEPS)
        predicted = math.log(variance(STEPS[1]) / variance(STEPS[0])) / distance
        yield Finding(
            f"{name}: variance as step^{predicted:.3f} from 0.1 to 0.01, and step^{limit} in the limit (within 0.05)",
            slope(near, far, distance), predicted, about(predicted, 0.05),
        )  # fmt: skip


def _jump(action: np.ndarray) -> np.ndarray:
    return (action >= 0).astype(float)


def _variances(lab: Lab, function: Callable[[np.ndarray], np.ndarray], common: bool, step: float) -> np.ndarray:
    """Of one difference, as each batch tells it."""
    sides = ("above", "above" if common else "below")
    above, below = (
        function(MEAN + sign * step + lab.generator(side).standard_normal((BATCHES, SAMPLES)))
        for sign, side in zip((1, -1), sides, strict=True)
    )
    found: np.ndarray = ((above - below) / (2 * step)).var(1, ddof=1)
    return found


def _independent(step: float) -> float:
    """Of two sines with noise of their own: `Var sin(m + eps) = (1 - e^-2 cos 2m) / 2 - e^-1 sin^2 m`."""
    variances = (
        (1 - math.exp(-2) * math.cos(2 * m)) / 2 - math.exp(-1) * math.sin(m) ** 2 for m in (MEAN - step, MEAN + step)
    )
    return sum(variances) / (4 * step**2)


def _of_a_jump(step: float) -> float:
    """The jump lies between both sides with the probability p: `p (1 - p) / (4 h^2)`."""
    inside = float(norm.cdf(step - MEAN) - norm.cdf(-step - MEAN))
    return inside * (1 - inside) / (4 * step**2)


CLAIM = Claim(
    source="Glasserman & Yao 1992; Glasserman 2003 7.1",
    prediction=(
        "The variance of a central difference goes as h^-2 with independent noise; with common noise it stays bounded"
        " where the return is continuous, and goes as h^-1 where it jumps."
    ),
    experiment=experiment,
    mutants=({"common": False}, {"common": True}),
)
