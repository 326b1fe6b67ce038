"""Moments of action signals against closed forms, and the growth of signals in chaos."""

from __future__ import annotations

import math

import pytest
import torch

from scorepath.environments.angle_doubling import AngleDoubling
from scorepath.environments.base import Environment, make_policy
from scorepath.environments.quadratic import Quadratic
from scorepath.environments.step import Step
from scorepath.noise import Noise, Stream
from scorepath.rollout import Simulator
from scorepath.signals import SignalMoments, growth_rate, signal_moments

BATCHES, SAMPLES = 8, 4096


def moments(environment: Environment, sigma: float, samples: int = SAMPLES) -> SignalMoments:
    policy = make_policy(environment)
    simulator = Simulator(environment, policy, torch.zeros(policy.parameter_count, dtype=torch.float64), sigma)
    noise = Noise(environment, Stream(0, "signals", "test"), range(BATCHES), samples, torch.float64)
    return signal_moments(simulator, noise)


@pytest.mark.parametrize("dimension", [1, 3])
def test_moments_of_a_quadratic_are_those_of_its_closed_form(dimension: int) -> None:
    """With f = -|d + z|^2 and z of variance s in each of D coordinates; 6 standard errors of 32,768 samples."""
    offset, s = 1.0, 0.25
    found = moments(Quadratic(dimension=dimension, offset=offset), s**0.5)
    square = offset**2 * dimension  # Quadratic puts every coordinate of the optimum at the offset
    room = 0.1  # six standard errors of the widest of them, a fourth moment: 6 * 2.9 / 181
    assert found.coordinates == dimension
    assert found.return_variance == pytest.approx(4 * square * s + 2 * dimension * s**2, rel=room)
    assert found.slope == pytest.approx(4 * s * (square + dimension * s), rel=room)
    assert found.signal_variance == pytest.approx(4 * dimension * s**2, rel=room)
    assert found.coherent_variance == pytest.approx(found.signal_variance)
    assert found.cross - found.slope == pytest.approx(0.0, abs=room * found.slope + 2 * dimension**2 * s**2)


def test_the_identity_holds_for_second_moments_of_the_signals() -> None:
    """E[(f - b)^2 eps^2] / s = E f'^2 + Var f / s + E f'^2 + 2 E[(f - b) f''], with the mean for b; f'' is -2."""
    s = 0.25
    found = moments(Quadratic(dimension=1, offset=1.0), s**0.5)
    # (f - b) = -(2 d z + z^2 - s): E[(f - b)^2 z^2] = 12 d^2 s^2 + 10 s^3
    score = (12 * s**2 + 10 * s**3) / s**2
    told = (found.slope + found.return_variance + found.slope + 2 * (found.cross - found.slope)) / s
    assert told == pytest.approx(score, rel=0.1)  # six standard errors


def test_signals_double_backwards_in_chaos() -> None:
    found = moments(AngleDoubling(doublings=4, noise_at="every_step"), 0.1, samples=16)
    assert found.growth_rate == pytest.approx(2 * math.log(2), abs=1e-12)
    assert found.growth_rate_low <= found.growth_rate <= found.growth_rate_high


def test_a_step_has_no_slope_though_its_return_varies() -> None:
    found = moments(Step(edge=0.0), 0.1, samples=16)
    assert found.slope == 0
    assert found.return_variance > 0
    assert math.isnan(found.growth_rate)


def test_growth_is_told_with_limits_over_batches() -> None:
    steps = torch.arange(5.0, dtype=torch.float64)
    squares = torch.stack([torch.exp(-0.5 * steps), torch.exp(-0.7 * steps)])
    rate, low, high = growth_rate(squares)
    assert rate == pytest.approx(0.6)
    assert high - rate == pytest.approx(12.706205 * 0.1, rel=1e-5)  # Student's with one degree of freedom
    assert rate - low == pytest.approx(high - rate)
