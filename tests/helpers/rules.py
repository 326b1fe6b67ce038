"""Expectations without sampling: batches whose samples are the nodes of a quadrature rule."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from scorepath.conformance.problems import gradients
from scorepath.environments.base import Environment
from scorepath.estimators.base import Estimator
from scorepath.noise import Distribution, Noise, RolloutNoise, Stream
from scorepath.rollout import Simulator


def gauss_hermite(nodes: int, dimension: int) -> tuple[Tensor, Tensor]:
    """Points (n, dimension) and weights (n,) for standard normals; exact to degree 2 * nodes - 1 in each."""
    x, w = np.polynomial.hermite_e.hermegauss(nodes)
    points = torch.tensor(list(itertools.product(x, repeat=dimension)), dtype=torch.float64)
    weights = torch.tensor(list(itertools.product(w / w.sum(), repeat=dimension)), dtype=torch.float64).prod(-1)
    return points, weights


def normals(environment: Environment) -> int:
    """How many standard normals one trajectory takes, noise on rewards aside."""
    per_step = environment.action_dim + environment.process_noise_dim
    return environment.initial_noise_dim + environment.horizon * per_step


def as_rollout(environment: Environment, points: Tensor) -> RolloutNoise:
    """Rows of standard normals (n, normals) as one batch: the start, every action, then every step's process noise.

    Rewards have no noise.
    """
    steps, sizes = environment.horizon, (environment.action_dim, environment.process_noise_dim)
    initial, action, process = points[None].split(
        [environment.initial_noise_dim, steps * sizes[0], steps * sizes[1]], dim=-1
    )
    return RolloutNoise(
        initial,
        action.unflatten(-1, (steps, sizes[0])),
        process.unflatten(-1, (steps, sizes[1])),
        points.new_zeros(1, len(points), steps, 1 if environment.reward_noise > 0 else 0),
    )


def with_rollout(environment: Environment, rollout: RolloutNoise) -> Noise:
    """A `Noise` that holds these draws."""
    batches, samples = rollout.action.shape[:2]
    made = Noise(environment, Stream(0, "", ""), range(batches), samples, torch.float64)
    made.__dict__["rollout"] = rollout
    return made


def quantiles(environment: Environment, samples: int) -> RolloutNoise:
    """One batch of a single decision whose action noise are the normal law's quantiles."""
    middle = (torch.arange(samples, dtype=torch.float64) + 0.5) / samples
    return as_rollout(environment, torch.special.ndtri(middle)[:, None])


@dataclass(frozen=True, eq=False)
class Listed(Noise):
    """Noise whose draws are listed, (samples, ...), the same for every batch."""

    draws: Mapping[str, Tensor] = field(default_factory=dict)

    def draw(self, quantity: str, shape: tuple[int, ...], distribution: Distribution = "normal") -> Tensor:
        if 0 in shape:
            return torch.zeros(len(self.replicates), self.samples, *shape, dtype=self.dtype)
        return self.draws[quantity].expand(len(self.replicates), self.samples, *shape)


def listed(environment: Environment, batches: int, **draws: Tensor) -> Listed:
    named = {name.replace("_", " "): values.double() for name, values in draws.items()}
    samples = max(len(values) for values in named.values())
    return Listed(environment, Stream(0, "", ""), range(batches), samples, torch.float64, draws=named)


def central_differences(function: Callable[[Tensor], Tensor | float], parameters: Tensor, step: float = 1e-5) -> Tensor:
    """The derivative of a function of a flat vector by each of its entries, (P, ...)."""
    directions = step * torch.eye(len(parameters), dtype=torch.float64)
    ends = [(function(parameters + d), function(parameters - d)) for d in directions]
    return torch.stack([torch.as_tensor((above - below) / (2 * step), dtype=torch.float64) for above, below in ends])


def plain_returns(start: Simulator, normals: Tensor) -> Tensor:
    """Returns (n,) for rows of standard normals as `as_rollout` takes them, by a loop apart from the rollout's own."""
    environment = start.environment
    sizes = [environment.initial_noise_dim, *[environment.action_dim] * environment.horizon]
    sizes += [environment.process_noise_dim] * environment.horizon
    initial, *rest = normals.split(sizes, dim=-1)
    state, total = environment.initial_state(initial), torch.zeros(len(normals), dtype=normals.dtype)
    for t in range(environment.horizon):
        action = start.policy.mean(start.parameters, environment.observe(state), t) + start.sigma * rest[t]
        state, reward = environment.step(state, action, rest[environment.horizon + t])
        total = total + environment.discount**t * reward
    return total + environment.discount**environment.horizon * environment.terminal_reward(state)


def mean_of_one_decision(estimator: Estimator, start: Simulator, nodes: int = 2**16) -> float:
    """The expected gradient of one decision, by the midpoint rule over the action noise; exact to about 1 / nodes."""
    edges = torch.linspace(-9, 9, nodes + 1, dtype=torch.float64)
    eps = (edges[1:] + edges[:-1]) / 2
    weights = torch.exp(-eps.square() / 2) * (18 / nodes) / math.sqrt(2 * math.pi)
    draws = with_rollout(start.environment, as_rollout(start.environment, eps[:, None]))
    return (weights @ gradients(estimator, start, draws)[0, :, 0]).item()
