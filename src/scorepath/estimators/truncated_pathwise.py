"""Truncated backpropagation through time: the pathwise gradient with the graph cut at fixed blocks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from scorepath.environments.base import Environment
from scorepath.estimators.base import ActionSignalEstimator
from scorepath.noise import Noise
from scorepath.rollout import Simulator, Trajectories


@dataclass(frozen=True, kw_only=True)
class TruncatedPathwise(ActionSignalEstimator):
    """Approximates grad J_sigma. With `delta_t = d(rewards of t's block) / da_t`, blocks of `window` steps.

    Requires differentiable dynamics and continuous actions. Each state at a block's start is a constant, so an
    action is credited with the rewards until its block ends: fixed blocks, not sliding windows.
    """

    window: int = 5

    source: ClassVar[str] = "Williams & Peng 1990"
    family: ClassVar[str] = "pathwise"
    bias: ClassVar[str] = "biased: what an action does after its block is left out"
    needs_noise: ClassVar[bool] = False
    needs_differentiable_dynamics: ClassVar[bool] = True
    needs_continuous_actions: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.window < 1:
            raise ValueError(f"window must be at least 1 step, got {self.window}")

    def unbiased(self, environment: Environment) -> bool:
        return environment.continuous and self.window >= environment.horizon

    def identical_to(self, environment: Environment, sigma: float) -> str | None:
        if self.window < environment.horizon:
            return None
        return "pathwise" if sigma > 0 else "deterministic_pathwise"

    def signal(
        self, simulator: Simulator, noise: Noise, past: Trajectories | None = None
    ) -> tuple[Trajectories, Tensor]:
        trajectories = simulator.rollout(noise.rollout, differentiable=True, window=self.window)
        return trajectories, trajectories.action_gradient(trajectories.returns)
