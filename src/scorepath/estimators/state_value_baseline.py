"""State-value baseline: what the state already promised is subtracted before an action is credited."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from scorepath.estimators._critics import fitted_state_values
from scorepath.estimators.base import ScoreFunctionEstimator
from scorepath.noise import Noise
from scorepath.rollout import Trajectories


@dataclass(frozen=True, kw_only=True)
class StateValueBaseline(ScoreFunctionEstimator):
    """Approximates grad J_sigma. With `delta_t = (G_t - V_t(o_t)) * eps_t / sigma`, V fitted to earlier trajectories.

    Requires earlier trajectories: an independent pilot when gradients are measured, the previous iteration's batch
    in training (which has none at first and starts without a baseline).
    """

    ridge: float = 1e-3

    source: ClassVar[str] = "Sutton et al. 2000; Greensmith, Bartlett & Baxter 2004"
    bias: ClassVar[str] = "unbiased: the value is fitted on trajectories independent of those it is used on"
    needs_past: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.ridge <= 0:
            raise ValueError(f"ridge must be positive, got {self.ridge}")

    def credit(self, trajectories: Trajectories, noise: Noise, past: Trajectories | None = None) -> Tensor:
        values = torch.zeros_like(trajectories.rewards)
        if past is not None:
            values = fitted_state_values(past, trajectories.observations, self.ridge)
        # rounded after the subtraction: advantages can be far smaller than values
        return self.advantages(trajectories, values).to(trajectories.rewards)

    def advantages(self, trajectories: Trajectories, values: Tensor) -> Tensor:
        """What an action is credited with, given V_t(o_t); both (batches, samples, horizon)."""
        return trajectories.rewards_to_go - values
