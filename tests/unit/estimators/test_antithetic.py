"""Antithetic pairs keep what is odd in the noise."""

from __future__ import annotations

import pytest
import torch
from tests.helpers.comparisons import assert_close
from tests.helpers.problems import BATCHES, generic_quadratic, noise, simulator

from scorepath.conformance.problems import gradients
from scorepath.environments.base import Environment
from scorepath.environments.chain import Chain
from scorepath.environments.lqr import LQR
from scorepath.estimators.antithetic import Antithetic, mirrored
from scorepath.estimators.reward_to_go import RewardToGo


def test_an_antithetic_pair_keeps_what_is_odd_in_the_noise() -> None:
    """On the quadratic only the linear part is left, `g = -2 (d.eps) eps`: neither |d|^2 nor |eps|^2 appears."""
    start, draws, distance, eps = generic_quadratic()
    assert_close(gradients(Antithetic(), start, draws), -2 * (eps @ distance)[..., None] * eps)


@pytest.mark.parametrize("environment", [LQR(horizon=4), Chain(horizon=4)], ids=["normal", "Gumbel"])
def test_an_antithetic_estimate_is_the_mean_of_its_two_halves(environment: Environment) -> None:
    start, draws = simulator(environment, batches=BATCHES), noise(environment)
    image = noise(environment)
    image.__dict__["rollout"] = draws.rollout._replace(action=mirrored(environment, draws.rollout.action))
    halves = [gradients(RewardToGo(), start, each) for each in (draws, image)]
    assert_close(gradients(Antithetic(), start, draws), (halves[0] + halves[1]) / 2)
    assert not torch.allclose(halves[0], halves[1])


def test_mirrored_gumbel_noise_has_the_opposite_probability() -> None:
    # the smallest and largest that can be drawn: exponentials of 25 and 1e-30
    gumbel = torch.cat([noise(Chain()).rollout.action.flatten(), torch.tensor([-3.2, 69.0], dtype=torch.float64)])
    image = mirrored(Chain(), gumbel)
    assert_close(torch.exp(-torch.exp(-gumbel)) + torch.exp(-torch.exp(-image)), torch.ones_like(gumbel))
    assert mirrored(Chain(), gumbel.float()).isfinite().all()
