"""Environments that reach points where a derivative is infinite or none, which torch's operations stop on the way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from scorepath.environments.base import Environment

Function = Callable[[Tensor], Tensor]


@dataclass(frozen=True, kw_only=True)
class Edge(Environment):
    """`x' = relu(x + a + flow(x) / 10)` in two coordinates from 0.3, reward `-|x' - 1|^2 + bonus(x)`.

    At 0, where relu holds the state now and then, flow or bonus has no finite derivative; backwards through relu
    nothing passes there. The state returned is a tensor of its own, so that a hook on it sees what comes later only.
    """

    source: ClassVar[str] = "test"
    reference_class: ClassVar = "certified_monte_carlo"
    state_dim: ClassVar[int] = 2
    observation_dim: ClassVar[int] = 2
    action_dim: ClassVar[int] = 2
    default_policy: ClassVar[str] = "linear"

    horizon: int = 8
    flow: Function = torch.zeros_like
    bonus: Function = torch.zeros_like

    def initial_state(self, noise: Tensor) -> Tensor:
        return noise.new_full((*noise.shape[:-1], 2), 0.3)

    def step(self, state: Tensor, action: Tensor, process_noise: Tensor) -> tuple[Tensor, Tensor]:
        following = torch.relu(state + action + 0.1 * self.flow(state))
        return following.clone(), (self.bonus(state) - (following - 1).square()).sum(-1)


class Ending(Edge):
    """An episode ends where its first coordinate is 0; the branch that is not taken has no derivative there."""

    def active(self, state: Tensor) -> Tensor:
        return state[..., 0] > 0

    def step(self, state: Tensor, action: Tensor, process_noise: Tensor) -> tuple[Tensor, Tensor]:
        going = self.active(state)
        following, reward = super().step(state, action / state[..., :1], process_noise)
        return torch.where(going[..., None], following, state), torch.where(going, reward, torch.zeros_like(reward))


class Unrewarded(Edge):
    """The second coordinate has an infinite slope by the action, and no reward depends on it."""

    def step(self, state: Tensor, action: Tensor, process_noise: Tensor) -> tuple[Tensor, Tensor]:
        following = torch.relu(state + action)[..., 0]
        nothing = (action - action.detach())[..., 1].sqrt()
        return torch.stack([following, nothing], -1), -(state[..., 0] + action[..., 0] - 1).square()


class Radius(Edge):
    """Observed are the distance from 0, which has no derivative there, and a coordinate."""

    def observe(self, state: Tensor) -> Tensor:
        return torch.stack([state.square().sum(-1).sqrt(), state[..., 0]], -1)


class Explosion(Edge):
    """Derivatives by the bounded state grow beyond any float32 and may then meet a relu that lets nothing pass."""

    def step(self, state: Tensor, action: Tensor, process_noise: Tensor) -> tuple[Tensor, Tensor]:
        following = torch.relu(torch.sin(2e4 * state) + action)
        return following.clone(), -following.square().sum(-1)


def guarded(function: Function) -> Function:
    """The function where its argument is positive, otherwise 0: the other branch is differentiated all the same."""
    return lambda x: torch.where(x > 0, function(x), torch.zeros_like(x))


EDGES: dict[str, Edge] = {
    "guarded sqrt": Edge(flow=guarded(lambda x: -x.sqrt())),
    "sqrt": Edge(flow=lambda x: -x.sqrt()),
    "guarded division": Edge(flow=guarded(lambda x: 0.01 / x)),
    "guarded log": Edge(bonus=guarded(torch.log)),
    "infinite reward": Edge(bonus=torch.log),
    "power": Edge(flow=lambda x: -(x**0.3)),
    "power of a power": Edge(flow=lambda x: -torch.pow(x, 0.5 + x)),
    "length": Edge(flow=lambda x: -x / (1e-3 + x.square().sum(-1, keepdim=True).sqrt())),
    "vector_norm": Edge(flow=lambda x: -torch.linalg.vector_norm(x, dim=-1, keepdim=True).expand_as(x)),
    "atan2": Edge(flow=lambda x: torch.atan2(x, x.flip(-1))),
    "acos": Edge(flow=lambda x: -torch.acos((1 - x).clamp(-1, 1))),
    "asin": Edge(bonus=lambda x: torch.asin(1 - x.clamp(0, 2))),
    "clamp": Edge(flow=lambda x: -x.clamp(0, 0.5).sqrt()),
    "early end": Ending(),
    "unrewarded end": Unrewarded(),
    "observation": Radius(),
    "explosion": Explosion(horizon=12),
}
