"""Measured variances against closed forms, through the measurement that cell files hold.

The variance column of a cell holds one unbiased contribution per block: the trace of the sample covariance within the
batch, or batch size × the squared deviation of the batch's mean where samples interact. Means of many such
contributions are compared with the exact variance as `scorepath.conformance.comparison` derives, with at most 1e-6
false alarms per test: the standard error comes from the spread of block means, so no moment of the gradients is
assumed. Contributions are skewed (squares of products of normals), hence up to a million samples, a smaller nominal
level that leaves room for what skewness does to it, and the check of the skewness that is left. A variance 10 % off is
caught in every case, one 25 % off for leave-one-out.
"""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from tests.helpers.agreement import compare
from tests.helpers.reference_problems import CLOSED_FORMS, MEAN, SIGMA, gradient_of
from torch import Tensor

from scorepath import registry
from scorepath.conformance.comparison import in_blocks
from scorepath.conformance.problems import Problem
from scorepath.estimators.base import Estimator
from scorepath.measurement import batch_statistics
from scorepath.noise import Stream
from scorepath.references.variances import exact_variance

pytestmark = pytest.mark.statistical

SEED = 20261122
BLOCKS = 256
ALPHA = 1e-9
WRONG = 1.1
"""The error that must not go unnoticed; 1.25 where only whole batches give a variance, which takes more samples."""
BATCHES_PER_CELL = 2048
"""More would cost their square: the bias that a cell also holds pairs every batch with every other."""


def density(z: float) -> float:
    return math.exp(-(z**2) / 2) / math.sqrt(2 * math.pi)


def probability(z: float) -> float:
    return (1 + math.erf(z / math.sqrt(2))) / 2


def step_score() -> float:
    """`[Phi - z phi - phi^2] / sigma^2`; without a baseline, so the second moment is Phi - z phi."""
    z = (MEAN - 0.1) / SIGMA
    return (probability(z) - z * density(z) - density(z) ** 2) / SIGMA**2


def cosine_pathwise() -> float:
    """`k^2 (1 - exp(-2u) cos 2a) / 2 - gradient^2`, for R = cos(k x + phase)."""
    u, a = (2 * SIGMA) ** 2, 2 * MEAN + 1.0
    return 4 * (1 - math.exp(-2 * u) * math.cos(2 * a)) / 2 - (2 * math.exp(-u / 2) * math.sin(a)) ** 2


def cosine_score() -> float:
    """`[1 + (1 - 4u) exp(-2u) cos 2a] / (2 sigma^2) - gradient^2`."""
    u, a = (2 * SIGMA) ** 2, 2 * MEAN + 1.0
    second = (1 + (1 - 4 * u) * math.exp(-2 * u) * math.cos(2 * a)) / (2 * SIGMA**2)
    return second - (2 * math.exp(-u / 2) * math.sin(a)) ** 2


def soft_step_pathwise() -> float:
    """`p (1 - p) / width^2` with p the probability of landing on the ramp."""
    low, high = ((0.1 + side * 0.4 - MEAN) / SIGMA for side in (-1, 1))
    p = probability(high) - probability(low)
    return p * (1 - p) / 0.8**2


def step_measure_valued() -> float:
    """`exp(-z^2/2) (1 - exp(-z^2/2)) / (2 pi sigma^2)`."""
    weight = math.exp(-(((MEAN - 0.1) / SIGMA) ** 2) / 2)
    return weight * (1 - weight) / (2 * math.pi * SIGMA**2)


D1, S2 = (MEAN - 1.0) ** 2, SIGMA**2  # squared distance per coordinate and sigma^2

