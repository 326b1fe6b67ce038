"""Gumbel-softmax: discrete actions are relaxed to convex combinations, which the return can be differentiated by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from scorepath.environments.base import Environment
from scorepath.estimators.base import ActionSignalEstimator
from scorepath.noise import Noise
from scorepath.rollout import Simulator, Trajectories


@dataclass(frozen=True, kw_only=True)
class GumbelSoftmax(ActionSignalEstimator):
    """Approximates the gradient of the relaxed return. With `delta_t = dR / dlogits_t` through the relaxed actions.

    `a_t = softmax((logits_t / sigma + Gumbel noise) / temperature)` takes the place of the one-hot choice, the limit at
    temperature 0: there the bias vanishes and the variance grows without bound. The simulation runs on relaxed actions
    and states. Requires an environment that takes them, and sigma > 0.
    """

    temperature: float = 0.5

    source: ClassVar[str] = "Jang, Gu & Poole 2017; Maddison, Mnih & Teh 2017"
    family: ClassVar[str] = "pathwise"
    bias: ClassVar[str] = "biased: unbiased for the relaxed return, which is another objective at every temperature > 0"
    needs_discrete_actions: ClassVar[bool] = True
    needs_relaxed_actions: ClassVar[bool] = True
    variants: ClassVar[tuple[Mapping[str, Any], ...]] = ({"temperature": 0.1},)

    def __post_init__(self) -> None:
        if not self.temperature > 0:
            raise ValueError(f"temperature must be positive, got {self.temperature}")

    def unbiased(self, environment: Environment) -> bool:
        return False

    def signal(
        self, simulator: Simulator, noise: Noise, past: Trajectories | None = None
    ) -> tuple[Trajectories, Tensor]:
        trajectories = simulator.rollout(noise.rollout, differentiable=True, relax=self._relax)
        return trajectories, trajectories.action_gradient(trajectories.returns)

    def _relax(self, perturbed: Tensor) -> Tensor:
        return torch.softmax(perturbed / self.temperature, -1)
