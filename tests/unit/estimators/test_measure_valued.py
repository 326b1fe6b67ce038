"""Measure-valued derivatives, coupled or not, by a quadrature over their branches."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from tests.helpers.problems import quadratic
from tests.helpers.rules import listed
from torch import Tensor

from scorepath.estimators.measure_valued import MeasureValued


def rayleigh_rule() -> tuple[Tensor, Tensor]:
    """Nodes and weights for the density `rho exp(-rho^2 / 2)`."""
    x, w = np.polynomial.legendre.leggauss(60)
    rho = torch.tensor(6 * (x + 1))
    return rho, torch.tensor(6 * w) * rho * torch.exp(-rho.square() / 2)


@pytest.mark.parametrize("distance", [0.0, 0.3, 0.7, 0.8, 2.0])
def test_coupling_hurts_far_from_the_optimum_of_a_quadratic(distance: float) -> None:
    """d = mu - k: variances d^2 (16 / pi - 4) coupled and d^2 (8 / pi - 2) + 4 sigma^2 / pi not, per coordinate."""
    sigma = 0.5
    start = quadratic(distance, sigma, dimension=2)
    rho, weight = rayleigh_rule()
    above, below = torch.cartesian_prod(rho, rho).T
    weights = torch.outer(weight, weight).flatten()
    draws = listed(
        start.environment,
        1,
        action=torch.tensor([0.4, -1.3]),
        branch_step=torch.tensor([[0.5]]),
        branch_distance=above.square()[:, None] / 2,  # exponential variates
        branch_distance_below=below.square()[:, None] / 2,
    )
    variances = {}
    for coupled in (True, False):
        signal = MeasureValued(coupled=coupled).signal(start, draws)[1][0, :, 0]
        mean = weights @ signal
        torch.testing.assert_close(mean, torch.full((2,), -2 * distance, dtype=torch.float64), rtol=1e-9, atol=1e-9)
        variances[coupled] = (weights @ (signal - mean).square()).tolist()
    independent = distance**2 * (8 / math.pi - 2) + 4 * sigma**2 / math.pi
    assert variances[True] == pytest.approx([distance**2 * (16 / math.pi - 4)] * 2, rel=1e-9, abs=1e-9)
    assert variances[False] == pytest.approx([independent] * 2, rel=1e-9)
    assert (variances[True] > variances[False]) == (distance > math.sqrt(2 / (4 - math.pi)) * sigma)
