"""On a cosine, pathwise has the smaller variance below one radian of noise and the larger one above."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from scorepath.claims._lab import Claim, Finding, Lab, near, ratio, second_moments
from scorepath.environments.cosine import Cosine


def experiment(lab: Lab) -> Iterator[Finding]:
    """Over three phases, thirds of a turn apart, of which the second moments' average is that over all phases."""
    frequency = lab.setting("frequency", 10.0)
    for rival in ("reinforce", "optimal_constant"):
        moments = {
            method: np.mean([
                second_moments(lab.sample(method, lab.at(Cosine(frequency=frequency, phase=turn), 0.1), 512, 256))
                for turn in (0, 2 * math.pi / 3, 4 * math.pi / 3)
            ], 0)
            for method in ("pathwise", rival)
        }  # fmt: skip
        yield Finding(
            f"k sigma = 1, over phases: second moment of {rival} over pathwise's 1 (within 15 %)",
            ratio(moments[rival], moments["pathwise"]), 1.0, near(1.0, 0.15),
        )  # fmt: skip


CLAIM = Claim(
    source="Mohamed 2020 fig. 3; derived",
    prediction=(
        "The variances of pathwise and of the score function are equal at k sigma = 1, averaged over the "
        "phase, with and without the optimal constant baseline."
    ),
    experiment=experiment,
    mutants=({"frequency": 13.0},),
)
