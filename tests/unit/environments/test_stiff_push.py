"""Pushing a box with a stiff contact against an integration, and which estimator stiffness favours."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp
from tests.helpers.contact import ACTIONS, returns
from tests.helpers.problems import at

from scorepath.environments.stiff_push import StiffPush
from scorepath.references.quadrature import decision_return
from scorepath.references.variances import exact_variance


@pytest.mark.parametrize(("stiffness", "tolerance"), [(10.0, 1e-3), (1000.0, 2e-2)])
def test_the_box_slides_as_integrated_to_small_errors(stiffness: float, tolerance: float) -> None:
    environment = StiffPush(stiffness=stiffness, mass=0.8)

    def displacement(speed: float) -> float:
        def rate(t: float, s: np.ndarray) -> list[float]:
            force = stiffness * max(speed * t - environment.gap - s[0], 0.0)
            return [s[1], (force - environment.damping * s[1]) / environment.mass]

        moved, velocity = solve_ivp(
            rate, (0, environment.push_time), [0.0, 0.0], rtol=1e-8, atol=1e-10, max_step=0.01
        ).y[:, -1]
        return moved + velocity * environment.mass / environment.damping

    expected = [-((displacement(environment.nominal_speed + a) - environment.goal) ** 2) for a in ACTIONS]
    np.testing.assert_allclose(returns(environment), expected, atol=tolerance)


def test_a_pusher_that_does_not_arrive_moves_nothing() -> None:
    environment = StiffPush()
    action = torch.tensor([-5.0, -0.2, -0.11], dtype=torch.float64, requires_grad=True)
    values = decision_return(environment, action)
    assert values.tolist() == [-1.0] * 3
    assert torch.autograd.grad(values.sum(), action)[0].tolist() == [0.0] * 3


def test_stiffness_flips_the_winner() -> None:
    """At sigma = 0.1 pathwise has less variance than leave-one-out on the soft contact, and more on the stiff one."""

    def variances(stiffness: float) -> tuple[float, float]:
        start = at(StiffPush(stiffness=stiffness), 0.0, 0.1)
        pathwise, score_function = (
            exact_variance(method, start, 4096, tolerance=1e-3) for method in ("pathwise", "leave_one_out")
        )
        assert pathwise is not None
        assert score_function is not None
        return pathwise, score_function

    soft, below, above, stiff = (variances(stiffness) for stiffness in (10.0, 100.0, 150.0, 1000.0))
    assert soft[0] / soft[1] < 0.2
    assert below[0] < below[1]
    assert above[0] > above[1]
    assert stiff[0] / stiff[1] > 2
    assert stiff[0] > 40 * soft[0]


@pytest.mark.parametrize("stiffness", [10.0, 100.0, 1000.0])
def test_the_first_policy_does_not_stand_on_a_kink(stiffness: float) -> None:
    """The slopes to both sides of the action 0 agree to rounding and curvature."""
    step = 1e-6
    below, here, above = decision_return(
        StiffPush(stiffness=stiffness), torch.tensor([-step, 0.0, step], dtype=torch.float64)
    ).tolist()
    assert (above - here) / step == pytest.approx((here - below) / step, rel=1e-3)
