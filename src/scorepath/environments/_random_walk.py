"""The random walk that the environments `random_walk_*` share; they differ in the payoff at its end."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor

from scorepath.environments.base import ReferenceClass, SequentialEnvironment

if TYPE_CHECKING:
    from scorepath.policies import Policy


@dataclass(frozen=True, kw_only=True)
class RandomWalk(SequentialEnvironment):
    """`x' = x + a + process_noise * w` from `x_0 = 0`, and the terminal reward `payoff(x_T - strike)`.

    Under an open-loop policy x_T is normal with mean `sum_t mu_t` and variance `T (sigma^2 + process_noise^2)`.
    """

    reference_class: ClassVar[ReferenceClass] = "closed_form"
    terminal_reward_only: ClassVar[bool] = True
    variants: ClassVar[tuple[Mapping[str, Any], ...]] = ({"process_noise": 0.1}, {"reward_noise": 0.5}, {"horizon": 50})

    horizon: int = 10
    strike: float = 0.1

    def payoff(self, excess: Tensor, deviation: float = 0.0) -> Tensor:
        """The payoff for `x_T - strike` of this mean and standard deviation, in expectation."""
        raise NotImplementedError

    @property
    def process_noise_dim(self) -> int:
        return 1 if self.process_noise > 0 else 0

    def step(self, state: Tensor, action: Tensor, process_noise: Tensor) -> tuple[Tensor, Tensor]:
        next_state = state + action
        if self.process_noise > 0:
            next_state = next_state + self.process_noise * process_noise
        return next_state, torch.zeros_like(next_state[..., 0])

    def terminal_reward(self, state: Tensor) -> Tensor:
        return self.payoff(state[..., 0] - self.strike)

    def expected_return(self, policy: Policy, parameters: Tensor, sigma: float) -> Tensor:
        excess = self.open_loop_means(policy, parameters).sum() - self.strike
        deviation = math.sqrt(self.horizon * (sigma**2 + self.process_noise**2))
        return self.discount**self.horizon * self.payoff(excess, deviation)
