"""Angle doubling: noise on every angle or at the start, in closed form against integration."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Literal

import pytest
import torch
from tests.helpers.problems import at, in_generic_position
from tests.helpers.rules import as_rollout, central_differences, gauss_hermite, normals, plain_returns
from torch import Tensor

from scorepath.environments.angle_doubling import AngleDoubling
from scorepath.references.exact import exact_reference


@pytest.mark.parametrize("discount", [1.0, 0.8])
def test_angle_doubling_with_noise_at_every_step(discount: float) -> None:
    environment = AngleDoubling(doublings=3, start=0.4, discount=discount)
    start = at(environment, [0.1, -0.3, 0.2], 0.05)
    z, weights = gauss_hermite(24, 3)

    def objective(parameters: Tensor) -> Tensor:
        return weights @ plain_returns(replace(start, parameters=parameters), z)

    exact = exact_reference(start)
    assert environment.frequencies == (16.0, 8.0, 4.0)
    assert exact.objective == pytest.approx(objective(start.parameters).item(), rel=1e-10)
    torch.testing.assert_close(exact.gradient, central_differences(objective, start.parameters), rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("doublings", [1, 2, 6, 9])
@pytest.mark.parametrize("noise_at", ["every_step", "start"])
def test_angle_doubling_starts_equally_steep_at_every_depth(
    doublings: int, noise_at: Literal["every_step", "start"]
) -> None:
    environment = AngleDoubling(doublings=doublings, noise_at=noise_at)
    exact = exact_reference(at(environment, 0.0, 0.0))
    assert exact.objective == pytest.approx(-0.5, abs=1e-9)
    assert abs(exact.gradient[0].item()) == pytest.approx(2 ** (doublings + 1) * math.sqrt(3) / 2, rel=1e-9)


def test_angle_doubling_refuses_feedback() -> None:
    with pytest.raises(ValueError, match="open_loop"):
        exact_reference(at(AngleDoubling(), 0.0, 0.1, "linear"))


def test_angle_doubling_with_noise_on_every_angle() -> None:
    """Two steps, four normals: noise of frequency 4 after the first doubling and 2 after the second."""
    environment, sigma = AngleDoubling(doublings=2, process_noise=0.15, start=0.4), 0.05
    start = in_generic_position(environment, sigma)
    points, weights = gauss_hermite(12, normals(environment))
    returns = start.rollout(as_rollout(environment, points)).returns[0]
    exact = exact_reference(start).objective
    assert exact == pytest.approx((weights @ returns).item(), rel=1e-9)
    quiet = exact_reference(replace(start, environment=replace(environment, process_noise=0.0))).objective
    assert exact / quiet == pytest.approx(math.exp(-(0.15**2) * (4**2 + 2**2) / 2), rel=1e-12)
