"""A tabular chain: two discrete actions, a small reward nearby and a large one far away.

Nothing can be differentiated here except the policy; the exact gradient is a linear solve.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from scorepath.environments._tabular import TabularEnvironment


@dataclass(frozen=True, kw_only=True)
class Chain(TabularEnvironment):
    """States 0 .. states-1 in a row; action 0 goes left, 1 right; an end stays where it is.

    With probability `slip` the move goes the other way. A step that arrives at the left end pays `left_reward`, one
    that arrives at the right end `right_reward`. States and actions are one-hot; the policy's outputs are logits.

    Attributes:
        states: their number S.
        horizon: number of decisions T.
        slip: probability that a move goes the wrong way.
        start: index of the first state.
        left_reward: per step that arrives at state 0.
        right_reward: per step that arrives at state S-1.
        reward_noise: standard deviation of the noise on the reward per step.
    """

    source: ClassVar[str] = "Scorepath; after the chain of Strens 2000"
    variants: ClassVar[tuple[Mapping[str, Any], ...]] = ({"reward_noise": 0.5},)
    slips: ClassVar[tuple[tuple[int, ...], ...]] = ((1, 0),)

    states: int = 6
    start: int = 1
    left_reward: float = 0.1
    right_reward: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.states < 2:
            raise ValueError(f"states must be at least 2, got {self.states}")
        if not 0 <= self.start < self.states:
            raise ValueError(f"start must be a state between 0 and {self.states - 1}, got {self.start}")

    @property
    def state_dim(self) -> int:
        return self.states

    def destinations(self) -> Tensor:
        index = torch.arange(self.states)
        return torch.stack([index - 1, index + 1]).clamp(0, self.states - 1)

    def move_rewards(self) -> Tensor:
        arrival = torch.zeros(self.states, dtype=torch.float64)
        arrival[0], arrival[-1] = self.left_reward, self.right_reward
        return arrival[self.destinations()]
