"""Whether dynamics expand, where it is known; and that sums of rewards, integrators and decaying states do not.

Everything is drawn from fixed streams, so nothing here fails by chance.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from scorepath.environments.angle_doubling import AngleDoubling
from scorepath.environments.base import Environment, make_policy
from scorepath.environments.lqr import LQR
from scorepath.expansion import expansion_rate, exponential_rate
from scorepath.noise import Noise, Stream
from scorepath.rollout import Simulator
from scorepath.signals import signal_moments

BATCHES, SAMPLES = 8, 64


@dataclass(frozen=True, kw_only=True)
class Mass(Environment):
    """Two integrators: a position, a velocity that actions change, and a reward at every step."""

    horizon: int = 20
    source = "test"
    reference_class = "certified_monte_carlo"
    default_policy = "linear"
    state_dim = 2
    observation_dim = 2

    def initial_state(self, noise: Tensor) -> Tensor:
        return torch.ones(*noise.shape[:-1], 2, dtype=noise.dtype)

    def step(self, state: Tensor, action: Tensor, process_noise: Tensor) -> tuple[Tensor, Tensor]:
        x, v = state[..., :1] + state[..., 1:], state[..., 1:] + action
        return torch.cat([x, v], -1), -x[..., 0]


@dataclass(frozen=True, kw_only=True)
class Delayed(Environment):
    """A register of actions that arrive five steps later."""

    horizon: int = 12
    source = "test"
    reference_class = "certified_monte_carlo"
    default_policy = "linear"
    state_dim = 6
    observation_dim = 6

    def initial_state(self, noise: Tensor) -> Tensor:
        return torch.zeros(*noise.shape[:-1], 6, dtype=noise.dtype)

    def step(self, state: Tensor, action: Tensor, process_noise: Tensor) -> tuple[Tensor, Tensor]:
        x = state[..., :1] + state[..., 1:2]
        return torch.cat([x, state[..., 2:], action], -1), -((x[..., 0] - 1) ** 2)


def at_zero(environment: Environment, sigma: float = 0.1) -> tuple[Simulator, Noise]:
    policy = make_policy(environment)
    parameters = torch.zeros(policy.parameter_count, dtype=torch.float64)
    noise = Noise(environment, Stream(0, "expansion", "test"), range(BATCHES), SAMPLES, torch.float64)
    return Simulator(environment, policy, parameters, sigma), noise


@pytest.mark.parametrize("factor", [0.5, 0.9, 1.0, 1.2])
def test_a_linear_loop_expands_by_its_factor(factor: float) -> None:
    """Exactly, though its signals grow backwards where it contracts as well: the state decays, and rewards add up."""
    simulator, noise = at_zero(LQR(horizon=20, dynamics=((factor,),), control=((0.5,),), process_noise=0.0), 1e-6)
    assert expansion_rate(simulator, noise.rollout) == pytest.approx([2 * math.log(factor)] * 3, abs=1e-9)
    if factor == 0.5:
        assert signal_moments(simulator, noise).growth_rate > 0.2


def test_angle_doubling_doubles() -> None:
    simulator, noise = at_zero(AngleDoubling(doublings=4, noise_at="every_step"))
    assert expansion_rate(simulator, noise.rollout) == pytest.approx([2 * math.log(2)] * 3, abs=1e-9)


def test_integrators_do_not_expand() -> None:
    """Signals grow by decades, as a power of the steps to go."""
    simulator, noise = at_zero(Mass())
    moments = signal_moments(simulator, noise)
    assert moments.growth_rate_low * 19 / math.log(10) > 2
    assert expansion_rate(simulator, noise.rollout)[2] * 19 / math.log(10) < 0.5


def test_the_growth_of_delayed_signals_is_that_of_the_steps_that_have_any() -> None:
    simulator, noise = at_zero(Delayed())
    assert signal_moments(simulator, noise).growth_steps == 7  # the last five actions reach no reward
    assert expansion_rate(simulator, noise.rollout)[2] * 11 / math.log(10) < 0.5


def test_exponentials_are_told_from_powers() -> None:
    back = torch.arange(20, 0, -1, dtype=torch.float64)
    power, grown = back**4, torch.exp(0.3 * back) * back**2
    assert exponential_rate(torch.stack([power, 2 * power])) == pytest.approx([0, 0, 0], abs=1e-9)
    assert exponential_rate(torch.stack([grown, 2 * grown])) == pytest.approx([0.3, 0.3, 0.3])
    assert all(map(math.isnan, exponential_rate(torch.zeros(2, 20))))
    # a power below zero is none that sums could make: it must not lend the exponential what it takes
    falling = torch.exp(0.3 * back) / back**2
    assert exponential_rate(torch.stack([falling, falling]))[0] < 0.3
