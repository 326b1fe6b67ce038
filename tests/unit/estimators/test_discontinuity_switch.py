"""The switch is one of its parents, and fires beyond its test's quantile."""

from __future__ import annotations

import math

import pytest
import torch
from scipy import stats
from tests.helpers.problems import noise, randn, simulator

from scorepath.environments.quadratic import Quadratic
from scorepath.environments.step import Step
from scorepath.estimators.discontinuity_switch import DiscontinuitySwitch
from scorepath.estimators.leave_one_out import LeaveOneOut
from scorepath.estimators.pathwise import Pathwise


def test_the_switch_is_one_of_its_parents() -> None:
    step, smooth = Step(), Quadratic(dimension=3)
    for environment, parent in ((step, LeaveOneOut()), (smooth, Pathwise())):
        start, draws = simulator(environment), noise(environment, samples=200)
        found, expected = (each.signal(start, draws)[1] for each in (DiscontinuitySwitch(), parent))
        assert torch.equal(found, expected)


@pytest.mark.parametrize("level", [0.05, 0.001])
@pytest.mark.parametrize("freedom", [1, 2, 5, 50])
def test_the_switch_fires_beyond_the_chi_square_quantile(freedom: int, level: float) -> None:
    """White differences in that many dimensions, with the mean just below and just above the threshold."""
    samples = 400
    rows = randn(samples, freedom)
    centred = torch.linalg.qr(rows - rows.mean(0)).Q * (samples - 1) ** 0.5
    assert torch.allclose(torch.cov(centred.mT), torch.eye(freedom, dtype=torch.float64))
    critical = stats.chi2.isf(level, freedom)
    for factor, fires in ((0.96, False), (1.04, True)):
        shift = math.sqrt(factor * critical / samples)
        differences = centred.clone()
        differences[:, 0] += shift
        assert DiscontinuitySwitch(level=level).fires(differences[None]).item() is fires
        # more parameters than samples, all of them without effect: the other way to the same covariance
        padded = torch.cat([differences, torch.zeros(samples, samples)], -1)
        assert DiscontinuitySwitch(level=level).fires(padded[None]).item() is fires
