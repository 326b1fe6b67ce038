"""Gymnasium's MuJoCo tasks, version 5: reward, observation, termination and start, as functions in torch.

Each is what Gymnasium computes, with its default weights, number for number (tests compare step by step). Rewards are
functions of state, action and next state, so that torch differentiates them and differences only the dynamics.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from scorepath.environments._mujoco import Trace


@dataclass(frozen=True)
class Parts:
    """States by what they are made of, each (..., its size); `seconds` is the length of a decision."""

    qpos: Tensor
    qvel: Tensor
    traces: Tensor
    seconds: float


@dataclass(frozen=True)
class Task:
    """One of Gymnasium's tasks.

    | field | meaning |
    |---|---|
    | model, frame_skip | Gymnasium's XML file, and MuJoCo's steps per decision |
    | observe | what the policy sees of a state, (..., observation_dim) |
    | reward | of state, action, next state and whether that goes on: (...,) |
    | going | whether an episode goes on in a state: (...,) of bool, or None where none ends early |
    | noise | width of the start's positions, and of its velocities, which are uniform or normal |
    | start | what becomes of that, where it takes more: of qpos, qvel and the normals behind qpos |
    | trace | what it reads of the simulator that no state implies |
    """

    model: str
    frame_skip: int
    observe: Callable[[Parts], Tensor]
    reward: Callable[[Parts, Tensor, Parts, Tensor | None], Tensor]
    noise: tuple[float, float]
    normal_velocities: bool = False
    going: Callable[[Parts], Tensor] | None = None
    start: Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor]] | None = None
    trace: Trace | None = None


def _everything_but(positions: int, limit: float = math.inf) -> Callable[[Parts], Tensor]:
    """Positions without the first ones, and velocities, cut off at a limit."""

    def observe(state: Parts) -> Tensor:
        velocities = state.qvel.clamp(-limit, limit) if math.isfinite(limit) else state.qvel
        return torch.cat([state.qpos[..., positions:], velocities], -1)

    return observe


def _forward(cost: float) -> Callable[[Parts, Tensor, Parts, Tensor | None], Tensor]:
    """Forward speed, 1 while healthy, less the cost of controls."""

    def reward(state: Parts, action: Tensor, after: Parts, going: Tensor | None) -> Tensor:
        speed = (after.qpos[..., 0] - state.qpos[..., 0]) / state.seconds
        healthy = 0.0 if going is None else going.to(speed)
        return speed + healthy - cost * action.square().sum(-1)

    return reward


def _finite(state: Parts) -> Tensor:
    return torch.cat([state.qpos, state.qvel], -1).isfinite().all(-1)


def _upright(state: Parts) -> Tensor:
    return _finite(state) & (state.qpos[..., 1].abs() <= 0.2)


def _alive(state: Parts, action: Tensor, after: Parts, going: Tensor | None) -> Tensor:
    return torch.ones_like(action[..., 0]) if going is None else going.to(action)


def _hopping(state: Parts) -> Tensor:
    height, angle = state.qpos[..., 1], state.qpos[..., 2]
    rest = torch.cat([state.qpos[..., 2:], state.qvel], -1)
    return (rest.abs() < 100).all(-1) & (height > 0.7) & (angle.abs() < 0.2)


def _walking(state: Parts) -> Tensor:
    height, angle = state.qpos[..., 1], state.qpos[..., 2]
    return (height > 0.8) & (height < 2.0) & (angle.abs() < 1.0)


def _double_pendulum_trace(model: Any, data: Any) -> tuple[Any, ...]:
    """Where the tip is, x and z, and the cart's constraint force."""
    return data.site_xpos[0][::2], data.qfrc_constraint[:1]


def _double_pendulum_observation(state: Parts) -> Tensor:
    angles = state.qpos[..., 1:]
    parts = [state.qpos[..., :1], angles.sin(), angles.cos(), state.qvel.clamp(-10, 10)]
    return torch.cat([*parts, state.traces[..., 2:].clamp(-10, 10)], -1)


