"""Critics fitted to earlier trajectories span the values of LQR: gradients through them have no bias but the ridge's.

With the false-alarm rate of conftest.py, at most 1e-6 per test, and the same test of power as in test_unbiased.py.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from scorepath.environments.base import Environment, make_policy
from scorepath.environments.lqr import LQR
from scorepath.estimators.base import Estimator
from scorepath.estimators.deterministic_policy_gradient import DeterministicPolicyGradient
from scorepath.estimators.short_horizon_value import ShortHorizonValue
from scorepath.estimators.truncated_pathwise import TruncatedPathwise
from scorepath.measurement import sample_batches
from scorepath.noise import Stream
from scorepath.references.exact import exact_reference
from scorepath.rollout import Simulator

pytestmark = pytest.mark.statistical

BATCHES, SAMPLES = 512, 64
LINEAR = LQR(
    horizon=3,
    dynamics=((1.0, 0.3), (0.0, 0.9)),
    control=((0.3,), (1.0,)),
    initial_mean=1.0,
    initial_std=0.2,
    discount=0.8,
)


def estimates(
    found: Estimator, environment: Environment, parameters: tuple[float, ...], sigma: float
) -> tuple[Tensor, Tensor]:
    """Gradient estimates of independent batches, (batches, P), and the exact gradient."""
    policy, theta = make_policy(environment), torch.tensor(parameters, dtype=torch.float64)
    start = Simulator(environment, policy, theta, sigma)
    stream = Stream(20261122, type(environment).__name__, "critics")
    means = sample_batches(found, start, stream, range(BATCHES), SAMPLES, torch.float64).means
    return means, exact_reference(Simulator(environment, policy, theta, sigma)).gradient


@pytest.mark.parametrize(
    "found",
    [DeterministicPolicyGradient(), ShortHorizonValue(window=1), ShortHorizonValue(window=2)],
    ids=["deterministic_policy_gradient", "short_horizon_value, 1 step", "short_horizon_value, 2 steps"],
)
def test_quadratic_critics_agree_with_the_exact_gradient_on_lqr(
    found: Estimator, compare: Callable[..., Any], in_blocks: Callable[..., Tensor]
) -> None:
    """The default ridge shrinks them by far less than a standard error."""
    means, gradient = estimates(found, LINEAR, (0.3, 0.2), 0.5)
    comparison = compare(in_blocks(means, 128), gradient)
    assert comparison.agrees, str(comparison)
    assert not compare(in_blocks(means, 128), gradient, scale=1.05).agrees, "an error of 5 % would go unnoticed"


def test_without_its_values_a_short_horizon_is_biased(
    compare: Callable[..., Any], in_blocks: Callable[..., Tensor]
) -> None:
    means, gradient = estimates(TruncatedPathwise(window=2), LINEAR, (0.3, 0.2), 0.5)
    assert not compare(in_blocks(means, 128), gradient).agrees
