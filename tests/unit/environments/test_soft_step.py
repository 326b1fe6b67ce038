"""The slope of a soft step at its centre, in closed form."""

from __future__ import annotations

import math

import pytest
from tests.helpers.problems import at

from scorepath.environments.soft_step import SoftStep
from scorepath.references.exact import exact_reference


@pytest.mark.parametrize(("width", "sigma"), [(0.05, 0.01), (0.05, 1.0), (1e-4, 1.0), (2.0, 0.01)])
def test_soft_step_slope_at_its_centre(width: float, sigma: float) -> None:
    exact = exact_reference(at(SoftStep(edge=0.1, width=width), 0.1, sigma))
    assert exact.objective == pytest.approx(0.5, abs=1e-11)
    assert exact.gradient.item() == pytest.approx(math.erf(width / (2 * sigma) / math.sqrt(2)) / width, rel=1e-11)
