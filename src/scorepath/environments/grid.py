"""A grid to cross, optionally along a cliff: four discrete actions, one reward far away, dangers beside the short way.

Nothing can be differentiated here except the policy; the exact gradient is a linear solve.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from scorepath.environments._tabular import TabularEnvironment
from scorepath.environments.base import require_not_negative


@dataclass(frozen=True, kw_only=True)
class Grid(TabularEnvironment):
    """Squares (row, column), numbered by rows from the top; actions 0 .. 3 go up, right, down and left, walls stop.

    From the lower left corner to the goal, the lower right one, where the episode ends. With a cliff, all squares
    between the two in the lowest row are its foot and end the episode too. With probability `slip` a move veers off
    by a right angle, to either side alike. A move pays `-step_cost`, and `goal_reward` or `-cliff_cost` where it
    ends. States and actions are one-hot; the policy's outputs are logits.

    Attributes:
        rows: their number, at least 2 with a cliff.
        columns: their number, at least 2.
        horizon: number of decisions T.
        slip: probability that a move veers off.
        goal_reward: for arriving at the goal.
        step_cost: per move until the episode ends.
        cliff: whether there is one.
        cliff_cost: for falling off it.
        reward_noise: standard deviation of the noise on the reward per step.
    """

    source: ClassVar[str] = "Scorepath; after the cliff walk of Sutton & Barto 1998"
    variants: ClassVar[tuple[Mapping[str, Any], ...]] = ({"cliff": True}, {"reward_noise": 0.5})
    slips: ClassVar[tuple[tuple[int, ...], ...]] = ((1, 2, 3, 0), (3, 0, 1, 2))

    rows: int = 3
    columns: int = 4
    goal_reward: float = 1.0
    step_cost: float = 0.02
    cliff: bool = False
    cliff_cost: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.rows < 1 + self.cliff:
            raise ValueError(f"rows must be at least {1 + self.cliff}, got {self.rows}")
        if self.columns < 2:
            raise ValueError(f"columns must be at least 2, got {self.columns}")
        require_not_negative(self, "step_cost", "cliff_cost")

    @property
    def state_dim(self) -> int:
        return self.rows * self.columns

    @property
    def start(self) -> int:
        return (self.rows - 1) * self.columns

    def active(self, state: Tensor) -> Tensor:
        return state @ (~self._ends()).to(state) > 0

    def destinations(self) -> Tensor:
        squares = torch.arange(self.state_dim)
        row, column = squares // self.columns, squares % self.columns
        step = torch.tensor([[-1, 0], [0, 1], [1, 0], [0, -1]])
        to_row = (row + step[:, :1]).clamp(0, self.rows - 1)
        to_column = (column + step[:, 1:]).clamp(0, self.columns - 1)
        return torch.where(self._ends(), squares, to_row * self.columns + to_column)

    def move_rewards(self) -> Tensor:
        arrival = torch.full((self.state_dim,), -self.step_cost, dtype=torch.float64)
        arrival[self._ends()] -= self.cliff_cost
        arrival[-1] += self.cliff_cost + self.goal_reward
        return torch.where(self._ends(), 0.0, arrival[self.destinations()])

    def _ends(self) -> Tensor:
        """Which squares end the episode, (S,): the goal and the foot of the cliff."""
        squares = torch.arange(self.state_dim)
        return (squares > self.start) if self.cliff else (squares == self.state_dim - 1)
