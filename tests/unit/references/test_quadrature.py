"""Quadrature over one decision against closed forms; it names what it does not cover."""

from __future__ import annotations

import math

import pytest
import torch
from tests.helpers.problems import ONE_DECISION, at, label

from scorepath.environments._squashed import squashed
from scorepath.environments.base import Environment, make_policy
from scorepath.environments.bump import Bump
from scorepath.environments.lqr import LQR
from scorepath.environments.relu import Relu
from scorepath.environments.step import Step
from scorepath.environments.uniform_support import UniformSupport
from scorepath.policies import OpenLoop
from scorepath.references import quadrature
from scorepath.references.exact import exact_reference


@pytest.mark.parametrize("environment", ONE_DECISION, ids=label)
@pytest.mark.parametrize("sigma", [0.01, 0.1, 1.0])
@pytest.mark.parametrize("mean", [0.0, 0.115])
def test_closed_forms_match_quadrature(environment: Environment, sigma: float, mean: float) -> None:
    start = at(environment, mean, sigma)
    exact = exact_reference(start)
    objective, gradient, _ = quadrature.objective_and_gradient(environment, start.policy, start.parameters, sigma)
    tolerance = 1e-7 if environment.continuous else 1e-4  # the midpoint rule is of first order at a jump
    assert objective == pytest.approx(exact.objective, rel=tolerance, abs=tolerance)
    torch.testing.assert_close(gradient, exact.gradient, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("edge", [0.1, 0.3, 0.6])
@pytest.mark.parametrize("tolerance", [1e-10, 1e-4])
def test_the_error_is_stated_wherever_a_jump_lies_between_two_nodes(edge: float, tolerance: float) -> None:
    """A squashed step has no formula of its own, but its gradient is the density of the noise where tanh passes it."""
    environment = squashed(Step(edge=edge), 1.0)
    policy = make_policy(environment)
    for mean in (0.0, 0.1, 0.2, 0.25):
        for sigma in (0.1, 0.3, 1.0):
            parameters = torch.tensor([mean], dtype=torch.float64)
            found = quadrature.objective_and_gradient(environment, policy, parameters, sigma, tolerance)
            where = (math.atanh(edge) - mean) / sigma
            exact = math.exp(-(where**2) / 2) / math.sqrt(2 * math.pi) / sigma
            assert abs(found[1].item() - exact) <= found[2] + 1e-12 / sigma
            assert found[2] < 1e-2 / sigma


def test_quadrature_reports_an_honest_error_at_a_jump() -> None:
    start = at(Step(), 0.03, 0.1)
    exact = exact_reference(start)
    _, gradient, error = quadrature.objective_and_gradient(Step(), start.policy, start.parameters, 0.1)
    distance = (gradient - exact.gradient).norm().item()
    assert 0 < distance <= 4 * error < 1e-2


def test_quadrature_names_what_it_does_not_cover() -> None:
    with pytest.raises(ValueError, match="LQR has horizon 20"):
        quadrature.objective_and_gradient(LQR(), make_policy(LQR()), torch.zeros(1, dtype=torch.float64), 0.1)


@pytest.mark.parametrize("environment", [Bump(), Bump(steepness=0.5, offset=-1.0), Relu(), Relu(kink=-0.2)], ids=label)
@pytest.mark.parametrize("sigma", [0.0, 0.01, 0.1, 1.0])
@pytest.mark.parametrize("mean", [0.0, 0.115])
def test_scalar_closed_forms_match_quadrature(environment: Environment, sigma: float, mean: float) -> None:
    start = at(environment, mean, sigma)
    exact = exact_reference(start)
    objective, gradient, _ = quadrature.objective_and_gradient(environment, start.policy, start.parameters, sigma)
    assert objective == pytest.approx(exact.objective, rel=1e-7, abs=1e-9)
    torch.testing.assert_close(gradient, exact.gradient, rtol=1e-7, atol=1e-8)


def test_quadrature_over_a_normal_refuses_a_moving_support() -> None:
    with pytest.raises(ValueError, match="moving_support True"):
        quadrature.objective_and_gradient(UniformSupport(), OpenLoop(1, 1), torch.zeros(1, dtype=torch.float64), 0.1)
