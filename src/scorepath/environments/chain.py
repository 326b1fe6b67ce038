"""A tabular chain: two discrete actions, a small reward nearby and a large one far away.

Nothing can be differentiated here except the policy; the exact gradient is a linear solve.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from scorepath.environments.base import Environment, ReferenceClass


@dataclass(frozen=True, kw_only=True)
class Chain(Environment):
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
    """

    source: ClassVar[str] = "Scorepath; after the chain of Strens 2000"
    reference_class: ClassVar[ReferenceClass] = "linear_solve"
    discrete_actions: ClassVar[bool] = True
    differentiable: ClassVar[bool] = False
    continuous: ClassVar[bool] = False
    default_policy: ClassVar[str] = "linear"

    states: int = 6
    horizon: int = 20
    slip: float = 0.1
    start: int = 1
    left_reward: float = 0.1
    right_reward: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.states < 2:
            raise ValueError(f"states must be at least 2, got {self.states}")
        if self.horizon < 1:
            raise ValueError(f"horizon must be at least 1, got {self.horizon}")
        if not 0 <= self.slip <= 1:
            raise ValueError(f"slip must be a probability, got {self.slip}")
        if not 0 <= self.start < self.states:
            raise ValueError(f"start must be a state between 0 and {self.states - 1}, got {self.start}")

    @property
    def state_dim(self) -> int:
        return self.states

    @property
    def action_dim(self) -> int:
        return 2

    @property
    def process_noise_dim(self) -> int:
        return 1

    def initial_state(self, noise: Tensor) -> Tensor:
        return self.initial_distribution().to(noise).expand(*noise.shape[:-1], self.states)

    def step(self, state: Tensor, action: Tensor, process_noise: Tensor) -> tuple[Tensor, Tensor]:
        slips = torch.special.ndtr(process_noise) < self.slip
        rightward = torch.where(slips, action[..., :1], action[..., 1:])
        moves = self._moves().to(state)
        next_state = (1 - rightward) * (state @ moves[0]) + rightward * (state @ moves[1])
        return next_state, next_state @ self._arrival_rewards().to(state)

    def initial_distribution(self) -> Tensor:
        """Probability of each first state, (S,) in float64."""
        return torch.eye(self.states, dtype=torch.float64)[self.start]

    def transition_matrix(self) -> Tensor:
        """`P[s, a, s']`, probability of s' after action a in s: (S, 2, S) in float64."""
        intended = self._moves()
        return ((1 - self.slip) * intended + self.slip * intended.flip(0)).transpose(0, 1)

    def reward_table(self) -> Tensor:
        """Expected reward of action a in state s: (S, 2) in float64."""
        return self.transition_matrix() @ self._arrival_rewards()

    def _moves(self) -> Tensor:
        """The move left and the move right as permutation-like matrices, (2, S, S) in float64."""
        index = torch.arange(self.states)
        targets = torch.stack([index - 1, index + 1]).clamp(0, self.states - 1)
        return torch.eye(self.states, dtype=torch.float64)[targets]

    def _arrival_rewards(self) -> Tensor:
        rewards = torch.zeros(self.states, dtype=torch.float64)
        ends = torch.tensor([0, self.states - 1])
        return rewards.index_put((ends,), torch.tensor([self.left_reward, self.right_reward], dtype=torch.float64))
