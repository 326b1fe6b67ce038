"""Growth as advice names it: of what expands, not of sums of rewards. Random numbers are of one seed."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pytest
import torch
from tests.helpers.advised import LogisticMap
from torch import Tensor

import scorepath as sp
from scorepath.expansion import expansion_rate
from scorepath.noise import Noise, Stream
from scorepath.reasons import GROWN
from scorepath.signals import signal_moments


@dataclass(frozen=True, kw_only=True)
class Linear(sp.Environment):
    """`s' = factor s + a`, and a reward of `-(s' - 1)^2`."""

    horizon: int = 30
    factor: float = 1.0
    source = "test"
    reference_class = "certified_monte_carlo"

    def step(self, state: Tensor, action: Tensor, process_noise: Tensor) -> tuple[Tensor, Tensor]:
        state = self.factor * state + action
        return state, -((state[..., 0] - 1) ** 2)


def decades(environment: sp.Environment, sigma: float) -> tuple[float, float]:
    """Lower limits over the horizon: of an action's effect, and of the signals' plain slope."""
    noise = Noise(environment, Stream(0, "", "advice/signals"), range(8), 16, torch.float64)
    simulator = sp.Simulator(environment, sigma=sigma)
    both = expansion_rate(simulator, noise.rollout)[1], signal_moments(simulator, noise).growth_rate_low
    first, second = (each * (environment.horizon - 1) / math.log(10) for each in both)
    return first, second


@pytest.mark.parametrize("sigma", [0.1, 1.0])
def test_an_integrator_and_a_contraction_do_not_grow(sigma: float) -> None:
    """The plain slope takes an integrator's sum of rewards for growth."""
    beside, plain = decades(Linear(), sigma)
    assert beside < 0.3 < GROWN < plain
    assert decades(Linear(factor=0.9), sigma)[0] < 0.3


@pytest.mark.parametrize("environment", [Linear(factor=1.5), LogisticMap(), sp.environments.AngleDoubling()])
def test_what_expands_grows(environment: sp.Environment) -> None:
    assert decades(environment, 0.1)[0] > GROWN


def test_advice_does_not_blame_an_integrator_nor_cut_it_off() -> None:
    """At much noise pathwise is not the better one at a reward that is even in the state, and nothing grows."""
    for answer in sp.advise(Linear(horizon=20), noise_levels=[0.1, 3.0], budget=8).answers:
        assert answer.reason != "growth"
        assert "truncated_pathwise" not in str(answer)
    (chaos,) = sp.advise(LogisticMap(), noise_levels=[0.3], budget=8).answers
    assert chaos.reason == "growth"
    assert "truncated_pathwise" in str(chaos)
