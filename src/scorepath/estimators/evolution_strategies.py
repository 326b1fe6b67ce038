"""Evolution strategies: the score function with respect to a perturbation of the parameters, in antithetic pairs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from scorepath.environments.base import Environment
from scorepath.estimators._perturbation import PerturbationEstimator, central_slopes, gradient_under_both_noises
from scorepath.noise import Noise
from scorepath.rollout import Simulator


@dataclass(frozen=True, kw_only=True)
class EvolutionStrategies(PerturbationEstimator):
    """Approximates the gradient of `E_z J_sigma(theta + s z)`, s = `perturbation`, z standard normal.

    With `g = (R(theta + s z) - R(theta - s z)) / (2 s) * z`, both members of a pair under the same trajectory noise.
    Requires nothing of the environment; one sample is one pair.
    """

    source: ClassVar[str] = "Rechenberg 1973; Salimans et al. 2017"
    bias: ClassVar[str] = "it smooths the parameters as well: exact for E_z grad J_sigma(theta + perturbation * z)"

    def expectation(
        self, environment: Environment, sigma: float, gradient_at: Callable[[float], Tensor]
    ) -> Tensor | None:
        return gradient_under_both_noises(environment, sigma, self.perturbation, gradient_at)

    def batch_gradients(self, simulator: Simulator, noise: Noise) -> Tensor:
        directions = noise.draw("parameters", (simulator.policy.parameter_count,))
        return central_slopes(simulator, noise, directions, self.perturbation)[..., None] * directions
