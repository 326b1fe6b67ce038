"""The return of the noiseless policy as a baseline leaves what the noise changed."""

from __future__ import annotations

from dataclasses import replace

import torch
from tests.helpers.comparisons import assert_close
from tests.helpers.problems import SIGMA, generic_quadratic, noise, simulator

from scorepath.conformance.problems import gradients
from scorepath.environments.chain import Chain
from scorepath.environments.lqr import LQR
from scorepath.estimators.zero_noise_baseline import ZeroNoiseBaseline


def test_the_zero_noise_baseline_leaves_what_the_noise_changed() -> None:
    """`R - R(0) = -(2 sigma d.eps + sigma^2 |eps|^2)` on the quadratic."""
    start, draws, distance, eps = generic_quadratic()
    difference = -2 * SIGMA * eps @ distance - SIGMA**2 * eps.square().sum(-1)
    assert_close(gradients(ZeroNoiseBaseline(), start, draws), difference[..., None] * eps / SIGMA)


def test_the_zero_noise_baseline_shares_all_other_noise() -> None:
    """Noise on the reward, the same in both rollouts, cancels; with discrete actions the baseline is greedy."""
    environment = LQR(horizon=4, process_noise=0.3)
    start, noisy = simulator(environment), replace(environment, reward_noise=5.0)
    loud = gradients(ZeroNoiseBaseline(), replace(start, environment=noisy), noise(noisy))
    torch.testing.assert_close(loud, gradients(ZeroNoiseBaseline(), start, noise(environment)), rtol=1e-9, atol=1e-9)
    chain = Chain(horizon=4)
    start, draws = simulator(chain), noise(chain)
    greedy = start.with_sigma(0.0).rollout(draws.rollout).returns
    expected = start.rollout(draws.rollout)
    signal = (expected.returns - greedy)[..., None, None] * expected.score
    _, found = ZeroNoiseBaseline().signal(start, draws)
    assert torch.equal(found, signal)
    assert not torch.equal(greedy, expected.returns)
