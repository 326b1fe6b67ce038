"""Critics fitted to earlier trajectories span the values of LQR: gradients through them have no bias but the ridge's.

With the false-alarm rate that `scorepath.conformance.comparison` derives, at most 1e-6 per test, and the same test of
power as in test_unbiased.py.
"""

from __future__ import annotations

import pytest
from tests.helpers.agreement import compare
from tests.helpers.reference_problems import PROBLEMS, gradient_of, sample
from torch import Tensor

from scorepath.conformance.comparison import in_blocks
from scorepath.estimators.base import Estimator
from scorepath.estimators.deterministic_policy_gradient import DeterministicPolicyGradient
from scorepath.estimators.short_horizon_value import ShortHorizonValue
from scorepath.estimators.truncated_pathwise import TruncatedPathwise
from scorepath.noise import Stream

pytestmark = pytest.mark.statistical

BATCHES, SAMPLES = 512, 64
BLOCKS = 128
LINEAR = PROBLEMS["lqr"]


def estimates(found: Estimator) -> Tensor:
    """Means of blocks of gradient estimates, (BLOCKS, P)."""
    return in_blocks(sample(LINEAR, found, Stream(20261122, "LQR", "critics"), BATCHES, SAMPLES), BLOCKS)


@pytest.mark.parametrize(
    "found",
    [DeterministicPolicyGradient(), ShortHorizonValue(window=1), ShortHorizonValue(window=2)],
    ids=["deterministic_policy_gradient", "short_horizon_value, 1 step", "short_horizon_value, 2 steps"],
)
def test_quadratic_critics_agree_with_the_exact_gradient_on_lqr(found: Estimator) -> None:
    """The default ridge shrinks them by far less than a standard error."""
    blocks, gradient = estimates(found), gradient_of(LINEAR)
    comparison = compare(blocks, gradient)
    assert comparison.agrees, str(comparison)
    assert not compare(blocks, gradient, scale=1.05).agrees, "an error of 5 % would go unnoticed"


def test_without_its_values_a_short_horizon_is_biased() -> None:
    assert not compare(estimates(TruncatedPathwise(window=2)), gradient_of(LINEAR)).agrees
