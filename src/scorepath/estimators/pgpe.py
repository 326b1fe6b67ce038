"""Policy gradients with parameter-based exploration: REINFORCE for a normal search distribution over the parameters."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from scorepath.environments.base import Environment
from scorepath.estimators._perturbation import PerturbationEstimator, gradient_under_both_noises, perturbed_returns
from scorepath.noise import Noise
from scorepath.rollout import Simulator


@dataclass(frozen=True, kw_only=True)
class PGPE(PerturbationEstimator):
    """Approximates the gradient of `E_z J_sigma(theta + s z)`, s = `perturbation`, z standard normal.

    With `g = (R(theta + s z) - b) / s * z`, b the mean return of the other N - 1 samples: one perturbed policy per
    sample and a baseline, where evolution strategies take a mirrored pair. The search distribution keeps its width.
    Requires at least two trajectories per batch, and nothing of the environment.
    """

    source: ClassVar[str] = "Sehnke et al. 2010"
    bias: ClassVar[str] = "it smooths the parameters as well: exact for E_z grad J_sigma(theta + perturbation * z)"
    couples_samples: ClassVar[bool] = True
    leaves_one_out: ClassVar[bool] = True

    def expectation(
        self, environment: Environment, sigma: float, gradient_at: Callable[[float], Tensor]
    ) -> Tensor | None:
        return gradient_under_both_noises(environment, sigma, self.perturbation, gradient_at)

    def environment_steps(self, environment: Environment) -> float:
        return environment.horizon

    def batch_gradients(self, simulator: Simulator, noise: Noise) -> Tensor:
        directions = noise.draw("parameters", (simulator.policy.parameter_count,))
        returns = perturbed_returns(simulator, noise, self.perturbation * directions)
        # R_i - mean_{j != i} R_j = (R_i - mean_j R_j) * N / (N - 1)
        advantage = (returns - returns.mean(1, keepdim=True)) * (noise.samples / (noise.samples - 1))
        return (advantage / self.perturbation)[..., None] * directions
