"""Perturbed parameters: each simulates a trajectory of its own, and both sides of a difference share their noise."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
import torch
from tests.helpers.comparisons import assert_close
from tests.helpers.problems import BATCHES, SAMPLES, noise, simulator
from torch import Tensor

from scorepath import registry
from scorepath.conformance.problems import gradients
from scorepath.environments.base import Environment
from scorepath.environments.chain import Chain
from scorepath.environments.cosine import Cosine
from scorepath.environments.lqr import LQR
from scorepath.environments.tanh_ridge import TanhRidge
from scorepath.estimators._perturbation import perturbed_returns
from scorepath.estimators.central_differences import CentralDifferences
from scorepath.estimators.evolution_strategies import EvolutionStrategies
from scorepath.estimators.spsa import SPSA


@pytest.mark.parametrize("batches", [0, BATCHES], ids=["shared", "population"])
@pytest.mark.parametrize("environment", [LQR(horizon=4, reward_noise=0.1), Chain(horizon=4)], ids=["lqr", "chain"])
def test_every_perturbed_policy_simulates_its_own_trajectory(environment: Environment, batches: int) -> None:
    start, draws = simulator(environment, batches=batches), noise(environment)
    shifts = 0.5 * draws.draw("shifts", (start.policy.parameter_count,))
    found = perturbed_returns(start, draws, shifts)
    for batch, sample in itertools.product(range(BATCHES), range(SAMPLES)):
        centre = start.parameters[batch] if batches else start.parameters
        alone = replace(start, parameters=centre + shifts[batch, sample]).rollout(draws.rollout)
        assert_close(found[batch, sample], alone.returns[batch, sample])


def test_both_sides_of_a_difference_share_their_noise() -> None:
    """However loud the reward's noise, it cancels: the pair shares it."""
    environment = LQR(horizon=4, process_noise=0.3)
    start, noisy = simulator(environment), replace(environment, reward_noise=5.0)
    for estimator in (EvolutionStrategies(), SPSA(), CentralDifferences()):
        loud = gradients(estimator, replace(start, environment=noisy), noise(noisy))
        torch.testing.assert_close(loud, gradients(estimator, start, noise(environment)), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("method", ["evolution_strategies", "pgpe"])
def test_the_estimand_is_known_where_parameters_are_actions(method: str) -> None:
    found = registry.load(registry.ESTIMATORS, method)(perturbation=0.3)

    def level(sigma: float) -> Tensor:
        return torch.tensor(sigma)

    for environment in (Cosine(), TanhRidge()):
        assert found.expectation(environment, 0.4, level) == pytest.approx(0.5)
        assert found.expectation(environment, 0.0, level) == pytest.approx(0.3)
    assert found.expectation(LQR(), 0.4, level) is None
    assert found.expectation(Chain(), 0.4, level) is None


@pytest.mark.parametrize("method", ["evolution_strategies", "pgpe", "spsa", "central_differences"])
def test_a_perturbation_must_be_positive(method: str) -> None:
    with pytest.raises(ValueError, match=r"perturbation must be positive, got 0\.0"):
        registry.load(registry.ESTIMATORS, method)(perturbation=0.0)
