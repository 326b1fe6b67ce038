"""The interactive figure's world: its random numbers, its exact gradient, its estimates."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import integrate, stats

from scorepath.questions import one_step

KNOBS = [(0.3, 4.0, 1.0), (0.05, 12.0, -2.0), (0.9, 0.5, 3.0), (0.3, 4.0, 0.0)]


def mulberry32(seed: int) -> float:
    """One step of the generator, in integers, as its author wrote it."""
    state = (seed + 0x6D2B79F5) & 0xFFFFFFFF
    t = ((state ^ (state >> 15)) * (state | 1)) & 0xFFFFFFFF
    t ^= (t + ((t ^ (t >> 7)) * (t | 61))) & 0xFFFFFFFF
    return ((t ^ (t >> 14)) + 0.5) / 2**32


def test_uniforms_are_those_of_the_generator() -> None:
    found = one_step.uniforms(1000)
    expected = [mulberry32((one_step.SEED + i * 0x6D2B79F5) & 0xFFFFFFFF) for i in range(1000)]
    assert found.tolist() == expected


def test_the_noise_is_standard_normal() -> None:
    """Fixed numbers; one in a million samples of true normals would be rejected, and so is a spread of 1.3."""
    eps = one_step.normals()
    assert eps.shape == (one_step.SAMPLES,)
    assert stats.kstest(eps, "norm").pvalue > 1e-6 > stats.kstest(1.3 * eps, "norm").pvalue


@pytest.mark.parametrize("knobs", KNOBS)
def test_the_exact_gradient_is_that_of_the_expected_reward(knobs: tuple[float, float, float]) -> None:
    sigma, k, height = knobs

    def expected_reward(mean: float) -> float:
        low, high = mean - 12 * sigma, mean + 12 * sigma
        smooth, _ = integrate.quad(
            lambda a: np.cos(k * a) * stats.norm.pdf(a, mean, sigma), low, high, limit=400, epsabs=1e-13
        )
        return float(smooth + height * stats.norm.sf(one_step.EDGE, mean, sigma))

    step = 1e-4
    above, below = (expected_reward(one_step.MEAN + sign * step) for sign in (1, -1))
    assert one_step.exact(*knobs).gradient == pytest.approx((above - below) / (2 * step), abs=2e-5)


@pytest.mark.parametrize("knobs", KNOBS)
def test_reinforce_has_the_gradient_as_its_mean_and_pathwise_the_smooth_part(knobs: tuple[float, float, float]) -> None:
    """Fixed numbers; 1.5 widths are 5.9 standard errors, in 8 comparisons."""
    found, truth = one_step.estimated(*knobs), one_step.exact(*knobs)
    for samples, mean in ((found.reinforce, truth.gradient), (found.pathwise, truth.smooth)):
        value, low, high = one_step.mean_with_limits(samples)
        assert abs(value - mean) <= 1.5 * (high - low)


def test_a_jump_can_turn_the_sign_that_pathwise_sees() -> None:
    row = {(row["height"], row["estimator"]): row for row in one_step.figure_rows()}[2.0, "pathwise"]
    assert row["gradient"] > 1 > -1 > row["mean_high"]
