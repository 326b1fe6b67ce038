"""Straight-through Gumbel-softmax: the simulation runs on the choices, the derivative on their relaxation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from scorepath.environments.base import Environment
from scorepath.estimators.base import ActionSignalEstimator
from scorepath.noise import Noise
from scorepath.rollout import Simulator, Trajectories


@dataclass(frozen=True, kw_only=True)
class StraightThrough(ActionSignalEstimator):
    """Approximates grad J_sigma. With `delta_t = dR / dlogits_t`, where a choice's derivative is that of a softmax.

    Forwards `a_t` is the one-hot choice; backwards it is `softmax((logits_t / sigma + Gumbel noise) / temperature)`.
    Requires an environment that can be differentiated at convex combinations of actions, and sigma > 0.
    """

    temperature: float = 0.5

    source: ClassVar[str] = "Bengio, Leonard & Courville 2013; Jang, Gu & Poole 2017"
    family: ClassVar[str] = "pathwise"
    bias: ClassVar[str] = "biased at every temperature: the relaxation's derivative is taken at unrelaxed actions"
    needs_discrete_actions: ClassVar[bool] = True
    needs_relaxed_actions: ClassVar[bool] = True

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
        soft = torch.softmax(perturbed / self.temperature, -1)
        hard = torch.nn.functional.one_hot(perturbed.argmax(-1), perturbed.shape[-1]).to(soft)
        return hard + (soft - soft.detach())  # exactly `hard`
