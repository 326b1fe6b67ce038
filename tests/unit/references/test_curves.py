"""Exact lines over the noise level against the exact numbers at each level."""

from __future__ import annotations

import pytest
import torch
from tests.helpers.problems import ONE_DECISION, at, label, matrix_lqr

from scorepath.environments.ball_with_wall import BallWithWall
from scorepath.environments.base import Environment
from scorepath.environments.bump import Bump
from scorepath.environments.lqr import LQR
from scorepath.environments.quadratic import Quadratic
from scorepath.environments.relu import Relu
from scorepath.environments.tanh_ridge import TanhRidge
from scorepath.references.curves import exact_curves
from scorepath.references.exact import exact_reference
from scorepath.references.variances import exact_variance

METHODS = ("reinforce", "leave_one_out", "pathwise", "measure_valued", "evolution_strategies")
SIGMAS = (0.01, 0.1, 1.0)


@pytest.mark.parametrize(
    "environment",
    [
        *ONE_DECISION,
        Bump(),
        Relu(),
        TanhRidge(dimension=3),
        BallWithWall(),
        Quadratic(dimension=2),
        LQR(),
        matrix_lqr(),
    ],
    ids=label,
)
def test_lines_pass_through_the_exact_numbers(environment: Environment) -> None:
    """To 1e-3 of the larger of 1 and the value, as promised; and there are lines for the same methods."""
    start = at(environment, 0.115, 0.3)
    found = exact_curves(start, SIGMAS, METHODS, batch_size=64)
    for index, sigma in enumerate(SIGMAS):
        level = start.with_sigma(sigma)
        expected = {method: exact_variance(method, level, 64) for method in METHODS}
        assert set(found.variances) == {method for method, value in expected.items() if value is not None}
        norm = exact_reference(level).gradient.norm().item()
        assert found.gradient_norm[index].item() == pytest.approx(norm, rel=1e-3, abs=1e-3)
        for method, values in found.variances.items():
            assert values[index].item() == pytest.approx(expected[method], rel=1e-3, abs=1e-3), (method, sigma)


def test_only_what_is_wanted_is_computed() -> None:
    found = exact_curves(at(Bump(), 0.1, 0.3), SIGMAS, ["pathwise"], batch_size=64)
    assert list(found.variances) == ["pathwise"]
    assert found.gradient_norm.dtype == torch.float64
    assert "leave_one_out" not in exact_curves(at(Bump(), 0.1, 0.3), SIGMAS, METHODS, batch_size=1).variances
