"""Tabular environments: finitely many states and actions, tables in the place of physics, an exact gradient."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from scorepath.environments.base import Environment, ReferenceClass, require_not_negative

MOST_STATES = 2_000


@dataclass(frozen=True, kw_only=True)
class TabularEnvironment(Environment):
    """One-hot states and actions; an action is one of A moves, unless it slips and another move takes its place.

    A subclass lists the moves; the process noise decides whether an action slips and to what. `step` is linear in state
    and action, so it also takes convex combinations: a relaxed action makes a distribution over states of the state.

    Attributes:
        horizon: number of decisions T.
        slip: probability that another move takes the place of the chosen one; the family says which.
        reward_noise: standard deviation of the noise on the reward per step.
    """

    reference_class: ClassVar[ReferenceClass] = "linear_solve"
    discrete_actions: ClassVar[bool] = True
    relaxed_actions: ClassVar[bool] = True
    differentiable: ClassVar[bool] = False
    continuous: ClassVar[bool] = False
    default_policy: ClassVar[str] = "linear"
    slips: ClassVar[tuple[tuple[int, ...], ...]]
    """What every action may turn into, all equally likely: alternatives of A moves each."""

    horizon: int = 20
    slip: float = 0.1
    reward_noise: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.slip <= 1:
            raise ValueError(f"slip must be a probability, got {self.slip}")
        require_not_negative(self, "reward_noise")
        if self.state_dim > MOST_STATES:
            raise ValueError(
                f"{self.state_dim} states are too many: tables of more than {MOST_STATES} do not fit in memory"
            )

    # --- what a family says -------------------------------------------------------------------------------------
    @property
    def start(self) -> int:
        """Index of the first state."""
        raise NotImplementedError

    def destinations(self) -> Tensor:
        """Index of the state that each move leads to from each state, (A, S)."""
        raise NotImplementedError

    def move_rewards(self) -> Tensor:
        """Reward of each move in each state, (A, S) in float64."""
        raise NotImplementedError

    # --- what follows from it -------------------------------------------------------------------------------------
    @property
    def action_dim(self) -> int:
        return len(self.slips[0])

    @property
    def process_noise_dim(self) -> int:
        return 1

    def initial_state(self, noise: Tensor) -> Tensor:
        return self.initial_distribution().to(noise).expand(*noise.shape[:-1], self.state_dim)

    def step(self, state: Tensor, action: Tensor, process_noise: Tensor) -> tuple[Tensor, Tensor]:
        moves, probabilities = self._outcomes
        limits = probabilities.cumsum(0)[:-1].to(state)
        outcome = torch.bucketize(torch.special.ndtr(process_noise[..., 0].contiguous()), limits, right=True)
        move = (action.unsqueeze(-2) @ moves.to(state)[outcome]).squeeze(-2)
        pairs = (move.unsqueeze(-1) * state.unsqueeze(-2)).flatten(-2)
        return pairs @ self._leads_to.flatten(0, 1).to(state), pairs @ self.move_rewards().flatten().to(state)

    def initial_distribution(self) -> Tensor:
        """Probability of each first state, (S,) in float64."""
        return torch.eye(self.state_dim, dtype=torch.float64)[self.start]

    def transition_matrix(self) -> Tensor:
        """`P[s, a, s']`, probability of s' after action a in s: (S, A, S) in float64."""
        return torch.einsum("ka,asj->skj", self._move_probabilities, self._leads_to)

    def reward_table(self) -> Tensor:
        """Expected reward of action a in state s: (S, A) in float64."""
        return (self._move_probabilities @ self.move_rewards()).mT

    @cached_property
    def _leads_to(self) -> Tensor:
        """The moves as matrices of zeros and ones, (A, S, S) in float64."""
        return one_hot(self.destinations(), self.state_dim).double()

    @cached_property
    def _outcomes(self) -> tuple[Tensor, Tensor]:
        """Which move each action becomes, as matrices (K, A, A), and how likely that is, (K,): slips, then none."""
        moves = torch.tensor([*self.slips, range(self.action_dim)])
        share = self.slip / len(self.slips)
        probabilities = torch.tensor([share] * len(self.slips) + [1 - self.slip], dtype=torch.float64)
        return one_hot(moves, self.action_dim).double(), probabilities

    @property
    def _move_probabilities(self) -> Tensor:
        """Probability that an action becomes a move, (A, A) in float64."""
        moves, probabilities = self._outcomes
        return torch.einsum("k,kam->am", probabilities, moves)
