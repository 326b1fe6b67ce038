"""Score-function and parameter-space estimators against closed forms of their variances and of what they estimate.

`compare` (conftest.py) states the false-alarm rate, at most 1e-6 per test; every test shows what it would not miss.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from scorepath import registry
from scorepath.environments.angle_doubling import AngleDoubling
from scorepath.environments.base import Environment, make_policy
from scorepath.environments.cosine import Cosine
from scorepath.environments.quadratic import Quadratic
from scorepath.estimators.base import Estimator
from scorepath.estimators.optimal_constant import optimal_constants
from scorepath.estimators.quasi_monte_carlo import QuasiMonteCarlo
from scorepath.estimators.reinforce import Reinforce
from scorepath.measurement import sample_batches
from scorepath.noise import Noise, Stream
from scorepath.references.exact import exact_reference
from scorepath.references.variances import exact_variance
from scorepath.rollout import Simulator

pytestmark = pytest.mark.statistical

BLOCKS = 128
MEAN, SIGMA = 0.3, 0.5
STREAM = Stream(20261122, "quadratic", "closed forms")


def simulator(environment: Environment, sigma: float = SIGMA) -> Simulator:
    policy = make_policy(environment)
    return Simulator(environment, policy, torch.full((policy.parameter_count,), MEAN, dtype=torch.float64), sigma)


@pytest.mark.parametrize("dimension", [1, 4])
def test_the_optimal_constant_on_the_quadratic(dimension: int, compare: Callable[..., Any]) -> None:
    """`b* = -(|d|^2 + (D + 2) sigma^2)`; the mean return, sigma^2 (D + 2) / D of it apart, is told from it."""
    environment = Quadratic(dimension=dimension)
    noise = Noise(environment, STREAM, range(BLOCKS), 2048, torch.float64)
    found = optimal_constants(simulator(environment).rollout(noise.rollout)).mean(1, keepdim=True)
    distance = dimension * (MEAN - 1.0) ** 2
    constant, mean = (torch.tensor([-(distance + (dimension + k) * SIGMA**2)]).double() for k in (2, 0))
    assert compare(found, constant).agrees
    assert not compare(found, mean).agrees


def on_the_quadratic(dimension: int) -> dict[str, float]:
    """Variances per sample, from moments of normal variates; that of the optimal constant as the batch grows."""
    distance, noise = dimension * (MEAN - 1.0) ** 2, SIGMA**2
    return {
        "optimal_constant": 4 * (dimension + 1) * distance + 2 * dimension * (dimension + 2) * noise,
        "zero_noise_baseline": 4 * (dimension + 1) * distance + dimension * (dimension + 2) * (dimension + 4) * noise,
        "antithetic": 4 * (dimension + 1) * distance,
    }


@pytest.mark.parametrize("dimension", [1, 4])
@pytest.mark.parametrize("method", ["optimal_constant", "zero_noise_baseline", "antithetic"])
def test_variances_on_the_quadratic(method: str, dimension: int, compare: Callable[..., Any]) -> None:
    """The spread within batches: of the optimal constant too, since in a large batch it hardly varies."""
    estimator: Estimator = registry.load(registry.ESTIMATORS, method)()
    start = simulator(Quadratic(dimension=dimension))
    blocks = sample_batches(estimator, start, STREAM, range(BLOCKS), 4096, torch.float64).spreads[:, None]
    expected = torch.tensor([on_the_quadratic(dimension)[method]], dtype=torch.float64)
    assert compare(blocks, expected).agrees
    assert not compare(blocks, expected, scale=1.1).agrees


def test_quasi_monte_carlo_errs_less_on_a_smooth_landscape(compare: Callable[..., Any]) -> None:
    """By less than a quarter of a standard error on average; independent samples err by 0.8 of one."""
    environment, samples = Cosine(frequency=2.0, phase=1.0), 64
    start = simulator(environment)
    exact = exact_reference(Simulator(environment, start.policy, start.parameters, SIGMA)).gradient
    variance = exact_variance("reinforce", Simulator(environment, start.policy, start.parameters, SIGMA), samples)
    assert variance is not None
    quarter = torch.tensor([(variance / samples) ** 0.5 / 4], dtype=torch.float64)
    comparisons = []
    for estimator in (QuasiMonteCarlo(), Reinforce()):
        means = sample_batches(estimator, start, STREAM, range(16 * BLOCKS), samples, torch.float64).means
        comparisons.append(compare((means - exact).abs().unflatten(0, (BLOCKS, -1)).mean(1), quarter))
    even, independent = comparisons
    assert even.distances.item() < -even.threshold
    assert independent.distances.item() > independent.threshold


@pytest.mark.parametrize("method", ["evolution_strategies", "pgpe"])
@pytest.mark.parametrize(
    ("environment", "sigma"),
    [(Cosine(frequency=2.0, phase=1.5), 0.3), (AngleDoubling(doublings=2, noise_at="every_step"), 0.05)],
    ids=["one decision", "two decisions"],
)
def test_the_estimand_of_perturbed_parameters(
    method: str, environment: Environment, sigma: float, compare: Callable[..., Any]
) -> None:
    """With the open-loop policy both noises are one, over several decisions as well."""
    estimator: Estimator = registry.load(registry.ESTIMATORS, method)(perturbation=1.5 * sigma)
    start = simulator(environment, sigma)

    def gradient_at(level: float) -> Tensor:
        return exact_reference(Simulator(environment, start.policy, start.parameters, level)).gradient

    expected = estimator.expectation(environment, sigma, gradient_at)
    assert expected is not None
    means = sample_batches(estimator, start, STREAM, range(8 * BLOCKS), 32, torch.float64).means
    means = means.unflatten(0, (BLOCKS, -1)).mean(1)
    assert compare(means, expected).agrees
    assert not compare(means, gradient_at(sigma)).agrees, "the bias for grad J_sigma would go unnoticed"


def test_simultaneous_perturbation_and_central_differences_estimate_the_difference(compare: Callable[..., Any]) -> None:
    """`sin(k c) / (k c)` times the gradient, on the cosine: their bias is O(c^2), and it is this one."""
    environment, step = Cosine(frequency=2.0, phase=1.5), 0.4
    start = simulator(environment)
    exact = exact_reference(Simulator(environment, start.policy, start.parameters, SIGMA)).gradient
    for method in ("spsa", "central_differences"):
        estimator: Estimator = registry.load(registry.ESTIMATORS, method)(perturbation=step)
        means = sample_batches(estimator, start, STREAM, range(BLOCKS), 1024, torch.float64).means
        assert compare(means, exact * math.sin(2 * step) / (2 * step)).agrees
        assert not compare(means, exact).agrees
