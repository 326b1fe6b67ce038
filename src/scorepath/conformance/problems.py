"""The reference problems on which estimators are checked, and what it takes to run an estimator on one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from scorepath.conformance.points import ROUNDING
from scorepath.environments.base import Environment, make_policy
from scorepath.environments.chain import Chain
from scorepath.environments.lqr import LQR
from scorepath.environments.pendulum import Pendulum
from scorepath.environments.quadratic import Quadratic
from scorepath.environments.step import Step
from scorepath.environments.uniform_support import UniformSupport
from scorepath.estimators.base import Estimator
from scorepath.noise import Distribution, Noise, Stream
from scorepath.policies import Policy
from scorepath.rollout import Simulator, Trajectories

SIZE = 8
"""Samples per batch where equalities are checked, and training batch of estimators that couple their samples."""
PAST_SIZE = 64
"""Training batch of estimators that learn from earlier trajectories."""


@dataclass(frozen=True)
class Problem:
    """An environment, its policy and a noise level. `parameters` lists the policy's entries, or stands for each."""

    environment: Environment
    sigma: float
    parameters: float | tuple[float, ...] = 0.1

    @property
    def name(self) -> str:
        return type(self.environment).__module__.rpartition(".")[2]

    @property
    def policy(self) -> Policy:
        return make_policy(self.environment, hidden=(6,))

    @property
    def simulator(self) -> Simulator:
        count, values = self.policy.parameter_count, self.parameters
        entries = values if isinstance(values, tuple) else (values,) * count
        return Simulator(self.environment, self.policy, torch.tensor(entries, dtype=torch.float64), self.sigma)

    def population(self, batches: int) -> Simulator:
        """One policy per batch, all in generic position."""
        shape = (batches, self.policy.parameter_count)
        draws = torch.randn(shape, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
        return replace(self.simulator, parameters=self.simulator.parameters + 0.3 * draws)

    def noise(self, batches: int = 3, dtype: torch.dtype = torch.float64, purpose: str = "gradients") -> Noise:
        return Noise(self.environment, Stream(17, self.name, purpose), range(batches), SIZE, dtype)


# rewards and gradients far from zero, low noise: small errors show
PROBLEMS = (
    Problem(Quadratic(dimension=2, offset=1.0), 0.5, (0.2, 0.0)),
    Problem(Step(edge=0.1), 0.3, 0.0),
    Problem(
        LQR(
            horizon=3,
            dynamics=((1.0, 0.3), (0.0, 0.9)),
            control=((0.3,), (1.0,)),
            initial_mean=1.0,
            initial_std=0.2,
            discount=0.8,
        ),
        0.5,
        (0.3, 0.2),
    ),
    Problem(Chain(states=3, horizon=3, left_reward=0.0, discount=0.8), 0.7, 0.0),
    Problem(UniformSupport(), 0.4),
    Problem(Pendulum(horizon=4, process_noise=0.1), 0.3),
)


def gradients(estimator: Estimator, simulator: Simulator, noise: Noise, past: Trajectories | None = None) -> Tensor:
    """Per-trajectory gradients of all batches, (batches, samples, P)."""
    return torch.cat(list(estimator.gradients(simulator, noise, past)))


def earlier(estimator: Estimator, simulator: Simulator, noise: Noise) -> Trajectories | None:
    """Independent earlier trajectories, four times as many, for an estimator that asks for them."""
    if not estimator.needs_past:
        return None
    return simulator.rollout(replace(noise.independent("past"), samples=4 * noise.samples).rollout)


def run(estimator: Estimator, simulator: Simulator, noise: Noise) -> Tensor:
    """Per-trajectory gradients with whatever earlier trajectories the estimator needs."""
    return gradients(estimator, simulator, noise, earlier(estimator, simulator, noise))


def differ(one: Tensor, two: Tensor, relative: float = ROUNDING) -> bool:
    """Whether two results differ by more than rounding."""
    scale = two.double().abs().max().item()
    return not torch.allclose(one.double(), two.double(), rtol=relative, atol=relative * scale)


def altered(environment: Environment, **methods: Callable[..., Any]) -> Environment:
    """The same instance with other methods, equal in all else and in what it declares."""
    kind = type(environment)
    twin: Environment = object.__new__(type(kind.__name__, (kind,), methods))
    twin.__dict__.update(environment.__dict__)
    return twin


@dataclass(frozen=True)
class Rearranged(Noise):
    """Noise whose sample i has the draws of sample `order[i]`."""

    order: tuple[int, ...] = ()

    def draw(self, quantity: str, shape: tuple[int, ...], distribution: Distribution = "normal") -> Tensor:
        drawn = replace(self, samples=max(self.samples, *self.order) + 1)
        return Noise.draw(drawn, quantity, shape, distribution)[:, list(self.order)]


def rearranged(noise: Noise, order: tuple[int, ...]) -> Rearranged:
    """The same noise with its samples in this order."""
    return Rearranged(noise.environment, noise.stream, noise.replicates, noise.samples, noise.dtype, order=order)


def counted(environment: Environment, steps: list[Tensor]) -> Environment:
    """The same environment, its smoothed versions included, that notes the state, action and noise of every step."""
    kind = type(environment)

    def step(self: Environment, *inputs: Tensor) -> tuple[Tensor, Tensor]:
        steps.append(torch.cat(inputs, -1).detach().flatten(0, -2))
        return kind.step(self, *inputs)

    def smoothed(self: Environment, width: float) -> Environment | None:
        softer = kind.smoothed(self, width)
        return softer if softer is None or type(softer) is type(self) else counted(softer, steps)

    return altered(environment, step=step, smoothed=smoothed)