# problem, estimator, batch size, and the closed form where it is short (else None)
CASES: list[tuple[str, str, int, float | None]] = [
    ("quadratic", "pathwise", 512, 4 * S2),
    ("quadratic", "reinforce", 512, D1**2 / S2 + 14 * D1 + 15 * S2),
    ("quadratic", "measure_valued", 512, D1 * (16 / math.pi - 4)),
    ("quadratic", "leave_one_out", 8, None),
    ("quadratic-8d", "pathwise", 512, 4 * 8 * S2),
    ("quadratic-8d", "reinforce", 512, None),
    ("quadratic-8d", "measure_valued", 512, 8 * D1 * (16 / math.pi - 4)),
    ("quadratic-8d", "leave_one_out", 8, None),
    ("cosine", "pathwise", 512, cosine_pathwise()),
    ("cosine", "reinforce", 512, cosine_score()),
    ("cosine", "leave_one_out", 8, None),
    ("step", "reinforce", 512, step_score()),
    ("step", "measure_valued", 512, step_measure_valued()),
    ("soft_step", "pathwise", 512, soft_step_pathwise()),
    ("lqr", "pathwise", 512, None),
    ("lqr", "reinforce", 512, None),
    ("lqr-one-step", "leave_one_out", 64, None),
]


def variances(problem: Problem, estimator: Estimator, stream: Stream, batches: int, size: int) -> Tensor:
    """The variance columns of independent cells, one below the other, (batches, 1)."""
    reference = gradient_of(problem)[None]
    found = []
    for cell, start in enumerate(range(0, batches, BATCHES_PER_CELL)):
        own, count = replace(stream, purpose=stream.purpose + cell * " again"), min(BATCHES_PER_CELL, batches - start)
        statistics = batch_statistics(estimator, problem.simulator, reference, own, count, size, torch.float64)
        found.append(torch.from_numpy(statistics.variance))
    return torch.cat(found)[:, None]


def measured(problem: Problem, method: str, size: int, samples: int) -> Tensor:
    """The same of a default estimator."""
    estimator = registry.load(registry.ESTIMATORS, method)()
    stream = Stream(SEED, type(problem.environment).__name__, "variances")
    return variances(problem, estimator, stream, samples // size, size)


@pytest.mark.parametrize(
    ("name", "method", "batch_size", "formula"), CASES, ids=[f"{name}-{method}" for name, method, *_ in CASES]
)
def test_measured_variance_is_the_exact_one(name: str, method: str, batch_size: int, formula: float | None) -> None:
    problem = CLOSED_FORMS[name]
    exact = exact_variance(method, problem.simulator, batch_size)
    assert exact is not None
    if formula is not None:
        assert exact == pytest.approx(formula, rel=1e-4)  # the quadrature at a jump is of first order
    samples = 2**17 if batch_size == 8 else 2**20
    blocks = in_blocks(measured(problem, method, batch_size, samples), BLOCKS)
    expected = torch.tensor([exact], dtype=torch.float64)
    comparison = compare(blocks, expected, alpha=ALPHA)
    assert comparison.agrees, str(comparison)
    factor = 1.25 if method == "leave_one_out" else WRONG
    wrong = compare(blocks, expected, scale=factor, alpha=ALPHA)
    assert not wrong.agrees, f"a variance {factor} times too large would go unnoticed: {wrong}"


@pytest.mark.parametrize(
    ("name", "method"),
    [("quadratic", "pathwise"), ("quadratic-8d", "reinforce"), ("cosine", "reinforce"), ("lqr", "pathwise")],
)
def test_the_spread_of_batches_says_the_same_as_the_spread_within(name: str, method: str) -> None:
    """Where samples are independent, batch size × the variance of a batch's mean is the per-sample variance as well."""
    problem, size = CLOSED_FORMS[name], 8
    kind = registry.load(registry.ESTIMATORS, method)
    whole_batches = type("WholeBatches", (kind,), {"couples_samples": True})()
    found = variances(problem, whole_batches, Stream(SEED, "spread", method), 2**17 // size, size)
    value = exact_variance(method, problem.simulator, size)
    assert value is not None
    assert compare(in_blocks(found, BLOCKS), torch.tensor([value], dtype=torch.float64), alpha=ALPHA).agrees


def test_leave_one_out_over_several_steps_has_no_exact_variance() -> None:
    """It uses rewards to go there, and only the larger variance with whole returns has a formula."""
    assert exact_variance("leave_one_out", CLOSED_FORMS["lqr"].simulator, 64) is None


def test_a_pathwise_step_has_no_variance_at_all() -> None:
    assert (measured(CLOSED_FORMS["step"], "pathwise", 64, 640) == 0).all()
