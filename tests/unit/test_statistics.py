"""The statistics of gradient estimates on synthetic data whose truth is known.

Seeds are fixed. Where a test counts how often something random happens it says what the count's own error is.
"""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from scorepath.statistics import (
    bootstrap_indices,
    interquartile_mean,
    limits,
    squared_bias,
)

REPEATS = 2000


def errors_of(blocks: int, bias: torch.Tensor, seed: int) -> torch.Tensor:
    """Correlated, unequally spread errors around a bias: (blocks, P)."""
    generator = torch.Generator().manual_seed(seed)
    count = len(bias)
    mixing = torch.randn(count, count, generator=torch.Generator().manual_seed(99), dtype=torch.float64)
    return bias + torch.randn(blocks, count, generator=generator, dtype=torch.float64) @ mixing


def test_squared_bias_is_the_mean_over_all_pairs_of_blocks() -> None:
    errors = errors_of(7, torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64), 0)
    products = [torch.dot(errors[b], errors[c]).item() for b, c in itertools.permutations(range(7), 2)]
    found = squared_bias(errors)
    assert found.pseudo_values.shape == (7,)
    assert found.estimate == pytest.approx(np.mean(products), rel=1e-12)
    # the pseudo-values are the jackknife's: M U - (M - 1) U without block b
    for block in range(7):
        others = [i for i in range(7) if i != block]
        without = squared_bias(errors[others]).estimate
        expected = 7 * found.estimate - 6 * without
        assert found.pseudo_values[block].item() == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("bias", [(0.0, 0.0, 0.0), (0.5, -0.3, 0.2)])
def test_squared_bias_is_unbiased(bias: tuple[float, ...]) -> None:
    """Mean over repetitions within 5 standard errors of the truth (false alarms: 6e-7); negative values happen."""
    vector = torch.tensor(bias, dtype=torch.float64)
    estimates = np.array([squared_bias(errors_of(8, vector, seed)).estimate for seed in range(REPEATS)])
    truth = vector.square().sum().item()
    assert abs(estimates.mean() - truth) < 5 * estimates.std() / REPEATS**0.5
    assert (estimates < 0).any()
    # the naive square of the mean error is not: its expectation is larger by tr C / M, and that is seen
    naive = np.array([errors_of(8, vector, seed).mean(0).square().sum().item() for seed in range(REPEATS)])
    assert naive.mean() - truth > 5 * naive.std() / REPEATS**0.5


def test_the_jackknife_standard_error_is_the_spread_over_repetitions() -> None:
    """Away from zero, where the statistic is not degenerate. Within 10 %: its error at 2000 repetitions is 2 %."""
    vector = torch.tensor([3.0, -2.0, 1.0], dtype=torch.float64)
    found = [squared_bias(errors_of(64, vector, seed)) for seed in range(REPEATS)]
    spread = np.std([one.estimate for one in found])
    stated = np.mean([one.standard_error for one in found])
    assert stated == pytest.approx(spread, rel=0.1)


@pytest.mark.parametrize("blocks", [1, 2])
def test_too_few_blocks_are_refused(blocks: int) -> None:
    with pytest.raises(ValueError, match="at least 3"):
        squared_bias(torch.zeros(blocks, 2))


# --- resampling -------------------------------------------------------------------------------------------------------


def test_limits_leave_out_a_fortieth_on_either_side() -> None:
    low, high = limits(np.arange(1001.0)[:, None] * np.array([1.0, -2.0]))
    assert low.tolist() == pytest.approx([25.0, -1950.0])
    assert high.tolist() == pytest.approx([975.0, -50.0])


def test_bootstrap_indices_draw_with_replacement() -> None:
    """Of each member's 2000 × 5 chances, each 1 / 5, within six standard deviations (false alarms: 2e-9 each)."""
    drawn = bootstrap_indices(5, 2000, np.random.default_rng(2))
    assert drawn.shape == (2000, 5)
    counts = np.bincount(drawn.ravel(), minlength=5)
    assert len(counts) == 5
    assert (abs(counts - 2000) < 6 * (10_000 * 0.2 * 0.8) ** 0.5).all()
    assert any(len(set(row)) < 5 for row in drawn.tolist())


# --- the middle half --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "mean"),
    [
        ([100.0, 1, 2, 3, 4, 5, 6, -100], 3.5),
        ([0.0, 1, 2, 3, 4, 100], (0.5 * 1 + 2 + 3 + 0.5 * 4) / 3),
        ([7.0], 7.0),
        # of five the middle two and a half count: all of the third, three quarters of its neighbours
        ([-9.0, 1, 2, 4, 50], (0.75 * 1 + 2 + 0.75 * 4) / 2.5),
        # of three one and a half: all of the second, a quarter of the others
        ([0.0, 1, 5], (0.25 * 0 + 1 + 0.25 * 5) / 1.5),
        # of seven three and a half
        ([-50.0, 1, 2, 3, 4, 6, 80], (0.25 * 1 + 2 + 3 + 4 + 0.25 * 6) / 3.5),
        ([1.0, 3.0], 2.0),
    ],
)
def test_interquartile_mean_is_the_mean_of_the_middle_half(values: list[float], mean: float) -> None:
    assert interquartile_mean(np.array(values)) == pytest.approx(mean)
    assert interquartile_mean(np.array(values)[::-1]) == pytest.approx(mean)
    many = np.stack([np.array(values), 2 * np.array(values)])
    assert interquartile_mean(many).tolist() == pytest.approx([mean, 2 * mean])
