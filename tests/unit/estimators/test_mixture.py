"""Mixtures in common: what their weights cost and promise, and that of one decision all forms are one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from tests.helpers.comparisons import assert_close
from tests.helpers.problems import noise, simulator
from torch import Tensor

from scorepath.conformance.problems import gradients
from scorepath.environments.lqr import LQR
from scorepath.environments.quadratic import Quadratic
from scorepath.environments.step import Step
from scorepath.estimators._mixture import Mixture
from scorepath.estimators.alpha_order import AlphaOrder
from scorepath.estimators.discontinuity_switch import DiscontinuitySwitch
from scorepath.estimators.inverse_variance import InverseVariance
from scorepath.estimators.per_step_inverse_variance import PerStepInverseVariance
from scorepath.estimators.total_propagation import TotalPropagation
from scorepath.estimators.total_propagation_state import TotalPropagationState
from scorepath.noise import RolloutNoise
from scorepath.rollout import Simulator

MIXTURES: list[type[Mixture]] = [
    InverseVariance,
    PerStepInverseVariance,
    TotalPropagation,
    TotalPropagationState,
    DiscontinuitySwitch,
]


@pytest.mark.parametrize("kind", [PerStepInverseVariance, TotalPropagation])
def test_with_one_decision_all_forms_are_one(kind: type[Mixture]) -> None:
    environment = Quadratic(dimension=3)
    start, draws = simulator(environment), noise(environment)
    assert kind().identical_to(environment, start.sigma) == "inverse_variance"
    found, expected = (gradients(each, start, draws) for each in (kind(), InverseVariance()))
    assert_close(found, expected)


@pytest.mark.parametrize("kind", MIXTURES)
def test_weights_of_an_independent_batch_do_not_depend_on_what_they_weigh(kind: type[Mixture]) -> None:
    environment = LQR(horizon=3, process_noise=0.3)
    start = simulator(environment, batches=3)
    used: list[Tensor] = []

    class Spy(kind):  # type: ignore[misc, valid-type]
        def mix(self, simulator: Simulator, draws: RolloutNoise, weights: Tensor | None = None) -> Any:
            found = super().mix(simulator, draws, weights)
            if weights is not None:
                used.append(found[2])
            return found

    signals = []
    for purpose in ("mixtures", "others"):
        draws = noise(environment)
        draws.__dict__["rollout"] = noise(environment, purpose=purpose).rollout
        signals.append(Spy(weights="independent_batch").signal(start, draws)[1])
    assert not torch.equal(*signals)
    assert torch.equal(*used)
    own = kind().mix(start, noise(environment).rollout)[2]
    assert own.shape == used[0].shape
    if kind is not DiscontinuitySwitch:
        assert not torch.allclose(own, used[0], atol=1e-3)


@pytest.mark.parametrize("found", [InverseVariance(), InverseVariance(covariance=True), PerStepInverseVariance()])
def test_parents_without_spread_share_equally(found: Mixture) -> None:
    environment = Step(edge=100.0)  # never reached: both parents are zero
    start, draws = simulator(environment), noise(environment)
    _, signal, weights = found.mix(start, draws.rollout)
    assert (weights == 0.5).all()
    assert (signal == 0).all()


@pytest.mark.parametrize("kind", MIXTURES)
def test_mixtures_declare_what_their_weights_cost_and_promise(kind: type[Mixture]) -> None:
    same, independent = kind(), kind(weights="independent_batch")
    environment = LQR(horizon=7)
    assert (same.environment_steps(environment), independent.environment_steps(environment)) == (7, 14)
    assert not same.unbiased(environment)
    assert independent.unbiased(environment)
    assert not independent.unbiased(Step())
    assert {"weights": "independent_batch"} in kind.variants


@pytest.mark.parametrize(
    ("make", "message"),
    [
        *(
            (lambda kind=kind: kind(weights="same"), "weights must be same_batch or independent_batch")
            for kind in MIXTURES
        ),
        (lambda: DiscontinuitySwitch(level=1.0), "level must lie in"),
        (lambda: AlphaOrder(threshold=-1.0), "threshold must not be negative"),
        (lambda: AlphaOrder(failure_probability=1.0), "failure_probability must lie in"),
        (lambda: AlphaOrder(bound=float("nan")), "bound must not be negative"),
    ],
)
def test_options_that_mean_nothing_are_refused(make: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()
