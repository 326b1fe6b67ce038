"""Crossings of exact variances: where closed forms put them, all of them, those between two levels of the grid too."""

from __future__ import annotations

import math

import pytest
from tests.helpers.problems import at

from scorepath.environments.cosine import Cosine
from scorepath.environments.quadratic import Quadratic
from scorepath.environments.stiff_push import StiffPush
from scorepath.references.crossings import Crossing, variance_crossings
from scorepath.references.curves import exact_curves
from scorepath.references.variances import exact_variance
from scorepath.rollout import Simulator


def crossings(simulator: Simulator, sigmas: list[float], *rivals: str) -> list[Crossing]:
    found = exact_curves(simulator, sigmas, ["pathwise", *rivals], 64)
    return variance_crossings(simulator, sigmas, found.variances, 64)


@pytest.mark.parametrize(("phase", "expected"), [(0.0, 0.851), (math.pi / 2, 1.109)])
def test_the_cosine_crosses_where_its_closed_form_does(phase: float, expected: float) -> None:
    """`k^2 (1 - exp(-2u) cos 2a) = (1 + (1 - 4u) exp(-2u) cos 2a) / sigma^2`, without a baseline."""
    sigmas = [0.01, 0.03, 0.1, 0.3, 1.0]
    (found,) = crossings(at(Cosine(frequency=10.0, phase=phase), 0.0, 0.1), sigmas, "reinforce")
    assert 10.0 * found.sigma == pytest.approx(expected, rel=2e-3)
    assert found[1:] == ("reinforce", False)


def test_both_crossings_of_the_soft_push_are_found_between_levels() -> None:
    """Pathwise is ahead at every level of the grid; only how close the curves come tells."""
    simulator = at(StiffPush(stiffness=10.0), 0.0, 0.1)
    first, second = crossings(simulator, [0.3, 0.72, 2.0], "reinforce", "leave_one_out")
    assert (first.sigma, second.sigma) == pytest.approx((0.3786, 0.6867), rel=0.01)
    assert (first[1:], second[1:]) == (("leave_one_out", False), ("leave_one_out", True))
    # by the other quadrature, one per cent to each side of the second
    ahead = []
    for factor in (0.99, 1.01):
        level = simulator.with_sigma(factor * second.sigma)
        ours, theirs = (exact_variance(method, level, 64, 1e-3) for method in ("pathwise", "leave_one_out"))
        assert ours is not None
        assert theirs is not None
        ahead.append(ours < theirs)
    assert ahead == [False, True]


def test_curves_that_do_not_cross_have_no_crossing() -> None:
    assert crossings(at(Quadratic(dimension=1, offset=1.0), 0.0, 0.1), [0.01, 0.1, 1.0], "reinforce") == []
    assert crossings(at(Quadratic(dimension=1, offset=1.0), 0.0, 0.1), [0.01, 0.1, 1.0]) == []
