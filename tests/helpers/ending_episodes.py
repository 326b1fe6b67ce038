"""Linear dynamics whose episodes end early."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from scorepath.environments.lqr import LQR


@dataclass(frozen=True, kw_only=True)
class Fall(LQR):
    """An LQR whose episodes end below zero: the state then stays, and rewards are 0."""

    def active(self, state: Tensor) -> Tensor:
        return state[..., 0] > 0

    def step(self, state: Tensor, action: Tensor, process_noise: Tensor) -> tuple[Tensor, Tensor]:
        going = self.active(state)
        next_state, reward = super().step(state, action, process_noise)
        return torch.where(going[..., None], next_state, state), torch.where(going, reward, 0.0)
