"""Simulators as strangers write them, none of which the advisor's model was fitted to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from scorepath.environments._jacobians import StepJacobians
from scorepath.environments.base import Environment


@dataclass(frozen=True, kw_only=True)
class Arm(Environment):
    """Two joints that reach for a point: smooth everywhere."""

    horizon: int = 15

    source: ClassVar[str] = "test"
    reference_class: ClassVar[Any] = "certified_monte_carlo"
    default_policy: ClassVar[str] = "linear"
    state_dim: ClassVar[int] = 4
    action_dim: ClassVar[int] = 2
    initial_noise_dim: ClassVar[int] = 2

    def initial_state(self, noise: Tensor) -> Tensor:
        return torch.cat([0.2 * noise + 0.5, torch.zeros_like(noise)], -1)

    def step(self, state: Tensor, action: Tensor, process_noise: Tensor) -> tuple[Tensor, Tensor]:
        angles, speeds = state[..., :2], state[..., 2:]
        speeds = 0.95 * speeds + 0.1 * (action - torch.sin(angles))
        angles = angles + 0.1 * speeds
        whole = angles.cumsum(-1)
        hand = torch.stack([whole.cos().sum(-1), whole.sin().sum(-1)], -1)
        reward = -(hand - hand.new_tensor([1.0, 1.0])).square().sum(-1) - 0.01 * action.square().sum(-1)
        return torch.cat([angles, speeds], -1), reward


@dataclass(frozen=True, kw_only=True)
class RareJump(Environment):
    """A cart that loses `fine` beyond a cliff, which it seldom reaches: declared continuous, wrongly."""

    horizon: int = 12
    cliff: float = 0.5
    fine: float = 20.0

    source: ClassVar[str] = "test"
    reference_class: ClassVar[Any] = "certified_monte_carlo"
    default_policy: ClassVar[str] = "linear"
    state_dim: ClassVar[int] = 2
    initial_noise_dim: ClassVar[int] = 1

    def initial_state(self, noise: Tensor) -> Tensor:
        return torch.cat([0.05 * noise, torch.zeros_like(noise)], -1)

    def step(self, state: Tensor, action: Tensor, process_noise: Tensor) -> tuple[Tensor, Tensor]:
        speed = state[..., 1] + 0.2 * action[..., 0]
        place = state[..., 0] + 0.2 * speed
        fallen = (place > self.cliff).to(place)
        return torch.stack([place, speed], -1), -((place + 0.2) ** 2) - self.fine * fallen


@dataclass(frozen=True, kw_only=True)
class LogisticMap(Environment):
    """`x' = 3.9 x (1 - x)`, nudged: chaos."""

    horizon: int = 20

    source: ClassVar[str] = "test"
    reference_class: ClassVar[Any] = "certified_monte_carlo"
    default_policy: ClassVar[str] = "open_loop"
    initial_noise_dim: ClassVar[int] = 1

    def initial_state(self, noise: Tensor) -> Tensor:
        return torch.sigmoid(0.5 * noise)

    def step(self, state: Tensor, action: Tensor, process_noise: Tensor) -> tuple[Tensor, Tensor]:
        moved = torch.sigmoid(torch.logit(state.clamp(1e-6, 1 - 1e-6)) + action)
        following = 3.9 * moved * (1 - moved)
        return following, -((following - 0.6) ** 2).sum(-1)


@dataclass(frozen=True, kw_only=True)
class HeavyReward(Environment):
    """A walk whose reward is the exponential of where it is: moments live in the tail."""

    horizon: int = 10
    steepness: float = 4.0

    source: ClassVar[str] = "test"
    reference_class: ClassVar[Any] = "certified_monte_carlo"
    default_policy: ClassVar[str] = "open_loop"

    def step(self, state: Tensor, action: Tensor, process_noise: Tensor) -> tuple[Tensor, Tensor]:
        following = state + action
        return following, torch.exp(self.steepness * following[..., 0])


@dataclass(frozen=True, kw_only=True)
class Numpy(Environment):
    """Dynamics in numpy with their Jacobians written out: what a simulator of another system looks like."""

    horizon: int = 10

    source: ClassVar[str] = "test"
    reference_class: ClassVar[Any] = "certified_monte_carlo"
    default_policy: ClassVar[str] = "linear"
    initial_noise_dim: ClassVar[int] = 1

    def initial_state(self, noise: Tensor) -> Tensor:
        return 1.0 + 0.1 * noise

    def step(self, state: Tensor, action: Tensor, process_noise: Tensor) -> tuple[Tensor, Tensor]:
        x, a = state.numpy(), action.numpy()
        return torch.from_numpy(x + 0.1 * (a - x**3)).to(state), torch.from_numpy(-(x**2).sum(-1)).to(state)

    def step_jacobians(self, state: Tensor, action: Tensor, process_noise: Tensor) -> StepJacobians:
        x = state.numpy()
        by_state = torch.from_numpy(1 - 0.3 * x**2).to(state)[..., None]
        by_reward = torch.from_numpy(-2 * x).to(state)
        return StepJacobians(by_state, torch.full_like(by_state, 0.1), by_reward, torch.zeros_like(by_reward))


@dataclass(frozen=True, kw_only=True)
class Standing(Environment):
    """A pole with a bonus for every step that it stands, so that the return jumps: not declared, and seldom met."""

    horizon: int = 30

    source: ClassVar[str] = "test"
    reference_class: ClassVar[Any] = "certified_monte_carlo"
    default_policy: ClassVar[str] = "linear"
    state_dim: ClassVar[int] = 2
    initial_noise_dim: ClassVar[int] = 1

    def initial_state(self, noise: Tensor) -> Tensor:
        return torch.cat([0.1 * noise, torch.zeros_like(noise)], -1)

    def active(self, state: Tensor) -> Tensor:
        return state[..., 0].abs() <= 1.0

    def step(self, state: Tensor, action: Tensor, process_noise: Tensor) -> tuple[Tensor, Tensor]:
        speed = state[..., 1] + 0.1 * (state[..., 0] + 0.3 * action[..., 0])
        moved = torch.stack([state[..., 0] + 0.15 * speed, speed], -1)
        going = self.active(state)
        return torch.where(going[..., None], moved, state), going * (1.0 - 0.1 * state[..., 0] ** 2)


@dataclass(frozen=True, kw_only=True)
class Counting(Environment):
    """Pays for every step beyond a line, by a comparison: torch has no graph of the return."""

    horizon: int = 10

    source: ClassVar[str] = "test"
    reference_class: ClassVar[Any] = "certified_monte_carlo"
    default_policy: ClassVar[str] = "linear"
    initial_noise_dim: ClassVar[int] = 1

    def initial_state(self, noise: Tensor) -> Tensor:
        return 1.0 + 0.1 * noise

    def step(self, state: Tensor, action: Tensor, process_noise: Tensor) -> tuple[Tensor, Tensor]:
        following = state + 0.1 * action
        return following, (following > 1.1).to(following).sum(-1)
