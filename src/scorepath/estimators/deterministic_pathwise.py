"""The pathwise gradient of the noiseless policy: Silver et al.'s limit, used at whatever sigma the policy acts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from scorepath.adjoint import backpropagate
from scorepath.environments.base import Environment
from scorepath.estimators.base import ActionSignalEstimator
from scorepath.noise import Noise
from scorepath.rollout import Simulator, Trajectories


@dataclass(frozen=True, kw_only=True)
class DeterministicPathwise(ActionSignalEstimator):
    """Approximates grad J_0. With `delta_t = dR / da_t` on a rollout at sigma = 0.

    Requires differentiable dynamics and continuous actions. For a smooth return its bias for grad J_sigma is
    O(sigma^2), and zero when the return is quadratic in the actions.
    """

    source: ClassVar[str] = "Silver et al. 2014, theorem 2"
    family: ClassVar[str] = "pathwise"
    bias: ClassVar[str] = "it estimates grad J_0: its bias for grad J_sigma is O(sigma^2) where the return is smooth"
    needs_noise: ClassVar[bool] = False
    needs_differentiable_dynamics: ClassVar[bool] = True
    needs_continuous_actions: ClassVar[bool] = True

    def unbiased(self, environment: Environment) -> bool:
        return False

    def expectation(
        self, environment: Environment, sigma: float, gradient_at: Callable[[float], Tensor]
    ) -> Tensor | None:
        return gradient_at(0.0) if environment.continuous else None

    def signal(
        self, simulator: Simulator, noise: Noise, past: Trajectories | None = None
    ) -> tuple[Trajectories, Tensor]:
        return backpropagate(simulator.with_sigma(0.0), noise.rollout)
