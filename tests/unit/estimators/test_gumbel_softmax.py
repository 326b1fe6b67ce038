"""Gumbel-softmax: what its temperature does to simulation, signal and bias."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
import torch
from tests.helpers.discrete import SEQUENTIAL, TEMPERATURE
from tests.helpers.problems import label, noise, simulator
from tests.helpers.rules import listed

from scorepath.environments.base import Environment
from scorepath.environments.chain import Chain
from scorepath.estimators.gumbel_softmax import GumbelSoftmax
from scorepath.references.exact import exact_reference


@pytest.mark.parametrize("environment", SEQUENTIAL, ids=label)
def test_gumbel_softmax_simulates_choices_at_low_temperature(environment: Environment) -> None:
    start, draws = simulator(environment, TEMPERATURE, batches=2), noise(environment, 2, 50)
    hard = start.rollout(draws.rollout).returns
    distances = {}
    for temperature in (1.0, 0.1, 1e-6):
        trajectories, _ = GumbelSoftmax(temperature=temperature).signal(start, draws)
        distances[temperature] = (trajectories.returns - hard).abs().mean().item()
    assert distances[1.0] > 0.01
    assert distances[0.1] < distances[1.0] / 2
    assert distances[1e-6] < 1e-9  # none of these 100 × 4 choices is nearly a tie


@pytest.mark.parametrize("environment", SEQUENTIAL, ids=label)
def test_gumbel_softmax_signals_are_finite_differences(environment: Environment) -> None:
    """Of the relaxed return by each logit: later choices and states answer."""
    start, draws, step = simulator(environment, TEMPERATURE), noise(environment, 1, 6), 1e-6
    estimator = GumbelSoftmax(temperature=0.6)
    _, signal = estimator.signal(start, draws)
    assert signal.abs().amax((0, 1, 3)).min() > 1e-3
    for t, choice in itertools.product(range(environment.horizon), range(environment.action_dim)):
        ends = []
        for sign in (1, -1):
            action = draws.rollout.action.clone()
            action[..., t, choice] += sign * step / start.sigma
            ends.append(start.rollout(draws.rollout._replace(action=action), relax=estimator.relax).returns)
        torch.testing.assert_close((ends[0] - ends[1]) / (2 * step), signal[..., t, choice], rtol=1e-6, atol=1e-8)


def test_the_bias_of_gumbel_softmax_vanishes_with_its_temperature() -> None:
    """Of two actions only the difference of their Gumbel noise matters, and that is logistic: a midpoint rule."""
    environment = Chain(states=2, start=0, horizon=1, slip=0.0)
    start = simulator(environment, TEMPERATURE, batches=2)
    uniform = (torch.arange(200_000, dtype=torch.float64) + 0.5) / 200_000
    exponentials = torch.stack([(1 - uniform) / uniform, torch.ones_like(uniform)], -1)[:, None]
    draws = listed(environment, 2, action=exponentials, process=torch.zeros(1))
    exact = [exact_reference(replace(start, parameters=theta)).gradient for theta in start.parameters]
    biases = []
    for temperature in (1.0, 0.1, 0.01):
        found, _ = GumbelSoftmax(temperature=temperature).estimate(start, draws)
        biases.append(((found - torch.stack(exact)).norm(dim=-1) / torch.stack(exact).norm(dim=-1)).tolist())
    for large, medium, small in zip(*biases, strict=True):
        assert 0.05 < large < 1
        assert small < medium / 50 < large / 1000
