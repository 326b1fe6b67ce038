"""Coupling the two branches of a measure-valued derivative is no free lunch."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from scorepath.claims._lab import Claim, Finding, Lab, near, only_crossing
from scorepath.environments.quadratic import Quadratic


def experiment(lab: Lab) -> Iterator[Finding]:
    """See the module: predictions first, then what is measured."""
    distances = [1.1, 1.35, 1.5, 1.7, 2.1]
    sides: dict[bool, list[np.ndarray]] = {True: [], False: []}
    for distance in distances:
        simulator = lab.at(Quadratic(dimension=1, offset=0.0), 1.0, distance * lab.setting("unit", 1.0))
        for coupled, found in sides.items():
            found.append(lab.sample("measure_valued", simulator, 64, 512, coupled=coupled).variances)
    predicted = math.sqrt(2 / (4 - math.pi))
    yield Finding(
        f"quadratic, sigma = 1: coupled and independent branches have equal variances at a distance of {predicted:.4f}"
        " (within 5 %)",
        only_crossing(distances, sides[True], sides[False]), predicted, near(predicted, 0.05),
    )  # fmt: skip


CLAIM = Claim(
    source="Mohamed 2020 fig. 7; derived",
    prediction=(
        "On an offset quadratic the coupled measure-valued derivative is worse than the independent one iff "
        "|d| > 1.526 sigma."
    ),
    experiment=experiment,
    mutants=({"unit": 1.15},),
)
