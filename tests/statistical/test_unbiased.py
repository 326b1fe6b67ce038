"""Estimators that are declared unbiased are, wherever the exact gradient is known; declared biases are what they say.

Every pair of an estimator and an environment family, both discovered, is one test: the mean of independent blocks
agrees with the exact gradient along an orthonormal basis whose first vector is the gradient itself.
`scorepath.conformance.comparison` derives the false-alarm rate, at most 1e-6 per test. For every pair of the families
that have a reference problem the same test is shown to have power: with the estimate multiplied by 1.05 it fails.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch
from tests.helpers.agreement import compare
from tests.helpers.reference_problems import LQR_WITHOUT_RANDOMNESS, PROBLEMS, basis_of, gradient_of, sample
from torch import Tensor

from scorepath import registry
from scorepath.conformance.comparison import in_blocks
from scorepath.conformance.problems import Problem
from scorepath.estimators.base import ActionSignalEstimator, Estimator
from scorepath.estimators.deterministic_pathwise import DeterministicPathwise
from scorepath.estimators.evolution_strategies import EvolutionStrategies
from scorepath.estimators.inverse_variance import InverseVariance
from scorepath.estimators.pathwise import Pathwise
from scorepath.estimators.truncated_pathwise import TruncatedPathwise
from scorepath.measurement import sample_batches
from scorepath.noise import Noise, Stream
from scorepath.rollout import Simulator, Trajectories

pytestmark = pytest.mark.statistical

SEED = 20261122
BLOCKS = 128
WRONG = 1.05
"""The error that must not go unnoticed."""
COUPLED_BATCH = 16
"""Training batch of estimators whose samples talk to each other; small, so that their O(1 / N) mistakes would show."""
PAST_BATCH = 64
"""Training batch of estimators with a fitted baseline; the fit of each batch is what takes the time."""
SAMPLES = {"lqr": 2**19} | dict.fromkeys(("quadratic", "coulomb_slide", "relu", "random_walk_call"), 2**18)
"""Of estimators whose samples are independent, where a family needs more than SAMPLES_ELSEWHERE to show an error."""
SAMPLES_ELSEWHERE = 2**17
COUPLED_SAMPLES = {"quadratic": 2**17}
COUPLED_SAMPLES_ELSEWHERE = 2**16


def stream_of(problem: Problem) -> Stream:
    return Stream(SEED, problem.name, "unbiased")


def draw(problem: Problem, estimator: Estimator, batches: int, size: int) -> Tensor:
    """Gradient estimates of independent batches, (batches, P)."""
    return sample(problem, estimator, stream_of(problem), batches, size)


def pairs() -> Iterator[Any]:
    """Every estimator in every family where it is declared unbiased and the exact gradient is known."""
    for family in registry.names(registry.ENVIRONMENTS):
        kind = registry.load(registry.ENVIRONMENTS, family)
        if kind.reference_class == "certified_monte_carlo":
            continue
        problem = PROBLEMS[family] if family in PROBLEMS else Problem(kind(), 0.3)
        for method in registry.names(registry.ESTIMATORS):
            estimator = registry.load(registry.ESTIMATORS, method)()
            reason = estimator.not_applicable(problem.environment, problem.sigma)
            if not reason and estimator.unbiased(problem.environment):
                yield pytest.param(problem, estimator, id=f"{family}-{method}")


@pytest.mark.parametrize(("problem", "estimator"), list(pairs()))
def test_unbiased_where_declared(problem: Problem, estimator: Estimator) -> None:
    if estimator.couples_samples or estimator.needs_past:
        size = PAST_BATCH if estimator.needs_past else COUPLED_BATCH
        samples = COUPLED_SAMPLES.get(problem.name, COUPLED_SAMPLES_ELSEWHERE)
        means = in_blocks(draw(problem, estimator, samples // size, size), BLOCKS)
    else:
        means = draw(problem, estimator, BLOCKS, SAMPLES.get(problem.name, SAMPLES_ELSEWHERE) // BLOCKS)
    basis = basis_of(problem)
    exact = basis.mT @ gradient_of(problem)
    assert exact.norm() > 0, "a gradient of zero proves nothing"
    comparison = compare(means @ basis, exact)
    assert comparison.agrees, str(comparison)
    if problem.name in PROBLEMS:
        wrong = compare(means @ basis, exact, scale=WRONG)
        assert not wrong.agrees, f"an error of 5 % would go unnoticed: {wrong}"


def test_every_discovered_pair_is_there() -> None:
    """The discovery above finds what the study has: nine exact families and six unbiased estimators."""
    identities = {str(pair.id) for pair in pairs()}
    assert len(identities) >= 45
    assert {"lqr-state_value_baseline", "chain-reinforce", "step-measure_valued", "ripple-pathwise"} <= identities
    assert not {"step-pathwise", "ball_with_wall-pathwise", "chain-pathwise"} & identities


# --- the same test catches what is biased -----------------------------------------------------------------------------


class SameBatchMean(ActionSignalEstimator):
    """Leave-one-out done wrong: the sample's own reward stays in its baseline: the gradient shrinks by 1 - 1/N."""

    def signal(
        self, simulator: Simulator, noise: Noise, past: Trajectories | None = None
    ) -> tuple[Trajectories, Tensor]:
        trajectories = simulator.rollout(noise.rollout)
        to_go = trajectories.rewards_to_go
        return trajectories, (to_go - to_go.mean(1, keepdim=True))[..., None] * trajectories.score


