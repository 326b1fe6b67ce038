"""Mixtures in expectation: unbiased with weights of an independent batch, biased with those of the same, as declared.

conftest.py derives the false-alarm rate of each comparison, at most 1e-6; an error of 5 % would not go unnoticed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch
from torch import Tensor

from scorepath.environments.base import Environment, make_policy
from scorepath.environments.cosine import Cosine
from scorepath.environments.lqr import LQR
from scorepath.environments.quadratic import Quadratic
from scorepath.environments.soft_step import SoftStep
from scorepath.estimators._mixture import Mixture
from scorepath.estimators.base import Estimator
from scorepath.estimators.discontinuity_switch import DiscontinuitySwitch
from scorepath.estimators.inverse_variance import InverseVariance
from scorepath.estimators.per_step_inverse_variance import PerStepInverseVariance
from scorepath.estimators.total_propagation import TotalPropagation
from scorepath.estimators.total_propagation_state import TotalPropagationState
from scorepath.measurement import sample_batches
from scorepath.noise import Stream
from scorepath.references.exact import exact_reference
from scorepath.rollout import Simulator

pytestmark = pytest.mark.statistical

SEED = 20261122
BLOCKS = 128
BATCH = 16
"""Small, so that a bias of O(1 / N) would show."""

PROBLEMS: dict[str, tuple[Environment, float, tuple[float, ...]]] = {
    "lqr": (
        LQR(
            horizon=3,
            dynamics=((1.0, 0.3), (0.0, 0.9)),
            control=((0.3,), (1.0,)),
            initial_mean=1.0,
            initial_std=0.2,
            process_noise=0.2,
            reward_noise=0.1,
            discount=0.8,
        ),
        0.5,
        (0.3, 0.2),
    ),
    "quadratic": (Quadratic(dimension=2, offset=1.0), 0.5, (0.2, 0.0)),
    "cosine": (Cosine(frequency=2.0, phase=1.5), 0.3, (0.1,)),
    "soft_step": (SoftStep(edge=0.1, width=0.3), 0.3, (0.0,)),
}
MIXTURES: dict[str, tuple[type[Mixture], Mapping[str, Any]]] = {
    "global": (InverseVariance, {}),
    "covariance": (InverseVariance, {"covariance": True}),
    "per_step": (PerStepInverseVariance, {}),
    "total_propagation": (TotalPropagation, {}),
    "total_propagation_state": (TotalPropagationState, {}),
    "switch": (DiscontinuitySwitch, {"level": 0.3}),  # often the one, often the other
}


def sample(found: Estimator, name: str, batches: int, size: int = BATCH) -> tuple[Tensor, Tensor]:
    """Gradient estimates of independent batches (batches, P), and the exact gradient (P,)."""
    environment, sigma, entries = PROBLEMS[name]
    policy, parameters = make_policy(environment), torch.tensor(entries, dtype=torch.float64)
    start = Simulator(environment, policy, parameters, sigma)
    means = sample_batches(found, start, Stream(SEED, name, "mixtures"), range(batches), size, torch.float64).means
    return means, exact_reference(Simulator(environment, policy, parameters, sigma)).gradient


INDEPENDENT = [
    pytest.param(kind(**options, weights="independent_batch"), problem, id=f"{problem}-{name}")
    for problem in PROBLEMS
    for name, (kind, options) in MIXTURES.items()
    if problem == "lqr" or name in {"global", "covariance"}  # with one decision the others are global too
]


@pytest.mark.parametrize(("found", "problem"), INDEPENDENT)
def test_independent_weights_make_mixtures_unbiased(
    found: Mixture, problem: str, compare: Callable[..., Any], in_blocks: Callable[..., Tensor]
) -> None:
    means, gradient = sample(found, problem, 4096 if isinstance(found, DiscontinuitySwitch) else 1024)
    comparison = compare(in_blocks(means, BLOCKS), gradient)
    assert comparison.agrees, str(comparison)
    wrong = compare(in_blocks(means, BLOCKS), gradient, scale=1.05)
    assert not wrong.agrees, f"an error of 5 % would go unnoticed: {wrong}"


@pytest.mark.parametrize("name", ["global", "covariance", "per_step", "total_propagation", "total_propagation_state"])
def test_weights_of_the_same_batch_bias(
    name: str, compare: Callable[..., Any], in_blocks: Callable[..., Tensor]
) -> None:
    """O(1 / N): seen at N = 4 on the LQR."""
    kind, options = MIXTURES[name]
    means, gradient = sample(kind(**options), "lqr", 4096, 4)
    comparison = compare(in_blocks(means, BLOCKS), gradient)
    assert not comparison.agrees, str(comparison)
