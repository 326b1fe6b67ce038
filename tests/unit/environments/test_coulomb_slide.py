"""Dry friction against an integration and the textbook."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp
from tests.helpers.contact import ACTIONS, returns

from scorepath.environments.coulomb_slide import CoulombSlide
from scorepath.references.quadrature import decision_return


@pytest.mark.parametrize("regularisation", [0.05, 0.5])
def test_the_block_slides_as_integrated(regularisation: float) -> None:
    environment = CoulombSlide(regularisation=regularisation)

    def displacement(push: float) -> float:
        def rate(t: float, s: np.ndarray) -> list[float]:
            drive = push / environment.mass if t < environment.push_time else 0.0
            grip = environment.friction * environment.gravity * np.clip(s[1] / regularisation, -1, 1)
            return [s[1], drive - grip]

        s = np.zeros(2)
        for span in ((0.0, environment.push_time), (environment.push_time, 8.0)):
            # the drive belongs to the open interval
            s = solve_ivp(
                rate, (span[0], np.nextafter(span[1], 0)), s, rtol=1e-8, atol=1e-10, method="LSODA", max_step=0.05
            ).y[:, -1]
        return s[0]

    expected = [-((displacement(environment.nominal_push + a) - environment.goal) ** 2) for a in ACTIONS]
    np.testing.assert_allclose(returns(environment), expected, atol=1e-4)


def test_coulombs_law_is_the_textbooks() -> None:
    """Uniform acceleration under the push, then `v^2 / (2 mu g)`; nothing moves inside the friction limit."""
    environment = CoulombSlide()
    grip = environment.friction * environment.gravity
    push = environment.nominal_push + ACTIONS
    acceleration = np.maximum(np.abs(push) / environment.mass - grip, 0)
    speed = acceleration * environment.push_time
    moved = np.sign(push) * (acceleration * environment.push_time**2 / 2 + speed**2 / (2 * grip))
    np.testing.assert_allclose(returns(environment), -((moved - environment.goal) ** 2), rtol=1e-12)
    assert {bool(value) for value in moved == 0} == {True, False}

    stuck = torch.linspace(-1.8, 0.05, 9, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(decision_return(environment, stuck).sum(), stuck)
    assert slope.tolist() == [0.0] * 9


def test_smoothing_spreads_the_kink() -> None:
    environment = CoulombSlide()
    assert environment.smoothed(0.0) == environment
    assert environment.smoothed(0.2) == CoulombSlide(regularisation=0.2)
    stuck = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    slopes = []
    for width in (0.1, 0.01, 0.001):
        (slope,) = torch.autograd.grad(decision_return(environment.smoothed(width), stuck).sum(), stuck)
        slopes.append(slope.item())
    # the block creeps at a speed proportional to the width
    assert slopes[0] > 0.05
    np.testing.assert_allclose(np.array(slopes[:2]) / np.array(slopes[1:]), 10, rtol=0.1)
