"""Mixtures in expectation: unbiased with weights of an independent batch, biased with those of the same, as declared.

`scorepath.conformance.comparison` derives the false-alarm rate of each test, at most 1e-6; an error of 5 % would not go
unnoticed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from tests.helpers.agreement import compare
from tests.helpers.reference_problems import LQR_WITH_NOISE, PROBLEMS, gradient_of, sample
from torch import Tensor

from scorepath.conformance.comparison import in_blocks
from scorepath.conformance.problems import Problem
from scorepath.estimators._mixture import Mixture
from scorepath.estimators.base import Estimator
from scorepath.estimators.discontinuity_switch import DiscontinuitySwitch
from scorepath.estimators.inverse_variance import InverseVariance
from scorepath.estimators.per_step_inverse_variance import PerStepInverseVariance
from scorepath.estimators.total_propagation import TotalPropagation
from scorepath.estimators.total_propagation_state import TotalPropagationState
from scorepath.noise import Stream

pytestmark = pytest.mark.statistical

SEED = 20261122
BLOCKS = 128
BATCH = 16
"""Small, so that a bias of O(1 / N) would show."""

TRIED = (LQR_WITH_NOISE, PROBLEMS["quadratic"], PROBLEMS["cosine"], PROBLEMS["soft_step"])
MIXTURES: dict[str, tuple[type[Mixture], Mapping[str, Any]]] = {
    "global": (InverseVariance, {}),
    "covariance": (InverseVariance, {"covariance": True}),
    "per_step": (PerStepInverseVariance, {}),
    "total_propagation": (TotalPropagation, {}),
    "total_propagation_state": (TotalPropagationState, {}),
    "switch": (DiscontinuitySwitch, {"level": 0.3}),  # often the one, often the other
}


def blocks_of(found: Estimator, problem: Problem, batches: int, size: int = BATCH) -> Tensor:
    """Means of blocks of gradient estimates, (BLOCKS, P)."""
    return in_blocks(sample(problem, found, Stream(SEED, problem.name, "mixtures"), batches, size), BLOCKS)


INDEPENDENT = [
    pytest.param(kind(**options, weights="independent_batch"), problem, id=f"{problem.name}-{name}")
    for problem in TRIED
    for name, (kind, options) in MIXTURES.items()
    if problem is LQR_WITH_NOISE or name in {"global", "covariance"}  # with one decision the others are global too
]


@pytest.mark.parametrize(("found", "problem"), INDEPENDENT)
def test_independent_weights_make_mixtures_unbiased(found: Mixture, problem: Problem) -> None:
    blocks = blocks_of(found, problem, 4096 if isinstance(found, DiscontinuitySwitch) else 1024)
    comparison = compare(blocks, gradient_of(problem))
    assert comparison.agrees, str(comparison)
    wrong = compare(blocks, gradient_of(problem), scale=1.05)
    assert not wrong.agrees, f"an error of 5 % would go unnoticed: {wrong}"


@pytest.mark.parametrize("name", ["global", "covariance", "per_step", "total_propagation", "total_propagation_state"])
def test_weights_of_the_same_batch_bias(name: str) -> None:
    """O(1 / N): seen at N = 4 on the LQR."""
    kind, options = MIXTURES[name]
    comparison = compare(blocks_of(kind(**options), LQR_WITH_NOISE, 4096, 4), gradient_of(LQR_WITH_NOISE))
    assert not comparison.agrees, str(comparison)
