"""Score-function and parameter-space estimators against closed forms of their variances and of what they estimate.

`scorepath.conformance.comparison` derives the false-alarm rate, at most 1e-6 per test; every test shows what it would
not miss.
"""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from tests.helpers.agreement import compare
from tests.helpers.reference_problems import (
    ANGLE_AT_EVERY_STEP,
    CLOSED_FORMS,
    MEAN,
    PROBLEMS,
    SIGMA,
    gradient_of,
    sample,
)
from torch import Tensor

from scorepath import registry
from scorepath.conformance.comparison import in_blocks
from scorepath.conformance.problems import Problem
from scorepath.estimators.base import Estimator
from scorepath.estimators.optimal_constant import optimal_constants
from scorepath.estimators.quasi_monte_carlo import QuasiMonteCarlo
from scorepath.estimators.reinforce import Reinforce
from scorepath.measurement import sample_batches
from scorepath.noise import Noise, Stream
from scorepath.references.variances import exact_variance

pytestmark = pytest.mark.statistical

BLOCKS = 128
QUADRATICS = {1: CLOSED_FORMS["quadratic"], 4: CLOSED_FORMS["quadratic-4d"]}
"""By dimension."""
STREAM = Stream(20261122, "quadratic", "closed forms")


@pytest.mark.parametrize("dimension", [1, 4])
def test_the_optimal_constant_on_the_quadratic(dimension: int) -> None:
    """`b* = -(|d|^2 + (D + 2) sigma^2)`; the mean return, sigma^2 (D + 2) / D of it apart, is told from it."""
    problem = QUADRATICS[dimension]
    noise = Noise(problem.environment, STREAM, range(BLOCKS), 2048, torch.float64)
    found = optimal_constants(problem.simulator.rollout(noise.rollout)).mean(1, keepdim=True)
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
def test_variances_on_the_quadratic(method: str, dimension: int) -> None:
    """The spread within batches: of the optimal constant too, since in a large batch it hardly varies."""
    estimator: Estimator = registry.load(registry.ESTIMATORS, method)()
    moments = sample_batches(estimator, QUADRATICS[dimension].simulator, STREAM, range(BLOCKS), 4096, torch.float64)
    blocks = moments.trace_variances[:, None]
    expected = torch.tensor([on_the_quadratic(dimension)[method]], dtype=torch.float64)
    assert compare(blocks, expected).agrees
    assert not compare(blocks, expected, scale=1.1).agrees


def test_quasi_monte_carlo_errs_less_on_a_smooth_landscape() -> None:
    """By less than a quarter of a standard error on average; independent samples err by 0.8 of one."""
    problem, samples = CLOSED_FORMS["cosine"], 64
    exact = gradient_of(problem)
    variance = exact_variance("reinforce", problem.simulator, samples)
    assert variance is not None
    quarter = torch.tensor([(variance / samples) ** 0.5 / 4], dtype=torch.float64)
    comparisons = []
    for estimator in (QuasiMonteCarlo(), Reinforce()):
        means = sample(problem, estimator, STREAM, 16 * BLOCKS, samples)
        comparisons.append(compare(in_blocks((means - exact).abs(), BLOCKS), quarter))
    even, independent = comparisons
    assert even.distances.item() < -even.threshold
    assert independent.distances.item() > independent.threshold


@pytest.mark.parametrize("method", ["evolution_strategies", "pgpe"])
@pytest.mark.parametrize(
    "problem",
    [replace(PROBLEMS["cosine"], parameters=MEAN), ANGLE_AT_EVERY_STEP],
    ids=["one decision", "two decisions"],
)
def test_the_expectation_with_perturbed_parameters(method: str, problem: Problem) -> None:
    """With the open-loop policy both noises are one, over several decisions as well."""
    sigma = problem.sigma
    estimator: Estimator = registry.load(registry.ESTIMATORS, method)(perturbation=1.5 * sigma)

    def gradient_at(level: float) -> Tensor:
        return gradient_of(replace(problem, sigma=level))

    expected = estimator.expectation(problem.environment, sigma, gradient_at)
    assert expected is not None
    means = in_blocks(sample(problem, estimator, STREAM, 8 * BLOCKS, 32), BLOCKS)
    assert compare(means, expected).agrees
    assert not compare(means, gradient_at(sigma)).agrees, "the bias for grad J_sigma would go unnoticed"


def test_simultaneous_perturbation_and_central_differences_estimate_the_difference() -> None:
    """`sin(k c) / (k c)` times the gradient, on the cosine: their bias is O(c^2), and it is this one."""
    problem, step = replace(PROBLEMS["cosine"], sigma=SIGMA, parameters=MEAN), 0.4
    exact = gradient_of(problem)
    for method in ("spsa", "central_differences"):
        estimator: Estimator = registry.load(registry.ESTIMATORS, method)(perturbation=step)
        means = sample(problem, estimator, STREAM, BLOCKS, 1024)
        assert compare(means, exact * math.sin(2 * step) / (2 * step)).agrees
        assert not compare(means, exact).agrees
