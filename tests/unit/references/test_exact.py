"""Exact references against integration and finite differences, and what has none."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from tests.helpers.problems import LANDSCAPES, ONE_DECISION, at, in_generic_position, label
from tests.helpers.rules import as_rollout, central_differences, gauss_hermite, normals
from torch import Tensor

from scorepath.environments.angle_doubling import AngleDoubling
from scorepath.environments.base import Environment
from scorepath.environments.fourier_field import FourierField
from scorepath.environments.pendulum import Pendulum
from scorepath.environments.quadratic import Quadratic
from scorepath.environments.tanh_ridge import TanhRidge
from scorepath.policies import OpenLoop
from scorepath.references import quadrature
from scorepath.references.exact import exact_reference
from scorepath.rollout import Simulator


@pytest.mark.parametrize("environment", ONE_DECISION, ids=label)
def test_without_noise_the_objective_is_the_return(environment: Environment) -> None:
    start = at(environment, 0.115, 0.0)
    exact = exact_reference(start)
    objective, gradient, _ = quadrature.objective_and_gradient(environment, start.policy, start.parameters, 0.0)
    assert exact.objective == pytest.approx(objective, abs=1e-13)
    torch.testing.assert_close(exact.gradient, gradient, rtol=1e-12, atol=1e-12)


def test_certified_monte_carlo_has_no_exact_reference() -> None:
    with pytest.raises(ValueError, match="Pendulum has no exact gradient"):
        exact_reference(at(Pendulum(), 0.0, 0.1))


def test_single_precision_parameters_are_refused() -> None:
    with pytest.raises(ValueError, match="float64"):
        exact_reference(Simulator(Quadratic(), OpenLoop(1, 1), torch.zeros(1), 0.1))


@pytest.mark.parametrize("sigma", [0.0, 0.1, 0.4])
@pytest.mark.parametrize(
    "environment",
    [
        TanhRidge(dimension=2, lipschitz=1.5),
        FourierField(dimension=2, correlation_length=0.7, waves=5),
        AngleDoubling(doublings=1, noise_at="every_step", process_noise=0.3, start=0.4, discount=0.9),
        AngleDoubling(doublings=2, noise_at="start", process_noise=0.3, start=0.4, reward_noise=0.5),
    ],
    ids=label,
)
def test_smooth_objectives_match_gauss_hermite(environment: Environment, sigma: float) -> None:
    start = in_generic_position(environment, sigma)
    points, weights = gauss_hermite(40, normals(environment))
    returns = start.rollout(as_rollout(environment, points)).returns[0]
    assert exact_reference(start).objective == pytest.approx((weights @ returns).item(), rel=1e-8, abs=1e-10)


@pytest.mark.parametrize("environment", LANDSCAPES, ids=label)
def test_exact_gradients_are_finite_differences(environment: Environment) -> None:
    start = in_generic_position(environment, 0.3)

    def objective(parameters: Tensor) -> float:
        return exact_reference(replace(start, parameters=parameters)).objective

    gradient = exact_reference(start).gradient
    assert gradient.norm() > 0.01
    torch.testing.assert_close(gradient, central_differences(objective, start.parameters), rtol=1e-6, atol=1e-8)
