"""Relaxed choices, of which Gumbel-softmax and straight-through gradients are derivatives."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from tests.helpers.discrete import SEQUENTIAL, TEMPERATURE, Bandit
from tests.helpers.problems import label, noise, simulator

from scorepath.environments.base import Environment
from scorepath.estimators.gumbel_softmax import GumbelSoftmax
from scorepath.estimators.straight_through import StraightThrough

RELAXED: list[GumbelSoftmax | StraightThrough] = [GumbelSoftmax(temperature=0.6), StraightThrough(temperature=0.6)]


@pytest.mark.parametrize("batches", [0, 2], ids=["shared", "population"])
@pytest.mark.parametrize("environment", SEQUENTIAL, ids=label)
@pytest.mark.parametrize("estimator", RELAXED, ids=label)
def test_relaxed_gradients_are_those_of_the_parameters(
    estimator: GumbelSoftmax | StraightThrough, environment: Environment, batches: int
) -> None:
    """Signal plus pull-back against torch's reverse mode through the parameters."""
    start, draws = simulator(environment, TEMPERATURE, batches=batches), noise(environment, 2, 50)
    parameters = start.parameters.clone().requires_grad_()
    tracked = replace(start, parameters=parameters)
    returns = tracked.rollout(draws.rollout, differentiable=True, relax=estimator.relax).returns
    (expected,) = torch.autograd.grad(returns.sum() / 50, parameters)
    found, _ = estimator.estimate(start, draws)
    torch.testing.assert_close(found if batches else found.sum(0), expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("estimator", RELAXED, ids=label)
def test_the_derivative_of_a_single_choice_is_that_of_a_softmax(estimator: GumbelSoftmax | StraightThrough) -> None:
    """`s_k (r_k - s . r) / (sigma temperature)` with s the relaxed choice: where rewards are linear both agree."""
    start, draws = simulator(Bandit(), TEMPERATURE), noise(Bandit(), 2, 50)
    _, signal = estimator.signal(start, draws)
    rewards = torch.tensor([0.0, 1.0, 3.0], dtype=torch.float64)
    soft = torch.softmax((start.parameters / TEMPERATURE + draws.rollout.action) / 0.6, -1)
    expected = soft * (rewards - (soft @ rewards)[..., None]) / (TEMPERATURE * 0.6)
    torch.testing.assert_close(signal, expected, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("method", [GumbelSoftmax, StraightThrough])
@pytest.mark.parametrize("temperature", [0.0, -1.0, math.nan])
def test_impossible_temperatures_are_named(method: type[GumbelSoftmax | StraightThrough], temperature: float) -> None:
    with pytest.raises(ValueError, match=r"^temperature must be positive"):
        method(temperature=temperature)
