"""What estimators share that differentiate by a relaxation of discrete actions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from scorepath.adjoint import backpropagate
from scorepath.environments.base import Environment
from scorepath.estimators.base import ActionSignalEstimator
from scorepath.noise import Noise
from scorepath.rollout import Simulator, Trajectories


@dataclass(frozen=True, kw_only=True)
class RelaxedEstimator(ActionSignalEstimator):
    """`delta_t = dR / dlogits_t`, with `relax` in the place of the choice."""

    temperature: float = 0.5

    family: ClassVar[str] = "pathwise"
    needs_discrete_actions: ClassVar[bool] = True
    needs_relaxed_actions: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not self.temperature > 0:
            raise ValueError(f"temperature must be positive, got {self.temperature}")

    def unbiased(self, environment: Environment) -> bool:
        return False

    def relax(self, perturbed: Tensor) -> Tensor:
        """The action for `logits / sigma + Gumbel noise`, (..., action_dim): their softmax at this temperature."""
        return torch.softmax(perturbed / self.temperature, -1)

    def signal(
        self, simulator: Simulator, noise: Noise, past: Trajectories | None = None
    ) -> tuple[Trajectories, Tensor]:
        return backpropagate(simulator, noise.rollout, relax=self.relax)
