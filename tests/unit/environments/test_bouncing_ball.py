"""A bouncing ball against an integration with events."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp
from tests.helpers.contact import ACTIONS, returns

from scorepath.environments.bouncing_ball import BouncingBall
from scorepath.references.quadrature import decision_return


@pytest.mark.parametrize("restitution", [0.0, 0.6, 0.8, 1.0])
def test_ball_bounces_as_integrated_with_events(restitution: float) -> None:
    environment = BouncingBall(restitution=restitution, time=2.5, target=0.3)

    def height_over_ground(t: float, s: np.ndarray) -> float:
        return s[0]

    ground: Any = height_over_ground
    ground.terminal, ground.direction = True, -1.0

    def height(speed: float) -> float:
        t, s = 0.0, np.array([environment.launch_height, speed])
        while True:
            span = (t, environment.time)
            flight = solve_ivp(lambda _, s: [s[1], -environment.gravity], span, s, events=ground, rtol=1e-10)
            if flight.status == 0:
                return flight.y[0, -1]
            t, s = flight.t[-1], np.array([0.0, -restitution * flight.y[1, -1]])
            if s[1] < 1e-3:  # it will never again be higher than 1e-7 m
                return 0.0

    expected = [-((height(environment.nominal_speed + a) - environment.target) ** 2) for a in ACTIONS]
    np.testing.assert_allclose(returns(environment), expected, atol=1e-6)


def test_a_ball_that_lies_still_has_no_slope() -> None:
    environment = BouncingBall(restitution=0.3, target=0.5)
    action = torch.linspace(-1, 1, 5, dtype=torch.float64, requires_grad=True)
    values = decision_return(environment, action)
    assert values.tolist() == [-0.25] * 5
    assert torch.autograd.grad(values.sum(), action)[0].tolist() == [0.0] * 5