def test_a_baseline_that_contains_its_own_sample_is_caught() -> None:
    problem = PROBLEMS["cosine"]
    means = in_blocks(draw(problem, SameBatchMean(), 2**16 // COUPLED_BATCH, COUPLED_BATCH), BLOCKS)
    assert not compare(means, gradient_of(problem)).agrees
    assert compare(means, (1 - 1 / COUPLED_BATCH) * gradient_of(problem)).agrees


def test_truncated_pathwise_is_caught_on_lqr() -> None:
    problem = PROBLEMS["lqr"]
    basis = basis_of(problem)
    exact = basis.mT @ gradient_of(problem)
    means = {window: draw(problem, TruncatedPathwise(window=window), BLOCKS, 512) for window in (1, 3)}
    assert not compare(means[1] @ basis, exact).agrees
    assert compare(means[3] @ basis, exact).agrees  # a window as long as the trajectory cuts nothing


# --- declared biases are what they say --------------------------------------------------------------------------------

NOISELESS = [
    pytest.param(problem, id=family)
    for family, problem in PROBLEMS.items()
    if problem.environment.differentiable and family != "lqr"
]
NOISELESS.append(pytest.param(LQR_WITHOUT_RANDOMNESS, id="lqr without other randomness"))


@pytest.mark.parametrize("problem", NOISELESS)
def test_deterministic_pathwise_is_the_gradient_without_noise(problem: Problem) -> None:
    """Whatever sigma is, and exactly: nothing is random then."""
    assert problem.environment.initial_noise_dim == 0 or problem is LQR_WITHOUT_RANDOMNESS
    means = draw(problem, DeterministicPathwise(), 2, 4)
    exact = gradient_of(replace(problem, sigma=0.0))
    torch.testing.assert_close(means, exact.expand(2, -1), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("family", ["quadratic", "cosine", "ripple", "step", "soft_step", "ball_with_wall"])
def test_evolution_strategies_add_their_perturbation_to_sigma(family: str) -> None:
    """On one open-loop decision both noises act on the same number: sigma' = sqrt(sigma^2 + perturbation^2)."""
    problem = PROBLEMS[family]
    perturbation = 1.5 * problem.sigma
    wider = replace(problem, sigma=math.hypot(problem.sigma, perturbation))
    means = draw(problem, EvolutionStrategies(perturbation=perturbation), BLOCKS, 2048)
    assert compare(means, gradient_of(wider)).agrees
    if family != "quadratic":  # whose gradient does not depend on sigma
        assert not compare(means, gradient_of(problem)).agrees, "the bias for grad J_sigma would go unnoticed"


@pytest.mark.parametrize("sigma", [0.1, 0.5])
@pytest.mark.parametrize("mean", [0.0, 0.3])
def test_pathwise_misses_the_whole_gradient_of_a_step(sigma: float, mean: float) -> None:
    """Zero variance, zero mean, bias phi(z) / sigma: exactly."""
    problem = replace(PROBLEMS["step"], sigma=sigma, parameters=mean)
    moments = sample_batches(Pathwise(), problem.simulator, stream_of(problem), range(8), 64, torch.float64)
    assert (moments.means == 0).all()
    assert (moments.trace_variances == 0).all()
    assert (moments.zeros == 64).all()
    z = (mean - 0.1) / sigma
    density = math.exp(-(z**2) / 2) / math.sqrt(2 * math.pi)
    assert gradient_of(problem).item() == pytest.approx(density / sigma, rel=1e-12)


def test_inverse_variance_bias_shrinks_with_the_batch_on_lqr() -> None:
    """Its bias is O(1 / N): at N = 8 it is seen, at N = 512 less than an eighth of it is left (8 / 512 is 1 / 64)."""
    problem = PROBLEMS["lqr"]
    gradient = gradient_of(problem)
    direction = gradient / gradient.norm()
    biases = {}
    for size in (8, 512):
        means = in_blocks(draw(problem, InverseVariance(), 2**16 // size, size), BLOCKS) @ direction[:, None]
        errors = means - gradient.norm()
        biases[size] = errors.mean().item()
        if size == 8:
            assert not compare(errors, torch.zeros(1, dtype=torch.float64)).agrees
        else:
            # not above an eighth, by the same one-column test
            bound = torch.tensor([biases[8] / 8], dtype=torch.float64)
            comparison = compare(errors, bound)
            assert (comparison.distances * math.copysign(1, biases[8])).item() < comparison.threshold
    assert abs(biases[512]) < abs(biases[8]) / 4


def test_inverse_variance_gives_all_weight_to_pathwise_on_a_step() -> None:
    """Pathwise has no variance there, so the mix follows it and its bias phi(z) / sigma shows nowhere."""
    problem = PROBLEMS["step"]
    assert (draw(problem, InverseVariance(), 64, 64) == 0).all()
    assert gradient_of(problem).item() > 1.0
