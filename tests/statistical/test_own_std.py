"""Policies with a standard deviation of their own: estimates of both parts of the gradient against exact ones.

Exact are closed forms that tests/helpers/own_std.py writes down. Means are judged as in test_unbiased.py: a false alarm
rate of at most 1e-6 for each comparison, and an error of 10 % in either part is shown to be found.
"""

from __future__ import annotations

import pytest
import torch
from tests.helpers.agreement import compare
from tests.helpers.own_std import EXACT, SIGMA, own_simulator, problem

from scorepath import registry
from scorepath.conformance.comparison import in_blocks
from scorepath.environments.base import Environment, make_policy
from scorepath.estimators.antithetic import Antithetic
from scorepath.estimators.base import Estimator
from scorepath.estimators.inverse_variance import InverseVariance
from scorepath.estimators.pathwise import Pathwise
from scorepath.estimators.per_step_inverse_variance import PerStepInverseVariance
from scorepath.estimators.quasi_monte_carlo import QuasiMonteCarlo
from scorepath.estimators.reward_to_go import RewardToGo
from scorepath.estimators.total_propagation import TotalPropagation
from scorepath.measurement import sample_batches
from scorepath.noise import Stream
from scorepath.references.estimates import measure_valued, score_function

pytestmark = pytest.mark.statistical

BLOCKS = 128
WRONG = 1.1
SAMPLES: dict[type[Estimator], int] = {Antithetic: 2**17, QuasiMonteCarlo: 2**16}
"""Of estimators whose blocks would be too skewed otherwise."""


def estimators(environment: Environment) -> dict[str, Estimator]:
    found = {name: registry.load(registry.ESTIMATORS, name)() for name in registry.names(registry.ESTIMATORS)}
    kinds = InverseVariance, PerStepInverseVariance, TotalPropagation
    found |= {f"{kind.__name__}, independent": kind(weights="independent_batch") for kind in kinds}
    policy = make_policy(environment, standard_deviation="learned")
    return {
        name: each
        for name, each in found.items()
        if each.unbiased(environment)
        and not (each.not_applicable(environment, SIGMA) or each.not_applicable_to(policy))
    }


UNBIASED = [
    pytest.param(name, each, id=f"{name}-{key}") for name in EXACT for key, each in estimators(EXACT[name][0]).items()
]


@pytest.mark.parametrize(("name", "estimator"), UNBIASED)
def test_both_parts_are_unbiased(name: str, estimator: Estimator) -> None:
    simulator, exact = problem(name)
    size = 64 if estimator.needs_past else 16
    batches = SAMPLES.get(type(estimator), 2**15) // size
    stream = Stream(3, name, "own standard deviation")
    means = in_blocks(sample_batches(estimator, simulator, stream, range(batches), size, torch.float64).means, BLOCKS)
    found = compare(means, exact)
    assert found.agrees, str(found)


def test_every_unbiased_kind_is_among_them() -> None:
    ids = {str(each.id) for each in UNBIASED}
    for method in ("reinforce", "reward_to_go", "leave_one_out", "state_value_baseline", "pathwise", "antithetic"):
        assert f"lqr-{method}" in ids
    assert {"lqr-InverseVariance, independent", "lqr-TotalPropagation, independent", "step-reinforce"} <= ids
    assert not {"step-pathwise", "lqr-measure_valued", "step-boundary_corrected"} & ids


@pytest.mark.parametrize("name", EXACT)
@pytest.mark.parametrize("part", ["mean", "log_std"])
def test_an_error_of_a_tenth_in_either_part_is_found(name: str, part: str) -> None:
    simulator, exact = problem(name)
    stream = Stream(3, name, "own standard deviation")
    method = registry.load(registry.ESTIMATORS, "leave_one_out" if name == "step" else "pathwise")()
    means = in_blocks(sample_batches(method, simulator, stream, range(2**13), 16, torch.float64).means, BLOCKS)
    half = len(exact) // 2
    wrong = exact.clone()
    wrong[slice(None, half) if part == "mean" else slice(half, None)] *= WRONG
    assert not compare(means, wrong).agrees
    assert compare(means, exact).agrees


@pytest.mark.parametrize("name", EXACT)
def test_mixtures_of_the_same_batch_are_off_by_less_than_their_error(name: str) -> None:
    """They are biased by O(1 / N), for the weight knows what it multiplies: with 512 samples that is not to be seen."""
    simulator, exact = problem(name)
    if not simulator.environment.continuous:
        pytest.skip("pathwise is blind to jumps, and so is a mixture with it")
    for estimator in (InverseVariance(), TotalPropagation()):
        stream = Stream(5, name, "same batch")
        means = sample_batches(estimator, simulator, stream, range(BLOCKS), 512, torch.float64).means
        found = compare(means, exact)
        assert found.agrees, str(found)


@pytest.mark.parametrize("name", EXACT)
def test_estimates_behind_references_agree(name: str) -> None:
    simulator, exact = problem(name)
    for estimate in (score_function, measure_valued):
        means = estimate(simulator, Stream(1, name, "reference"), BLOCKS, 512)
        found = compare(means, exact)
        assert found.agrees, f"{estimate.__name__}: {found}"


@pytest.mark.parametrize("name", ["module", "network", "linear"])
def test_the_score_function_agrees_with_pathwise(name: str) -> None:
    simulator = own_simulator(name)
    stream = Stream(0, name, "agreement")
    one, other = (
        sample_batches(each, simulator, stream, range(BLOCKS), 256, torch.float64).means
        for each in (RewardToGo(), Pathwise())
    )
    found = compare(one - other, torch.zeros(one.shape[1], dtype=torch.float64))
    assert found.agrees, str(found)
