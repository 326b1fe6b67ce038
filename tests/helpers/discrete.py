"""Small environments with discrete actions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from scorepath.environments._tabular import TabularEnvironment
from scorepath.environments.chain import Chain
from scorepath.environments.grid import Grid

TEMPERATURE = 0.7
"""The noise level sigma, which softens the choices of a discrete policy."""


@dataclass(frozen=True, kw_only=True)
class Bandit(TabularEnvironment):
    """One choice between rewards 0, 1 and 3."""

    source: ClassVar[str] = "test"
    slips: ClassVar[tuple[tuple[int, ...], ...]] = ((1, 2, 0),)
    state_dim: ClassVar[int] = 1
    start: ClassVar[int] = 0

    horizon: int = 1
    slip: float = 0.0

    def destinations(self) -> Tensor:
        return torch.zeros(3, 1, dtype=torch.long)

    def move_rewards(self) -> Tensor:
        return torch.tensor([[0.0], [1.0], [3.0]], dtype=torch.float64)


SEQUENTIAL = [Chain(states=4, horizon=4, slip=0.3, discount=0.8, reward_noise=0.2), Grid(horizon=4, cliff=True)]
"""Several choices in a row, with discounting, slips, noisy rewards and ends."""
