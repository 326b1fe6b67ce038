"""Are exploding pathwise gradients rounding errors?"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import torch

from scorepath.claims._lab import Claim, Finding, Lab, about, near, ratio, slope
from scorepath.environments.angle_doubling import AngleDoubling


def experiment(lab: Lab) -> Iterator[Finding]:
    """Single precision loses a bit with every doubling; the second moment, which explodes, stays the same."""
    gaps = []
    for doublings in (6, 14):
        exact, rounded = (
            lab.sample(
                "pathwise", lab.at(AngleDoubling(doublings=doublings - lost, noise_at="start"), 0.1), 128, 64, dtype
            )
            for dtype, lost in (
                (torch.float64, 0), (lab.setting("single", torch.float32), lab.setting("lost", 0))
            )
        )  # fmt: skip
        size = np.square(exact.means).sum(-1).mean()
        gaps.append(np.square(rounded.means - exact.means).sum(-1) / size + 1e-30)
    yield Finding(
        "angle doubling, T = 6 to 14: relative gap of single precision doubles per step, log2 slope 1 (within 0.25)",
        slope(np.sqrt(gaps[1]), np.sqrt(gaps[0]), 8 * math.log(2)), 1.0, about(1.0, 0.25),
    )  # fmt: skip
    yield Finding(
        "the same at T = 14: variance in single over that in double precision 1 (within 5 %): the explosion is real",
        ratio(rounded.variances, exact.variances), 1.0, near(1.0, 0.05),
    )  # fmt: skip


CLAIM = Claim(
    source="issue trackers of Brax and MuJoCo",
    prediction="Many exploding pathwise gradients are artefacts of single precision.",
    experiment=experiment,
    mutants=({"single": torch.float64}, {"lost": 1}),
    why=("Rounding errors do grow with the horizon, but the variance is as large in double precision."),
)
