"""Environments as strangers write them: `continuous` is left at its default, rightly or wrongly.

Each is one line of dynamics over a common skeleton, `x' = x + 0.1 v', v' = v + 0.1 a`, with a clock as third state.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from scorepath.environments.base import Environment


@dataclass(frozen=True, kw_only=True)
class Stranger(Environment):
    """A point mass; subclasses replace what is theirs."""

    horizon: int = 30
    start: float = 0.0

    source: ClassVar[str] = "test"
    reference_class: ClassVar[Any] = "certified_monte_carlo"
    default_policy: ClassVar[str] = "linear"
    state_dim: ClassVar[int] = 3
    initial_noise_dim: ClassVar[int] = 1

    def initial_state(self, noise: Tensor) -> Tensor:
        return torch.cat([self.start + 0.1 * noise, torch.zeros_like(noise), torch.zeros_like(noise)], -1)

    def push(self, x: Tensor, v: Tensor, a: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        """The next position and speed."""
        v = v + 0.1 * a
        return x + 0.1 * v, v

    def pay(self, x: Tensor, v: Tensor, a: Tensor, t: Tensor) -> Tensor:
        """The reward for a position and speed, an action and a time, each (...)."""
        return -((x - 0.3) ** 2) - 0.01 * a**2

    def step(self, state: Tensor, action: Tensor, process_noise: Tensor) -> tuple[Tensor, Tensor]:
        x, v, t = state.unbind(-1)
        a = action[..., 0]
        x_next, v_next = self.push(x, v, a, t)
        return torch.stack([x_next, v_next, t + 1], -1), self.pay(x_next, v_next, a, t)


def _paying(pay: Callable[..., Tensor], **knobs: Any) -> Stranger:
    return type("Paying", (Stranger,), {"pay": pay})(**knobs)


def _pushing(push: Callable[..., tuple[Tensor, Tensor]], **knobs: Any) -> Stranger:
    return type("Pushing", (Stranger,), {"push": push})(**knobs)


def _with(**methods: Any) -> Stranger:
    return type("Other", (Stranger,), methods)()


def _plain(x: Tensor, v: Tensor, a: Tensor) -> tuple[Tensor, Tensor]:
    v = v + 0.1 * a
    return x + 0.1 * v, v


def _quantised(self: Any, state: Tensor) -> Tensor:
    return torch.round(4 * state) / 4


def _standing(self: Any, state: Tensor) -> Tensor:
    return state[..., 0].abs() <= 1.0


def _ended(pay: Callable[[Tensor], Tensor]) -> Callable[..., tuple[Tensor, Tensor]]:
    def step(self: Any, state: Tensor, action: Tensor, process_noise: Tensor) -> tuple[Tensor, Tensor]:
        going = self.active(state)
        x, v = _plain(state[..., 0], state[..., 1], action[..., 0])
        moved = torch.stack([x, v, state[..., 2] + 1], -1)
        return torch.where(going[..., None], moved, state), going * pay(state[..., 0])

    return step


def _advancing(self: Any, state: Tensor, action: Tensor, process_noise: Tensor) -> tuple[Tensor, Tensor]:
    """It never comes back, and earns nothing beyond 1: the end there takes nothing away."""
    x, v, t = state.unbind(-1)
    v = v + 0.1 * action[..., 0]
    moved = torch.stack([x + 0.1 * torch.nn.functional.softplus(v), v, t + 1], -1)
    going = self.active(state)
    return torch.where(going[..., None], moved, state), going * torch.relu(1 - x.abs())


def _geared(self: Any, x: Tensor, v: Tensor, a: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    v = v + torch.where(v > 0.2, 0.05, 0.1) * a
    return x + 0.1 * v, v


def _bouncing(self: Any, x: Tensor, v: Tensor, a: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    v = v + 0.1 * (a - 1.0)
    below = (x + 0.1 * v < 0) & (v < 0)
    v = torch.where(below, -0.8 * v, v)
    return x + 0.1 * v, v


def _sticking(self: Any, x: Tensor, v: Tensor, a: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    v = v + 0.1 * a
    v = torch.where(v.abs() < 0.02, torch.zeros_like(v), v)
    return x + 0.1 * v, v


def _chaotic(self: Any, x: Tensor, v: Tensor, a: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    y = torch.sigmoid(x + 0.1 * a)
    y = 3.99 * y * (1 - y)
    return torch.logit(y.clamp(1e-9, 1 - 1e-9)), v


def _doubled(self: Any, x: Tensor, v: Tensor, a: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    return torch.remainder(2 * x + 0.1 * a, 2 * torch.pi), v


def _wrapped(self: Any, x: Tensor, v: Tensor, a: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    v = v + 0.1 * (a + torch.sin(x))
    return torch.remainder(x + 0.3 * v + torch.pi, 2 * torch.pi) - torch.pi, v


def _stiff(self: Any, x: Tensor, v: Tensor, a: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    for _ in range(50):
        v = v + 0.002 * (a - 1.0 + 2e4 * torch.relu(-x))
        x = x + 0.002 * v
    return x, v


def _circle(self: Any, state: Tensor) -> Tensor:
    x, v, t = state.unbind(-1)
    return torch.stack([torch.cos(x), torch.sin(x) + v, t / 30], -1)


def _shaped(self: Any, state: Tensor, action: Tensor, process_noise: Tensor) -> tuple[Tensor, Tensor]:
    x, v = _plain(state[..., 0], state[..., 1], action[..., 0])
    moved = torch.stack([x, v, state[..., 2] + 1], -1)
    return moved, (x > 0.1).to(x) - (state[..., 0] > 0.1).to(x) - x**2


def _flagged(self: Any, x: Tensor, v: Tensor, a: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    v_next = torch.floor(v) + 1.0 * (x > 0.1)  # counts steps beyond 0.1 and has no effect
    return x + 0.1 * a, v_next


JUMPING: dict[str, Stranger] = {
    "late": _paying(lambda self, x, v, a, t: -(x**2) + (t > 90) * (x > 0.1), horizon=100),
    "one step of many": _paying(lambda self, x, v, a, t: -(x**2) + (t == 37) * (a > 0.5), horizon=60),
    "rare": _paying(lambda self, x, v, a, t: -(x**2) + 50.0 * (a > 3.5)),
    "small beside waves": _paying(lambda self, x, v, a, t: torch.sin(8 * x) + 0.02 * (x > 0.3)),
    "staircase": _paying(lambda self, x, v, a, t: -torch.floor(20 * x.abs()) / 20),
    "trained only": _paying(lambda self, x, v, a, t: -((x - 4) ** 2) - 0.001 * a**2 + 1.0 * (x > 3.5), horizon=40),
    "quantised actuator": _paying(lambda self, x, v, a, t: -((torch.round(10 * a) / 10 - x) ** 2)),
    "gear": _pushing(_geared),
    "bounce": _pushing(_bouncing),
    "stiction": _pushing(_sticking),
    "quantised sensor": _with(observe=_quantised),
    "early end": _with(active=_standing, step=_ended(lambda x: 1.0 - 0.1 * x**2)),
    "early end, small bonus": _with(active=_standing, step=_ended(lambda x: 0.01 - x**2)),
    "last state": _with(terminal_reward=lambda self, state: torch.sign(state[..., 1] - 0.2)),
    "in chaos": type(
        "Chaos",
        (Stranger,),
        {
            "push": _chaotic,
            "pay": lambda self, x, v, a, t: torch.tanh(x) + (t > 35) * (x > 0),
            "observe": lambda self, state: state * torch.tensor([1.0, 0.0, 0.0]).to(state),
        },
    )(horizon=40),
}
"""By the kind of jump."""


def _ending(self: Any, state: Tensor, action: Tensor, process_noise: Tensor) -> tuple[Tensor, Tensor]:
    """The speed may not leave a range that a thousandth of the trajectories at sigma = 0.3 leave."""
    going = self.active(state)
    x, v = _plain(state[..., 0], state[..., 1], action[..., 0])
    moved = torch.stack([x, v, state[..., 2] + 1], -1)
    return torch.where(going[..., None], moved, state), going * (1.0 - (x - 1) ** 2)


RARE: dict[str, tuple[Stranger, tuple[float, float, float]]] = {
    "bonus": (
        _paying(lambda self, x, v, a, t: -((x - 1) ** 2) - 0.01 * a**2 + 30.0 * (t == 29) * (v > 0.51)),
        (0.0, 0.0, 0.0),
    ),
    "early end": (_with(active=lambda self, state: state[..., 1].abs() <= 0.54, step=_ending), (0.0, 0.0, 0.0)),
    "where training leads": (
        _paying(lambda self, x, v, a, t: -0.1 * (x - 1) ** 2 + 10.0 * (x > 1.95)),
        (0.3, 0.3, 0.0),
    ),
}
"""Jumps that about one trajectory in a thousand meets at sigma = 0.3, and the gains at which that is so."""


RARE_BESIDE_A_RAMP: Stranger = _paying(
    lambda self, x, v, a, t: RARE["bonus"][0].pay(x, v, a, t) + 20 * torch.clamp((x - 0.1) / 1e-6, 0, 1)
)
"""The first of these jumps, and a ramp that many lines cross and no sample falls on."""


def ramp(width: float, height: float = 20.0, edge: float = 0.1) -> Stranger:
    """Of this height and width, in the position."""
    return _paying(lambda self, x, v, a, t: -(x**2) + height * torch.clamp((x - edge) / width, 0, 1))


RAMPS: dict[str, Stranger] = {
    "ramp of 1e-6": ramp(1e-6),
    "ramp of 3e-6": ramp(3e-6),
    "slope of 1e8": _paying(lambda self, x, v, a, t: torch.sigmoid(1e8 * (x - 0.1))),
    "in the action": _paying(lambda self, x, v, a, t: -(x**2) + 20 * torch.clamp((a - 0.1) / 1e-6, 0, 1)),
    "soft quantiser": _paying(lambda self, x, v, a, t: -((a + torch.tanh(1e7 * torch.sin(40 * a)) / 40 - x) ** 2)),
}
"""Continuous, but nearly no sample falls on what changes the return."""

SMOOTH: dict[str, Stranger] = {
    "ramp that is met": ramp(0.05),
    "slope of 1e4": _paying(lambda self, x, v, a, t: torch.sigmoid(1e4 * (x - 0.1))),
    "root": _paying(lambda self, x, v, a, t: -((x - 0.1).abs().clamp_min(1e-300) ** 0.5)),
    "fourth root": _paying(lambda self, x, v, a, t: -((x - 0.1).abs().clamp_min(1e-300) ** 0.25)),
    "kinks": _paying(lambda self, x, v, a, t: -torch.relu(x) - 5 * (x - 0.1).abs() - torch.clamp(a, -1, 1)),
    "large offset": _paying(lambda self, x, v, a, t: 1e6 - x**2),
    "tiny unit": _paying(lambda self, x, v, a, t: -1e-12 * x**2),
    "chaos": type(
        "Chaos", (Stranger,), {"push": _chaotic, "pay": lambda self, x, v, a, t: torch.tanh(x)}
    )(horizon=100),
    "wrapped chaos": type(
        "Doubling", (Stranger,),
        {"push": _doubled, "pay": lambda self, x, v, a, t: torch.cos(x), "observe": _circle},
    )(horizon=80),
    "wrapped angle": type(
        "Wrapped", (Stranger,),
        {"push": _wrapped, "pay": lambda self, x, v, a, t: torch.cos(x) - 0.1 * v**2, "observe": _circle},
    )(horizon=60, start=3.0),
    "stiff ground": _pushing(_stiff),
    "early end that costs nothing": _with(active=_standing, step=_advancing),
    "shaping that cancels": _with(
        step=_shaped, terminal_reward=lambda self, state: -(state[..., 0] > 0.1).to(state)
    ),
    "a flag without effect": _with(
        push=_flagged, observe=lambda self, state: state * torch.tensor([1.0, 0.0, 0.0]).to(state)
    ),
}  # fmt: skip
"""By what might be taken for a jump."""
