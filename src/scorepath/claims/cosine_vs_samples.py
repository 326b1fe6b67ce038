"""How well a mean points uphill follows from the spectrum of its noise, not from its size alone."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from scipy.special import ive

from scorepath.claims._lab import Claim, Finding, Lab, mean, near
from scorepath.environments.quadratic import Quadratic


def experiment(lab: Lab) -> Iterator[Finding]:
    """Pathwise on a quadratic has isotropic normal noise of 2 sigma per coordinate."""
    for dimension in (2, 100):
        simulator = lab.at(
            Quadratic(dimension=dimension, offset=0.0), 1.0, lab.setting("distance", 1.0) / dimension**0.5
        )
        found = lab.sample("pathwise", simulator, 2048 if dimension == 2 else 256, dimension)
        gradient = -2 * np.full(dimension, 1 / dimension**0.5)
        cosines = found.means @ gradient / np.linalg.norm(found.means, axis=-1) / 2
        # N = D samples: noise-to-signal ratio of the mean 1, whatever D
        predicted = _two(math.sqrt(2)) if dimension == 2 else 1 / math.sqrt(2)
        yield Finding(
            f"pathwise on a quadratic, D = N = {dimension}: mean cosine with the gradient"
            f" {predicted:.4f} (within 3 %)",
            mean(cosines), predicted, near(predicted, 0.03),
        )  # fmt: skip


def _two(signal: float) -> float:
    """Of a normal vector in the plane whose mean is `signal` standard deviations long (Rice)."""
    half = signal**2 / 4
    return float(math.sqrt(math.pi / 8) * signal * (ive(0, half) + ive(1, half)))


CLAIM = Claim(
    source="Ilyas 2020; derived",
    prediction=(
        "E cos follows from the covariance: 1 / sqrt(1 + NSR / N) for isotropic noise in many dimensions, and"
        " another number in few."
    ),
    experiment=experiment,
    mutants=({"distance": 1.5},),
)
