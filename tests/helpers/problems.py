"""Small problems that unit tests meet again and again: simulators at a point, and the noise to roll them out with.

Where an estimator is only to be tried on every kind of problem, `scorepath.conformance.problems.PROBLEMS` has them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from scorepath import registry
from scorepath.environments.angle_doubling import AngleDoubling
from scorepath.environments.base import Environment, make_policy
from scorepath.environments.bump import Bump
from scorepath.environments.cartpole import CartPole
from scorepath.environments.cosine import Cosine
from scorepath.environments.fourier_field import FourierField
from scorepath.environments.lqr import LQR
from scorepath.environments.pendulum import Pendulum
from scorepath.environments.quadratic import Quadratic
from scorepath.environments.random_walk_call import RandomWalkCall
from scorepath.environments.random_walk_digital import RandomWalkDigital
from scorepath.environments.relu import Relu
from scorepath.environments.ripple import Ripple
from scorepath.environments.soft_step import SoftStep
from scorepath.environments.step import Step
from scorepath.environments.tanh_ridge import TanhRidge
from scorepath.environments.uniform_support import UniformSupport
from scorepath.estimators.base import Estimator
from scorepath.noise import Noise, Stream
from scorepath.references.variances import exact_variance
from scorepath.rollout import Simulator, Trajectories

BATCHES, SAMPLES, SIGMA = 3, 8, 0.3
DYNAMICS = ((1.0, 0.1), (-0.2, 0.9))
CONTROL = ((0.1, 0.0), (0.3, 0.5))


def matrix_lqr(horizon: int = 4, discount: float = 0.8, **knobs: Any) -> LQR:
    """Two states and two actions, neither of which is the other's mirror image."""
    return LQR(horizon=horizon, discount=discount, dynamics=DYNAMICS, control=CONTROL, **knobs)


MATRIX_LQR = matrix_lqr(terminal_cost=3.0, reward_noise=0.2)
DIFFERENTIABLE: list[tuple[Environment, str]] = [
    (Quadratic(dimension=3), "open_loop"),
    (AngleDoubling(doublings=3, discount=0.9), "open_loop"),
    (MATRIX_LQR, "linear"),
    (MATRIX_LQR, "mlp"),
    (Pendulum(horizon=5, process_noise=0.1), "mlp"),
    (CartPole(horizon=5), "mlp"),
]
"""Environments with derivatives and the kinds of their policies: every kind of dynamics with every kind of policy."""
ONE_DECISION = [
    Quadratic(offset=0.3),
    Cosine(frequency=4.0, phase=1.0),
    Ripple(frequency=8.0),
    Step(),
    SoftStep(),
    SoftStep(edge=-0.2, width=1.5),
    AngleDoubling(doublings=2, noise_at="start", discount=0.9),
]
"""One decision about one number, with an exact objective."""
SMOOTH_LANDSCAPES: list[Environment] = [
    Bump(steepness=3.0),
    Relu(),
    UniformSupport(offset=0.4),
    TanhRidge(dimension=2, lipschitz=2.0),
    FourierField(dimension=2, correlation_length=0.7, waves=5),
    RandomWalkCall(horizon=3, discount=0.9),
    RandomWalkCall(horizon=2, process_noise=0.2),
    RandomWalkDigital(horizon=2, process_noise=0.2).smoothed(0.5),
    AngleDoubling(doublings=2, process_noise=0.1),
]
LANDSCAPES = [
    *SMOOTH_LANDSCAPES,
    RandomWalkDigital(horizon=3, discount=0.9),
    RandomWalkDigital(horizon=2, process_noise=0.2),
]
"""One decision or a few without feedback, in one dimension or two, with and without process noise."""


def system(value: object) -> str | None:
    """Readable names of parametrised tests: an environment or an estimator by its class, a kind of policy as it is."""
    return value if isinstance(value, str) else label(value)


def label(value: object) -> str | None:
    """Readable names of parametrised tests: an environment or an estimator by its class."""
    return type(value).__name__.strip("_") if isinstance(value, Environment | Estimator) else None


def randn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def simulator(
    environment: Environment,
    sigma: float = SIGMA,
    kind: str | None = None,
    batches: int = 0,
    hidden: tuple[int, ...] = (6,),
) -> Simulator:
    """A policy in generic position: one for all batches, or one for each."""
    policy = make_policy(environment, kind, hidden)
    shape = (batches, policy.parameter_count) if batches else (policy.parameter_count,)
    return Simulator(environment, policy, 0.3 * randn(*shape, seed=5), sigma)


def at(
    environment: Environment, parameters: float | Sequence[float] | Tensor, sigma: float, kind: str | None = None
) -> Simulator:
    """The environment's own policy at these parameters; one number stands for each of them."""
    policy = make_policy(environment, kind)
    theta = torch.as_tensor(parameters, dtype=torch.float64)
    return Simulator(environment, policy, theta.expand(policy.parameter_count) if theta.dim() == 0 else theta, sigma)


def in_generic_position(environment: Environment, sigma: float) -> Simulator:
    """An open-loop policy whose actions all differ, and none of which is 0."""
    policy = make_policy(environment, "open_loop")
    return Simulator(
        environment, policy, torch.linspace(0.17, -0.08, policy.parameter_count, dtype=torch.float64), sigma
    )


def quadratic(distance: float, sigma: float, dimension: int = 1) -> Simulator:
    """`R = -|d + sigma eps|^2`, every coordinate at this distance from the best."""
    return at(Quadratic(dimension=dimension, offset=-distance), 0.0, sigma)


def generic_quadratic() -> tuple[Simulator, Noise, Tensor, Tensor]:
    """`R = -|d + sigma eps|^2` in three dimensions: simulator, noise, d (3,) and eps (batches, samples, 3)."""
    environment = Quadratic(dimension=3, offset=1.0)
    start, draws = simulator(environment), noise(environment)
    return start, draws, start.parameters - environment.offset, draws.rollout.action[..., 0, :]


def noise(
    environment: Environment,
    batches: int = BATCHES,
    samples: int = SAMPLES,
    purpose: str = "test",
    dtype: torch.dtype = torch.float64,
) -> Noise:
    return Noise(environment, Stream(1, "test", purpose), range(batches), samples, dtype)


def earlier(start: Simulator, samples: int = 80) -> Trajectories:
    """Independent earlier trajectories of the same policy, for estimators that learn from them."""
    return start.rollout(noise(start.environment, samples=samples, purpose="past").rollout)


def estimator(method: str) -> Estimator:
    """A method with its default options."""
    made: Estimator = registry.load(registry.ESTIMATORS, method)()
    return made


MANY = 10**9
"""A batch size at which leave-one-out is the score function with the exact mean as its baseline."""


def variance(method: str, start: Simulator, batch_size: int = MANY) -> float:
    """The exact variance of one sample, where there is one."""
    value = exact_variance(method, start, batch_size)
    assert value is not None
    return value
