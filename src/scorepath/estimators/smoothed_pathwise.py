"""The pathwise gradient of a smoothed simulator: jumps and kinks are spread out, so that there is a slope to see."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from torch import Tensor

from scorepath.adjoint import backpropagate
from scorepath.environments.base import Environment
from scorepath.estimators.base import ActionSignalEstimator
from scorepath.noise import Noise
from scorepath.rollout import Simulator, Trajectories


@dataclass(frozen=True, kw_only=True)
class SmoothedPathwise(ActionSignalEstimator):
    """Approximates the gradient of J_sigma in `environment.smoothed(width)`. With its `delta_t = dR / da_t`.

    Requires differentiable dynamics, continuous actions and a smoothed version of the environment, whose family says
    what `width` is measured in.
    """

    width: float = 0.1

    source: ClassVar[str] = "Suh et al. 2022, section 3.6"
    family: ClassVar[str] = "pathwise"
    bias: ClassVar[str] = "biased for grad J_sigma, unbiased for that of the smoothed environment"
    needs_noise: ClassVar[bool] = False
    needs_differentiable_dynamics: ClassVar[bool] = True
    needs_continuous_actions: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not self.width > 0:
            raise ValueError(f"width must be positive, got {self.width}")

    def unbiased(self, environment: Environment) -> bool:
        return False

    def not_applicable(self, environment: Environment, sigma: float) -> str | None:
        if environment.smoothed(self.width) is None:
            return "no smoothed version of these dynamics"
        return super().not_applicable(environment, sigma)

    def signal(
        self, simulator: Simulator, noise: Noise, past: Trajectories | None = None
    ) -> tuple[Trajectories, Tensor]:
        smoothed = simulator.environment.smoothed(self.width)
        if smoothed is None:
            raise ValueError(f"{type(simulator.environment).__name__} has no smoothed version")
        return backpropagate(replace(simulator, environment=smoothed), noise.rollout)
