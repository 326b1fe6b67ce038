"""Points at which single steps of an environment are checked: those of trajectories under random actions.

So states are ones that do occur. All draws have fixed seeds.
"""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import torch
from torch import Tensor

from scorepath.environments.base import Environment

Points = dict[str, Tensor]
"""Inputs of single steps by name: initial noise, state, action and process noise, each (..., its size)."""
TAKES = {
    "initial_state": ("initial noise",),
    "observe": ("state",),
    "step": ("state", "action", "process noise"),
    "terminal_reward": ("state",),
    "active": ("state",),
}


BATCHES = ((), (5,), (2, 3))
TRAJECTORIES = 8
STEPS = 6
"""Trajectories, and their first steps, at whose points single steps are checked."""
LARGE = 30.0
"""Factor of the large actions."""
NEARLY_ALL = 0.9
"""Share of points that have to agree where a jump or kink may lie at some."""
ROUNDING = 1e-9
"""Relative difference granted to float64 sums in another order."""


def draw_points(environment: Environment, *batch: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Points:
    """Generic inputs at first states; the numbers are those of single precision whatever the dtype."""
    generator = torch.Generator().manual_seed(seed)
    sizes = (environment.initial_noise_dim, environment.action_dim, environment.process_noise_dim)
    initial, action, process = (torch.randn(*batch, size, generator=generator).to(dtype) for size in sizes)
    if environment.discrete_actions:
        action = torch.nn.functional.one_hot(action.argmax(-1), environment.action_dim).to(dtype)
    state = environment.initial_state(initial.clone())
    return {"initial noise": initial, "state": state, "action": action, "process noise": process}


def reachable_points(environment: Environment, scale: float = 1.0, dtype: torch.dtype = torch.float64) -> Points:
    """The points of a few trajectories under random actions, (trajectories * steps, ...)."""
    parts: list[Points] = []
    for t in range(min(environment.horizon, STEPS)):
        points = draw_points(environment, TRAJECTORIES, seed=t, dtype=dtype)
        if not environment.discrete_actions:
            points["action"] = scale * points["action"]
        if parts:
            before = parts[-1]
            points["state"] = environment.step(*(before[name].clone() for name in TAKES["step"]))[0]
        parts.append(points)
    return {name: torch.cat([part[name] for part in parts]).detach() for name in parts[0]}


def outputs(
    environment: Environment, method: str, points: Points, *, differentiable: bool = False
) -> dict[str, Tensor]:
    """What a method returns at these points, by the words that name it in a finding; in torch's graph if asked for."""
    called = "differentiable_step" if differentiable and method == "step" else method
    returned: Any = getattr(environment, called)(*(points[name] for name in TAKES[method]))
    if method == "step":
        next_state, reward = returned
        return {"the next state of step()": next_state, "the reward of step()": reward}
    return {} if returned is None else {f"the result of {method}()": returned}


def same(one: Tensor, two: Tensor) -> bool:
    """Whether two tensors are equal, nan for nan."""
    return torch.allclose(one.double(), two.double(), rtol=0, atol=0, equal_nan=True)


def agree(one: Tensor, two: Tensor, relative: float, absolute: float | None = None) -> Tensor:
    """Whether each row agrees, in all of its entries: (rows,) of bool."""
    absolute = relative if absolute is None else absolute
    close = torch.isclose(one.double(), two.double(), rtol=relative, atol=absolute, equal_nan=True)
    return close.reshape(len(close), -1).all(1)


def random_states() -> list[Any]:
    """The states of the global generators of torch, numpy and Python."""
    numpy_state: Any = np.random.get_state()  # noqa: NPY002
    return [torch.get_rng_state().tolist(), numpy_state[1].tolist(), numpy_state[2:], random.getstate()]
