"""In discounted chaos the objective is no longer smooth: its Hölder exponent is a ratio of two rates."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from scorepath.claims._lab import Claim, Finding, Lab, about, slope

DISCOUNT = 0.8
STEPS = 40


def experiment(lab: Lab) -> Iterator[Finding]:
    """`J(x) = sum_t gamma^t cos(2^(t+1) x)`: squared increments at a distance h go as h^(2 H)."""
    starts = lab.generator().uniform(0, 2 * math.pi, (32, 2000))
    near_by, far = (
        np.square(_objective(lab, starts + h) - _objective(lab, starts)).mean(1) for h in (2.0**-12, 2.0**-6)
    )
    predicted = -math.log(DISCOUNT) / math.log(2)
    yield Finding(
        f"discounted doubling map, gamma = 0.8: Hölder exponent {predicted:.4f} by the slope of the"
        " variogram (within 0.03)",
        slope(far, near_by, 2 * 6 * math.log(2)), predicted, about(predicted, 0.03),
    )  # fmt: skip


def _objective(lab: Lab, start: np.ndarray) -> np.ndarray:
    angle, total, weight = start, np.zeros_like(start), 1.0
    for _ in range(STEPS):
        angle = 2 * angle % (2 * math.pi)
        total = total + weight * np.cos(angle)
        weight *= lab.setting("discount", DISCOUNT)
    return total


CLAIM = Claim(
    source="Wang, Herbert & Gao 2023",
    prediction=(
        "In chaos J is (-log gamma / lambda)-Hölder where lambda > -log gamma; the exponent can be estimated "
        "from samples."
    ),
    experiment=experiment,
    mutants=({"discount": 0.7},),
)
