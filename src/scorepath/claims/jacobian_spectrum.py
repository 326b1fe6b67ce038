"""The growth of the Jacobian tells the horizon at which pathwise dies."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from scorepath.claims._lab import Claim, Finding, Lab, about, only_crossing, second_moments
from scorepath.environments.angle_doubling import AngleDoubling

NOISE = (2.0**-4, 2.0**-8)


def experiment(lab: Lab) -> Iterator[Finding]:
    """The horizon where second moments cross, averaged over starts, against the noise in Lyapunov times of ln 2."""
    starts = [2 * math.pi * third / 3 for third in range(3)]
    horizons = []
    for sigma in NOISE:
        middle = round(-math.log2(sigma) - 1)
        steps = [middle + shift for shift in (-2, -1, 0, 1, 2)]
        sides = [[
            np.mean([
                second_moments(lab.sample(method, lab.at(_chaos(lab, step, start), sigma), 32, 128), 128)
                for start in starts
            ], 0) for step in steps
        ] for method in ("pathwise", "reinforce")]  # fmt: skip
        found = only_crossing([2.0**step for step in steps], *sides)
        horizons.append([math.log2(limit) if 0 < limit < math.inf else limit for limit in found])
        predicted = -math.log2(sigma) - 1
        yield Finding(
            f"angle doubling, sigma = {sigma:g}: pathwise dies at a horizon of {predicted:g} (within 0.3 steps)",
            (horizons[-1][0], horizons[-1][1], horizons[-1][2]), predicted, about(predicted, 0.3),
        )  # fmt: skip


def _chaos(lab: Lab, steps: int, start: float) -> AngleDoubling:
    return AngleDoubling(doublings=steps + lab.setting("more", 0), noise_at="start", start=start)


CLAIM = Claim(
    source="Metz 2021; derived",
    prediction=("Pathwise dies after ln(1 / sigma) Lyapunov times: T* = log2(1 / sigma) - 1 for the doubling map."),
    experiment=experiment,
    mutants=({"more": 1},),
)
