"""One decision whose reward turns and jumps: `f(a) = cos(k a) + h 1[a > edge]`, and both estimates of its gradient.

The report's interactive figure computes the same in JavaScript, from the same random numbers: those of a generator
that is two lines long in either language, the mulberry32 of Tommy Ettinger (2017, public domain), made normal by Box
and Muller's transformation (1958). Elsewhere random numbers come from a `Stream`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

MEAN, EDGE = 0.2, 0.3
"""The policy's mean action, which is the parameter, and where the reward jumps."""
SAMPLES = 4000
SEED = 22
FREQUENCY, SIGMA = 4.0, 0.3
HEIGHTS = (0.0, 1.0, 2.0)
"""Where the figure without a script is drawn."""
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
NORMAL = 1.959964
"""Of a 95 % interval of a mean of 4000."""


class Exact(NamedTuple):
    """The exact gradient by the mean action, of a world with these knobs."""

    smooth: float  # E f'(a), which is what pathwise expects
    boundary: float  # h times the action's density at the edge

    @property
    def gradient(self) -> float:
        """Of E f(a): by Stein's identity for functions that jump."""
        return self.smooth + self.boundary


class Estimated(NamedTuple):
    """Single-sample gradients, (SAMPLES,) each."""

    reinforce: np.ndarray
    pathwise: np.ndarray


def uniforms(count: int) -> np.ndarray:
    """Numbers in (0, 1), multiples of 2^-32 and a half of one more."""
    state = (np.uint32(SEED) + np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x6D2B79F5)).astype(np.uint32)
    mixed = (state ^ (state >> 15)) * (state | np.uint32(1))
    mixed ^= mixed + (mixed ^ (mixed >> 7)) * (mixed | np.uint32(61))
    return ((mixed ^ (mixed >> 14)).astype(np.float64) + 0.5) / 2**32


def normals() -> np.ndarray:
    """The action noise of every sample, standard normal, whatever the knobs: (SAMPLES,)."""
    radius, angle = uniforms(2 * SAMPLES).reshape(-1, 2).T
    return np.sqrt(-2 * np.log(radius)) * np.cos(2 * math.pi * angle)


def exact(sigma: float, frequency: float, height: float) -> Exact:
    """By the closed forms of the cosine and the step."""
    z = (EDGE - MEAN) / sigma
    smooth = -frequency * math.sin(frequency * MEAN) * math.exp(-((frequency * sigma) ** 2) / 2)
    return Exact(smooth, height * math.exp(-z * z / 2) / (sigma * math.sqrt(2 * math.pi)))


def estimated(sigma: float, frequency: float, height: float) -> Estimated:
    """Both estimators on the same actions, without a baseline."""
    eps = normals()
    action = MEAN + sigma * eps
    reward = np.cos(frequency * action) + height * (action > EDGE)
    return Estimated(reward * eps / sigma, -frequency * np.sin(frequency * action))


def mean_with_limits(samples: np.ndarray) -> tuple[float, float, float]:
    """The mean and its 95 % limits, by the normal approximation."""
    mean, half = samples.mean(), NORMAL * samples.std(ddof=1) / math.sqrt(len(samples))
    return float(mean), float(mean - half), float(mean + half)


def figure_rows() -> Iterator[dict[str, Any]]:
    """A row per jump height and estimator: table `student_figure`."""
    for height in HEIGHTS:
        truth = exact(SIGMA, FREQUENCY, height)
        for name, samples in estimated(SIGMA, FREQUENCY, height)._asdict().items():
            mean, low, high = mean_with_limits(samples)
            spread = np.quantile(samples, QUANTILES)
            yield {
                "sigma": SIGMA, "frequency": FREQUENCY, "height": height, "edge": EDGE, "mean_action": MEAN,
                "estimator": name, "samples": SAMPLES, "gradient": truth.gradient, "boundary_term": truth.boundary,
                "mean": mean, "mean_low": low, "mean_high": high,
                **{f"quantile_{100 * q:.0f}": float(value) for q, value in zip(QUANTILES, spread, strict=True)},
            }  # fmt: skip
