"""Alpha-order mixing: its weight by hand, and two independent batches."""

from __future__ import annotations

import math

import pytest
import torch
from tests.helpers.problems import noise, randn, simulator
from torch import Tensor

from scorepath import registry
from scorepath.environments.lqr import LQR
from scorepath.environments.step import Step
from scorepath.estimators.alpha_order import AlphaOrder


def batch_with(mean: float, variance: float, samples: int = 50) -> Tensor:
    """One parameter, a batch of exactly this mean and sample variance."""
    rows = randn(1, samples, 1, seed=samples)
    return mean + (rows - rows.mean()) / rows.std() * variance**0.5


def test_alpha_order_keeps_caps_or_drops_alpha() -> None:
    zeroth, first = batch_with(1.0, 9.0, 400), batch_with(3.0, 1.0, 400)
    odds = math.log(2 / 0.05)
    error = math.sqrt(2 * 9.0 * odds / 400) + 2 * 0.5 * odds / (3 * 400)
    assert 0.4 < error < 0.45
    for threshold, alpha in ((3.0, 0.9), (1.0, (1.0 - error) / 2), (0.4, 0.0), (0.9 * 2 + error + 1e-9, 0.9)):
        found = AlphaOrder(threshold=threshold, bound=0.5).weight(zeroth, first)
        assert found.item() == pytest.approx(alpha, abs=1e-9)
    # the published setting believes the score function more, and so allows a larger alpha
    published = AlphaOrder(threshold=1.0, bound=0.5, failure_probability=0.95).weight(zeroth, first).item()
    odds = math.log(2 / 0.95)
    error = math.sqrt(2 * 9.0 * odds / 400) + 2 * 0.5 * odds / (3 * 400)
    assert published == pytest.approx((1.0 - error) / 2)


def test_alpha_order_mixes_two_independent_batches() -> None:
    """On a step pathwise is zero; without a bound nothing is left, with one of 0 the score function is all there is."""
    environment = Step()
    start, draws = simulator(environment), noise(environment, samples=200)
    assert all((chunk == 0).all() for chunk in AlphaOrder(threshold=1e9).gradients(start, draws))
    (found,) = AlphaOrder(threshold=0.0).gradients(start, draws)
    zero_noise = registry.load(registry.ESTIMATORS, "zero_noise_baseline")()
    (dependent,) = zero_noise.gradients(start, draws)
    assert found.abs().sum() > 0
    assert not torch.allclose(found, dependent)
    assert set(found.flatten().sign().tolist()) <= {-1.0, 0.0, 1.0}
    assert AlphaOrder().environment_steps(LQR(horizon=7)) == 21
