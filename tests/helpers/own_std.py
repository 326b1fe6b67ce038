"""Policies with a standard deviation of their own, and exact gradients by both parts where formulas give them."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn

from scorepath.environments.base import Environment, make_policy
from scorepath.environments.cosine import Cosine
from scorepath.environments.lqr import LQR
from scorepath.environments.pendulum import Pendulum
from scorepath.environments.quadratic import Quadratic
from scorepath.environments.step import Step
from scorepath.modules import ModulePolicy
from scorepath.policies import LearnedStd, Network, Policy
from scorepath.rollout import Simulator

SIGMA, MEAN, LOG_STD = 0.5, 0.3, -0.4


def cosine(theta: Tensor) -> Tensor:
    """`E cos(k a + p) = exp(-(k s sigma)^2 / 2) cos(k mu + p)`."""
    return torch.exp(-((2.0 * SIGMA * theta[1].exp()) ** 2) / 2) * torch.cos(2.0 * theta[0] + 0.3)


def quadratic(theta: Tensor) -> Tensor:
    """`E -|a - c|^2 = -|mu - c|^2 - sigma^2 sum s_i^2`, in three dimensions with c = 1."""
    return -(theta[:3] - 1.0).square().sum() - SIGMA**2 * (2 * theta[3:]).exp().sum()


def step(theta: Tensor) -> Tensor:
    """`P(a >= edge)`."""
    return torch.special.ndtr((theta[0] - 0.1) / (SIGMA * theta[1].exp()))


LONG = LQR(horizon=4, dynamics=((0.8,),), initial_std=0.3, process_noise=0.3, discount=0.9)


def lqr(theta: Tensor) -> Tensor:
    """The recursion of the covariance at the noise level sigma s, which one action coordinate has."""
    gain = Network((1, 1), bias=False)
    return LONG.expected_return(gain, theta[:1], SIGMA * theta[1].exp())  # type: ignore[arg-type]


EXACT = {
    "cosine": (Cosine(frequency=2.0, phase=0.3), cosine, [MEAN, LOG_STD]),
    "quadratic": (Quadratic(dimension=3, offset=1.0), quadratic, [0.3, 0.5, -0.2, LOG_STD, 0.2, 0.0]),
    "step": (Step(edge=0.1), step, [MEAN, LOG_STD]),
    "lqr": (LONG, lqr, [-0.4, LOG_STD]),
}


def problem(name: str) -> tuple[Simulator, Tensor]:
    """A simulator with a learned standard deviation, and the exact gradient by both parts."""
    environment, objective, values = EXACT[name]
    theta = torch.tensor(values, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(objective(theta), theta)
    policy = make_policy(environment, standard_deviation="learned")
    return Simulator(environment, policy, theta.detach(), SIGMA), gradient


def actor(observations: int, outputs: int) -> nn.Module:
    return nn.Sequential(nn.Linear(observations, 8), nn.SiLU(), nn.Linear(8, outputs))


ONES_OWN: dict[str, tuple[Environment, Policy]] = {
    "module": (Pendulum(horizon=7), ModulePolicy(partial(actor, 3, 2), 3, 2, log_std=True)),
    "module, learned": (Pendulum(horizon=7), LearnedStd(ModulePolicy(partial(actor, 3, 1), 3, 1))),
    "network": (Pendulum(horizon=7), make_policy(Pendulum(), "mlp", (8,), "tanh", "state_dependent")),
    "elu": (Pendulum(horizon=7), make_policy(Pendulum(), "mlp", (8,), "elu", "state_dependent")),
    "linear": (LONG, make_policy(LONG, "linear", standard_deviation="state_dependent")),
    "one step": (Cosine(frequency=2.0), make_policy(Cosine(), "mlp", (4,), "gelu", "state_dependent")),
}


def own_simulator(name: str) -> Simulator:
    environment, policy = ONES_OWN[name]
    generator = torch.Generator().manual_seed(2)
    parameters = 0.4 * torch.randn(policy.parameter_count, generator=generator, dtype=torch.float64)
    return Simulator(environment, policy, parameters, SIGMA)
