"""Central differences are exact on a quadratic."""

from __future__ import annotations

import torch
from tests.helpers.comparisons import assert_close
from tests.helpers.problems import SIGMA, generic_quadratic, noise

from scorepath.conformance.problems import gradients
from scorepath.estimators.central_differences import CentralDifferences


def test_central_differences_are_exact_on_a_quadratic() -> None:
    """Each sample is the derivative by one coordinate times their number, and every coordinate has its turn."""
    start, draws, distance, eps = generic_quadratic()
    found = gradients(CentralDifferences(perturbation=0.3), start, draws)
    chosen = found != 0
    assert (chosen.sum(-1) == 1).all()
    assert_close(found, torch.where(chosen, 3 * -2 * (distance + SIGMA * eps), 0.0))
    # 3000 draws: 1000 each, give or take six standard deviations (false alarms: 6e-9)
    counts = (gradients(CentralDifferences(), start, noise(start.environment, samples=1000)) != 0).sum((0, 1))
    assert ((counts - 1000).abs() < 6 * (3000 * 2 / 9) ** 0.5).all()
