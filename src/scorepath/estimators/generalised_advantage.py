"""Generalised advantage estimation: later rewards count less and less, what values predict stands in for them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from scorepath.environments.base import Environment
from scorepath.estimators.state_value_baseline import StateValueBaseline
from scorepath.rollout import Trajectories


@dataclass(frozen=True, kw_only=True)
class GeneralisedAdvantage(StateValueBaseline):
    """Approximates grad J_sigma. With `delta_t = A_t * eps_t / sigma`, V fitted to earlier trajectories.

    `A_t = sum_l decay^l (rho_{t+l} + V_{t+l+1} - V_{t+l})`, with the rewards rho and the values V discounted to time 0
    and V_T = 0. Requires earlier trajectories, as the state-value baseline does; without any V is 0.

    `decay` is Schulman's lambda: 1 gives the state-value baseline, 0 the one-step error of temporal differences.
    """

    decay: float = 0.95

    source: ClassVar[str] = "Schulman et al. 2016"
    bias: ClassVar[str] = "biased by the error of the fitted value, the more the smaller decay; unbiased at decay = 1"
    variants: ClassVar[tuple[Mapping[str, Any], ...]] = ({"decay": 0.0},)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.decay <= 1:
            raise ValueError(f"decay must lie in [0, 1], got {self.decay}")

    def unbiased(self, environment: Environment) -> bool:
        return (self.decay == 1 or environment.horizon == 1) and super().unbiased(environment)

    def identical_to(self, environment: Environment, sigma: float) -> str | None:
        same = self.ridge == StateValueBaseline.ridge and (self.decay == 1 or environment.horizon == 1)
        return "state_value_baseline" if same else None

    def advantages(self, trajectories: Trajectories, values: Tensor) -> Tensor:
        if trajectories.active is not None:  # nothing is left to gain after the end, whatever the fit says
            values = torch.where(trajectories.active, values, 0.0)
        next_values = torch.nn.functional.pad(values[..., 1:], (0, 1))
        advantages = trajectories.rewards + next_values - values
        for t in reversed(range(advantages.shape[-1] - 1)):
            advantages[..., t] += self.decay * advantages[..., t + 1]
        return advantages
