"""Simultaneous perturbation: one central difference with every parameter pushed up or down by the toss of a coin."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from scorepath.estimators._perturbation import PerturbationEstimator, central_slopes
from scorepath.noise import Noise
from scorepath.rollout import Simulator


@dataclass(frozen=True, kw_only=True)
class SPSA(PerturbationEstimator):
    """Approximates grad J_sigma. With `g = (R(theta + c D) - R(theta - c D)) / (2 c) * D`, c = `perturbation`.

    The entries of D are 1 or -1 with equal probability, so that D is its own entrywise inverse; both rollouts share
    all trajectory noise. Requires nothing of the environment; one sample is one pair.
    """

    source: ClassVar[str] = "Spall 1992"
    bias: ClassVar[str] = "O(perturbation^2) where J_sigma is smooth; none where it is quadratic in the parameters"

    def batch_gradients(self, simulator: Simulator, noise: Noise) -> Tensor:
        coins = noise.draw("parameter signs", (simulator.policy.parameter_count,), "uniform")
        directions = (2 * coins).floor() * 2 - 1
        return central_slopes(simulator, noise, directions, self.perturbation)[..., None] * directions
