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
    comes once, after the last doubling, where its frequency is 2.

    Attributes:
        doublings: T, how often the angle doubles.
        noise_at: "every_step" is one decision before each doubling (horizon T); "start" is a single decision, before
            the first (horizon 1).
        start: first angle in radians. The default, 2 pi / 3, stays on an orbit of period two: the reward of zero
            actions is -1/2 and its slope is as steep, for every T.
        process_noise: standard deviation of the noise on the angle per step, in radians.
        reward_noise: standard deviation of the noise on the reward per step.
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

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1 <= self.doublings <= 1000:  # beyond, 2^(T+1) overflows
            raise ValueError(f"doublings must lie between 1 and 1000, got {self.doublings}")
        if self.noise_at not in get_args(NoiseAt):
            raise ValueError(f"noise_at must be every_step or start, got {self.noise_at!r}")
        require_not_negative(self, "process_noise", "reward_noise")

    @property
    def horizon(self) -> int:
        return self.doublings if self.noise_at == "every_step" else 1

    @property
    def doublings_per_step(self) -> int:
        return self.doublings // self.horizon

    @property
    def frequencies(self) -> tuple[float, ...]:
        """`k_t`, radians of `2 phi_T` per radian of `a_t`, for every step."""
        return tuple(2.0 ** (self.doublings + 1 - t) for t in range(self.horizon))

    @property
    def process_noise_dim(self) -> int:
        return 1 if self.process_noise > 0 else 0

    def initial_state(self, noise: Tensor) -> Tensor:
        return noise.new_full((*noise.shape[:-1], 1), self.start)

    def step(self, state: Tensor, action: Tensor, process_noise: Tensor) -> tuple[Tensor, Tensor]:
        next_state = 2**self.doublings_per_step * (state + action)
        if self.process_noise > 0:
            next_state = next_state + self.process_noise * process_noise
        return next_state, torch.zeros_like(next_state[..., 0])

    def terminal_reward(self, state: Tensor) -> Tensor:
        return torch.cos(2 * state[..., 0])

    def expected_return(self, policy: Policy, parameters: Tensor, sigma: float) -> Tensor:
        means = self.open_loop_means(policy, parameters)[:, 0]
        # noise on the angle comes after a step's doublings, so it is amplified that much less than the action
        variance = sigma**2 + (self.process_noise / 2**self.doublings_per_step) ** 2
        damping = math.exp(-variance * sum(k**2 for k in self.frequencies) / 2)
        angle = 2 ** (self.doublings + 1) * self.start + parameters.new_tensor(self.frequencies) @ means
        return self.discount**self.horizon * damping * torch.cos(angle)