def _double_pendulum_reward(state: Parts, action: Tensor, after: Parts, going: Tensor | None) -> Tensor:
    x, z, _ = after.traces.unbind(-1)
    first, second = after.qvel[..., 1], after.qvel[..., 2]
    alive = 10.0 if going is None else 10.0 * going.to(x)
    return alive - 0.01 * x.square() - (z - 2).square() - 1e-3 * first.square() - 5e-3 * second.square()


def _reacher_trace(model: Any, data: Any) -> tuple[Any, ...]:
    """From the target to the fingertip."""
    return (data.xpos[model.body("fingertip").id] - data.xpos[model.body("target").id],)


def _reacher_observation(state: Parts) -> Tensor:
    angles = state.qpos[..., :2]
    rest = [state.qpos[..., 2:], state.qvel[..., :2], state.traces[..., :2]]
    return torch.cat([angles.cos(), angles.sin(), *rest], -1)


def _reacher_reward(state: Parts, action: Tensor, after: Parts, going: Tensor | None) -> Tensor:
    return -after.traces.norm(dim=-1) - action.square().sum(-1)


def _reacher_start(qpos: Tensor, qvel: Tensor, normals: Tensor) -> tuple[Tensor, Tensor]:
    """The target, at rest, is uniform in a disc of 0.2 m."""
    radius, angle = torch.special.ndtr(normals[..., -2:]).unbind(-1)
    radius, angle = 0.2 * radius.sqrt(), 2 * math.pi * angle
    goal = torch.stack([radius * angle.cos(), radius * angle.sin()], -1)
    still = torch.zeros_like(qvel[..., -2:])
    return torch.cat([qpos[..., :-2], goal], -1), torch.cat([qvel[..., :-2], still], -1)


def _ant_trace(model: Any, data: Any) -> tuple[Any, ...]:
    """Where the torso is, x and y, and the external forces on all bodies."""
    return data.xpos[1][:2], data.cfrc_ext.ravel()


def _ant_observation(state: Parts) -> Tensor:
    forces = state.traces[..., 8:].clamp(-1, 1)  # but those on the world
    return torch.cat([state.qpos[..., 2:], state.qvel, forces], -1)


def _ant_reward(state: Parts, action: Tensor, after: Parts, going: Tensor | None) -> Tensor:
    speed = (after.traces[..., 0] - state.traces[..., 0]) / state.seconds
    healthy = 1.0 if going is None else going.to(speed)
    forces = after.traces[..., 2:].clamp(-1, 1).square().sum(-1)
    return speed + healthy - 0.5 * action.square().sum(-1) - 5e-4 * forces


def _ant_going(state: Parts) -> Tensor:
    height = state.qpos[..., 2]
    return _finite(state) & (height >= 0.2) & (height <= 1.0)


TASKS = {
    "inverted_pendulum": Task(
        "inverted_pendulum.xml", 2, _everything_but(0), _alive, (0.01, 0.01), going=_upright
    ),
    "inverted_double_pendulum": Task(
        "inverted_double_pendulum.xml", 5, _double_pendulum_observation, _double_pendulum_reward, (0.1, 0.1), True,
        going=lambda state: state.traces[..., 1] > 1, trace=_double_pendulum_trace,
    ),
    "swimmer": Task("swimmer.xml", 4, _everything_but(2), _forward(1e-4), (0.1, 0.1)),
    "reacher": Task(
        "reacher.xml", 2, _reacher_observation, _reacher_reward, (0.1, 0.005),
        start=_reacher_start, trace=_reacher_trace,
    ),
    "hopper": Task("hopper.xml", 4, _everything_but(1, 10), _forward(1e-3), (5e-3, 5e-3), going=_hopping),
    "half_cheetah": Task("half_cheetah.xml", 5, _everything_but(1), _forward(0.1), (0.1, 0.1), True),
    "walker": Task("walker2d_v5.xml", 4, _everything_but(1, 10), _forward(1e-3), (5e-3, 5e-3), going=_walking),
    "ant": Task("ant.xml", 5, _ant_observation, _ant_reward, (0.1, 0.1), True, going=_ant_going, trace=_ant_trace),
}  # fmt: skip
"""By the names that the knob `task` takes."""


def listed() -> Sequence[str]:
    """The tasks' names."""
    return sorted(TASKS)
