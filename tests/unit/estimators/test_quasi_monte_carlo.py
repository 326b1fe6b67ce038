"""Randomly shifted Sobol points: evenly spread in each batch, independent of the others."""

from __future__ import annotations

import pytest
import torch
from tests.helpers.comparisons import assert_close
from tests.helpers.problems import BATCHES, SIGMA, noise, simulator

from scorepath.conformance.problems import gradients
from scorepath.environments.lqr import LQR
from scorepath.estimators.quasi_monte_carlo import QuasiMonteCarlo, shifted_sobol_points


@pytest.mark.parametrize("samples", [1, 16, 64])
def test_sobol_points_fill_every_interval_once(samples: int) -> None:
    environment = LQR(horizon=7)
    points = shifted_sobol_points(noise(environment, samples=samples), 7)
    assert points.shape == (BATCHES, samples, 7)
    cells = (points * samples).long().sort(dim=1).values
    assert (cells == torch.arange(samples)[:, None]).all()
    # each batch has a shift of its own, and each coordinate
    assert len(points[:, 0].unique()) == BATCHES * 7
    assert ((points > 0) & (points < 1)).all()


def test_sobol_points_of_a_batch_do_not_depend_on_the_others() -> None:
    environment = LQR(horizon=7)
    draws = noise(environment)
    whole = gradients(QuasiMonteCarlo(), simulator(environment), draws)
    part = gradients(QuasiMonteCarlo(), simulator(environment), draws.select(slice(1, 2)))
    assert_close(part, whole[1:2])


def test_quasi_monte_carlo_ends_where_the_sobol_sequence_does() -> None:
    assert QuasiMonteCarlo().not_applicable(LQR(horizon=21201), SIGMA) is None
    assert "more than 21201" in str(QuasiMonteCarlo().not_applicable(LQR(horizon=21202), SIGMA))
    assert "score function" in str(QuasiMonteCarlo().not_applicable(LQR(), 0.0))
