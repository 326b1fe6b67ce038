"""The quadratic bowl in several dimensions."""

from __future__ import annotations

import pytest
import torch
from tests.helpers.problems import at
from tests.helpers.rules import gauss_hermite, plain_returns

from scorepath.environments.quadratic import Quadratic
from scorepath.references.exact import exact_reference


@pytest.mark.parametrize("sigma", [0.0, 0.4])
def test_quadratic_objective_in_several_dimensions(sigma: float) -> None:
    start = at(Quadratic(dimension=3, offset=0.2), [0.5, -0.4, 0.1], sigma)
    z, weights = gauss_hermite(3, 3)
    exact = exact_reference(start)
    assert exact.objective == pytest.approx((weights @ plain_returns(start, z)).item(), rel=1e-12)
    torch.testing.assert_close(exact.gradient, -2 * (start.parameters - 0.2))
