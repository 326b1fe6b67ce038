"""Antithetic pairs take what is even in the noise away, and pay twice for what is odd."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from scorepath.claims._lab import Claim, Finding, Lab, near, only_crossing, positive_mean
from scorepath.environments.quadratic import Quadratic

DISTANCES = [0.5, 0.7, 0.85, 1.0, 1.2, 1.6]


def experiment(lab: Lab) -> Iterator[Finding]:
    """On a quadratic with sigma = 1 a pair has the variance 8 d^2; two samples with the best constant 4 d^2 + 3."""
    pairs, singles = [], []
    for distance in DISTANCES:
        simulator = lab.at(Quadratic(dimension=1, offset=0.0), 1.0, distance)
        pairs.append(lab.sample("antithetic", simulator, 64, 512).variances)
        singles.append(np.full(64, lab.setting("share", 0.5) * lab.exact("optimal_constant", simulator)))
    yield Finding(
        "quadratic at d = 0.5, sigma = 1: variance of an antithetic pair 2 (within 10 %)",
        positive_mean(pairs[0]), 2.0, near(2.0, 0.1),
    )  # fmt: skip
    predicted = math.sqrt(3) / 2
    yield Finding(
        f"a pair and two samples with the best constant baseline have equal variances at a distance of {predicted:.4f}"
        " (within 5 %)",
        only_crossing(DISTANCES, pairs, singles), predicted, near(predicted, 0.05),
    )  # fmt: skip


CLAIM = Claim(
    source="Hammersley & Morton 1956; derived",
    prediction=(
        "Mirroring helps where the return is nearly even in the noise: on a quadratic it beats two samples with the"
        " best constant baseline iff |d| < 0.866 sigma."
    ),
    experiment=experiment,
    mutants=({"share": 0.6}, {"antithetic": "reinforce"}),
)
