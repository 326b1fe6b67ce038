"""Solvable chaos: the angle doubles at every step, so an early action's derivative grows like 2^T, exactly.

It is the logistic map at r = 4, written in its angle.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, get_args

import torch
from torch import Tensor

from scorepath.environments.base import Environment, ReferenceClass, require_not_negative

if TYPE_CHECKING:
    from scorepath.policies import Policy

NoiseAt = Literal["every_step", "start"]


@dataclass(frozen=True, kw_only=True)
class AngleDoubling(Environment):
    """`phi' = 2 (phi + a) + process_noise * w` and the terminal reward `cos(2 phi_T)`, T = doublings.

    With an action at every step `2 phi_T = 2^(T+1) start + sum_t k_t (a_t + process_noise * w_t / 2)` with
    `k_t = 2^(T+1-t)`, hence
    `J_sigma = exp(-(sigma^2 + process_noise^2 / 4) sum_t k_t^2 / 2) cos(2^(T+1) start + sum_t k_t mu_t)`.
    With one action at the start it is the cosine landscape of frequency `k_0 = 2^(T+1)`, and the noise on the angle
    comes once, after the last doubling, where its frequency is 2. Several angles have a decision each, and their
    rewards are added.

    Attributes:
        doublings: T, how often the angle doubles.
        noise_at: "every_step" is one decision before each doubling (horizon T); "start" is a single decision, before
            the first (horizon 1).
        start: first angle in radians. The default, 2 pi / 3, stays on an orbit of period two: the reward of zero
            actions is -1/2 and its slope is as steep, for every T.
        process_noise: standard deviation of the noise on the angle per step, in radians.
        reward_noise: standard deviation of the noise on the reward per step.
        dimension: D, how many independent angles there are.
    """

    source: ClassVar[str] = "Scorepath; Parmas et al. 2018 for the claim"
    reference_class: ClassVar[ReferenceClass] = "closed_form"
    terminal_reward_only: ClassVar[bool] = True
    variants: ClassVar[tuple[Mapping[str, Any], ...]] = (
        {"doublings": 3, "noise_at": "start"},
        {"doublings": 3, "process_noise": 0.05},
        {"doublings": 3, "reward_noise": 0.5},
    )

    doublings: int = 6
    noise_at: NoiseAt = "every_step"
    start: float = 2 * math.pi / 3
    process_noise: float = 0.0
    reward_noise: float = 0.0
    dimension: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1 <= self.doublings <= 1000:  # beyond, 2^(T+1) overflows
            raise ValueError(f"doublings must lie between 1 and 1000, got {self.doublings}")
        if self.noise_at not in get_args(NoiseAt):
            raise ValueError(f"noise_at must be every_step or start, got {self.noise_at!r}")
        if not 1 <= self.dimension <= 10**6:
            raise ValueError(f"dimension must lie between 1 and 1e6, got {self.dimension}")
        require_not_negative(self, "process_noise", "reward_noise")

    @property
    def horizon(self) -> int:
        return self.doublings if self.noise_at == "every_step" else 1

    @property
    def state_dim(self) -> int:
        return self.dimension

    @property
    def action_dim(self) -> int:
        return self.dimension

    @property
    def doublings_per_step(self) -> int:
        return self.doublings // self.horizon

    @property
    def frequencies(self) -> tuple[float, ...]:
        """`k_t`, radians of `2 phi_T` per radian of `a_t`, for every step."""
        return tuple(2.0 ** (self.doublings + 1 - t) for t in range(self.horizon))

    @property
    def process_noise_dim(self) -> int:
        return self.dimension if self.process_noise > 0 else 0

    def initial_state(self, noise: Tensor) -> Tensor:
        return noise.new_full((*noise.shape[:-1], self.dimension), self.start)

    def step(self, state: Tensor, action: Tensor, process_noise: Tensor) -> tuple[Tensor, Tensor]:
        next_state = 2**self.doublings_per_step * (state + action)
        if self.process_noise > 0:
            next_state = next_state + self.process_noise * process_noise
        return next_state, torch.zeros_like(next_state[..., 0])

    def terminal_reward(self, state: Tensor) -> Tensor:
        return torch.cos(2 * state).sum(-1)

    def expected_return(self, policy: Policy, parameters: Tensor, sigma: float) -> Tensor:
        means = self.open_loop_means(policy, parameters)
        # noise on the angle comes after a step's doublings, so it is amplified that much less than the action
        variance = sigma**2 + (self.process_noise / 2**self.doublings_per_step) ** 2
        damping = math.exp(-variance * sum(k**2 for k in self.frequencies) / 2)
        angle = 2 ** (self.doublings + 1) * self.start + parameters.new_tensor(self.frequencies) @ means
        return self.discount**self.horizon * damping * torch.cos(angle).sum()

    def exact_second_moments(self, sigma: float, averaged: frozenset[str]) -> Mapping[str, float] | None:
        """With `u_t = (k_t sigma)^2`, `S = sum_t u_t`, `c = e^-2S cos 2a`, `m = e^-S/2 cos a`, a the last angle's mean.

        Per action of each angle `k_t^2 (1 - c) / 2` for pathwise, and for REINFORCE `1 / sigma^2` times
        `(1 + (1 - 4 u_t) c) / 2 + (D - 1) [2 (1 - u_t) m^2 + (1 + c) / 2 + (D - 2) m^2]`; over starts on an odd number
        of equal parts of the circle, which doubling permutes, `cos 2a` is 0 and `cos^2 a` is 1/2.
        """
        if averaged not in (frozenset(), {"start"}) or self.process_noise or self.reward_noise or self.discount < 1:
            return None
        cosine = 0.0 if averaged else math.cos(2 * 2 ** (self.doublings + 1) * self.start)
        squares = [(k * sigma) ** 2 for k in self.frequencies]
        c, m_square = math.exp(-2 * sum(squares)) * cosine, math.exp(-sum(squares)) * (1 + cosine) / 2
        others = self.dimension - 1
        score = sum(
            (1 + (1 - 4 * u) * c) / 2 + others * (2 * (1 - u) * m_square + (1 + c) / 2 + (others - 1) * m_square)
            for u in squares
        )
        noise = self.dimension / sigma**2
        return {"pathwise": noise * sum(squares) * (1 - c) / 2, "reinforce": noise * score}

    def crossing_noise(self, rival: str, averaged: frozenset[str]) -> tuple[float, ...] | None:
        """`sigma^2 sum_t k_t^2 = T D`: exactly so over all starts, and elsewhere but for e^-2TD."""
        if rival != "reinforce" or averaged not in (frozenset(), {"start"}):
            return None
        return (math.sqrt(self.horizon * self.dimension / sum(k**2 for k in self.frequencies)),)
