"""Measured variances against closed forms, through the machinery that writes cell files.

The variance column of a cell holds one unbiased contribution per block: the trace of the sample covariance within the
batch, or batch size × the squared deviation of the batch's mean where samples interact. Means of many such
contributions are compared with the exact variance as conftest.py derives, with at most 1e-6 false alarms per test: the
standard error comes from the spread of block means, so no moment of the gradients is assumed. Contributions are
skewed (squares of products of normals), hence up to a million samples, a smaller nominal level that leaves room for
what skewness does to it, and the check of the skewness that is left. A variance 10 % off is caught in every case, one
25 % off for leave-one-out.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from scorepath import registry
from scorepath.environments.base import Environment, make_policy
from scorepath.environments.cosine import Cosine
from scorepath.environments.lqr import LQR
from scorepath.environments.quadratic import Quadratic
from scorepath.environments.soft_step import SoftStep
from scorepath.environments.step import Step
from scorepath.noise import Stream
from scorepath.references.exact import exact_reference
from scorepath.references.variances import exact_variance
from scorepath.rollout import Simulator
from scorepath.stages.gradients import checkpoint_rows
from scorepath.study.settings import GradientSettings

pytestmark = pytest.mark.statistical

SEED = 20261122
BLOCKS = 256
ALPHA = 1e-9
WRONG = 1.1
"""The error that must not go unnoticed; 1.25 where only whole batches give a variance, which takes more samples."""
MEAN, SIGMA = 0.3, 0.5


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
QUADRATIC = Quadratic(dimension=1, offset=1.0)
QUADRATIC_8D = Quadratic(dimension=8, offset=1.0)
COSINE = Cosine(frequency=2.0, phase=1.0)
SCALAR_LQR = LQR(horizon=8, dynamics=((0.8,),), initial_std=0.3, process_noise=0.3, discount=0.9)
SCALAR_LQR_STEP = LQR(horizon=1, initial_std=0.3, process_noise=0.3, discount=0.9)

# environment, estimator, batch size, and the closed form where it is short (else None)
CASES: list[tuple[Environment, str, int, float | None]] = [
    (QUADRATIC, "pathwise", 512, 4 * S2),
    (QUADRATIC, "reinforce", 512, D1**2 / S2 + 14 * D1 + 15 * S2),
    (QUADRATIC, "measure_valued", 512, D1 * (16 / math.pi - 4)),
    (QUADRATIC, "leave_one_out", 8, None),
    (QUADRATIC_8D, "pathwise", 512, 4 * 8 * S2),
    (QUADRATIC_8D, "reinforce", 512, None),
    (QUADRATIC_8D, "measure_valued", 512, 8 * D1 * (16 / math.pi - 4)),
    (QUADRATIC_8D, "leave_one_out", 8, None),
    (COSINE, "pathwise", 512, cosine_pathwise()),
    (COSINE, "reinforce", 512, cosine_score()),
    (COSINE, "leave_one_out", 8, None),
    (Step(edge=0.1), "reinforce", 512, step_score()),
    (Step(edge=0.1), "measure_valued", 512, step_measure_valued()),
    (SoftStep(edge=0.1, width=0.8), "pathwise", 512, soft_step_pathwise()),
    (SCALAR_LQR, "pathwise", 512, None),
    (SCALAR_LQR, "reinforce", 512, None),
    (SCALAR_LQR_STEP, "leave_one_out", 64, None),
]


def parameters_of(environment: Environment) -> Tensor:
    policy = make_policy(environment)
    value = -0.4 if isinstance(environment, LQR) else MEAN
    return torch.full((policy.parameter_count,), value, dtype=torch.float64)


def measured(environment: Environment, method: str, batch_size: int, samples: int) -> Tensor:
    """The variance column of a cell, (batches, 1)."""
    policy, parameters = make_policy(environment), parameters_of(environment)
    reference = exact_reference(Simulator(environment, policy, parameters, SIGMA)).gradient[None]
    study: Any = SimpleNamespace(gradients=GradientSettings(samples, batch_size, "float64"))
    rows = checkpoint_rows(
        registry.load(registry.ESTIMATORS, method)(),
        Simulator(environment, policy, parameters, SIGMA),
        reference,
        Stream(SEED, type(environment).__name__, "variances"),
        study,
    )
    return torch.tensor([[row["variance"]] for row in rows], dtype=torch.float64)


@pytest.mark.parametrize(
    ("environment", "method", "batch_size", "formula"),
    CASES,
    ids=[f"{type(e).__name__}{getattr(e, 'dimension', '')}-{m}" for e, m, *_ in CASES],
)
def test_measured_variance_is_the_exact_one(
    environment: Environment,
    method: str,
    batch_size: int,
    formula: float | None,
    compare: Callable[..., Any],
    in_blocks: Callable[..., Tensor],
) -> None:
    policy, parameters = make_policy(environment), parameters_of(environment)
    exact = exact_variance(method, Simulator(environment, policy, parameters, SIGMA), batch_size)
    assert exact is not None
    if formula is not None:
        assert exact == pytest.approx(formula, rel=1e-4)  # the quadrature at a jump is of first order
    samples = 2**17 if batch_size == 8 else 2**20
    blocks = in_blocks(measured(environment, method, batch_size, samples), BLOCKS)
    expected = torch.tensor([exact], dtype=torch.float64)
    comparison = compare(blocks, expected, alpha=ALPHA)
    assert comparison.agrees, str(comparison)
    factor = 1.25 if method == "leave_one_out" else WRONG
    wrong = compare(blocks, expected, scale=factor, alpha=ALPHA)
    assert not wrong.agrees, f"a variance {factor} times too large would go unnoticed: {wrong}"


@pytest.mark.parametrize(
    ("environment", "method"),
    [(QUADRATIC, "pathwise"), (QUADRATIC_8D, "reinforce"), (COSINE, "reinforce"), (SCALAR_LQR, "pathwise")],
    ids=["quadratic", "quadratic-8d", "cosine", "lqr"],
)
def test_the_spread_of_batches_says_the_same_as_the_spread_within(
    environment: Environment, method: str, compare: Callable[..., Any], in_blocks: Callable[..., Tensor]
) -> None:
    """Where samples are independent, batch size × the variance of a batch's mean is the per-sample variance as well."""
    policy, parameters = make_policy(environment), parameters_of(environment)
    kind = registry.load(registry.ESTIMATORS, method)
    whole_batches = type("WholeBatches", (kind,), {"couples_samples": True})()
    exact = exact_reference(Simulator(environment, policy, parameters, SIGMA)).gradient[None]
    study: Any = SimpleNamespace(gradients=GradientSettings(2**17, 8, "float64"))
    simulator = Simulator(environment, policy, parameters, SIGMA)
    rows = checkpoint_rows(whole_batches, simulator, exact, Stream(SEED, "spread", method), study)
    blocks = in_blocks(torch.tensor([[row["variance"]] for row in rows], dtype=torch.float64), BLOCKS)
    value = exact_variance(method, Simulator(environment, policy, parameters, SIGMA), 8)
    assert value is not None
    assert compare(blocks, torch.tensor([value], dtype=torch.float64), alpha=ALPHA).agrees


def test_leave_one_out_over_several_steps_has_no_exact_variance() -> None:
    """It uses rewards to go there, and only the larger variance with whole returns has a formula."""
    parameters = parameters_of(SCALAR_LQR)
    assert (
        exact_variance("leave_one_out", Simulator(SCALAR_LQR, make_policy(SCALAR_LQR), parameters, SIGMA), 64) is None
    )


def test_a_pathwise_step_has_no_variance_at_all() -> None:
    rows = measured(Step(edge=0.1), "pathwise", 64, 640)
    assert (rows == 0).all()
