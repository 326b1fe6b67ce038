"""Intervals hold the truth as often as they say, on synthetic data whose truth is known.

Seeds are fixed. A share counted in n repetitions is held to within five of its standard errors (false alarms: 6e-7).
"""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import stats

from scorepath.intervals import (
    jackknife,
    mean_estimates,
    positive_mean_estimates,
    positive_ratio,
    quantile_limits,
    skewness,
    squared_norm_limits,
    studentised,
)
from scorepath.statistics import squared_bias

BATCHES = 64
REPEATS = 2000


def within(share: float, low: float, high: float, repeats: int = REPEATS) -> bool:
    """Whether a share is as it should be, but for the chance of its count."""
    chance = 5 * math.sqrt(0.05 * 0.95 / repeats)
    return low - chance <= share <= high + chance


def batches_of(kind: str, repeats: int = REPEATS, samples: int = 64) -> np.ndarray:
    """Variances within batches of a variable of variance 1, (repeats, BATCHES)."""
    generator = np.random.default_rng(len(kind))
    size = (repeats, BATCHES, samples)
    if kind == "normal":
        drawn = generator.standard_normal(size)
    elif kind == "exponential":
        drawn = generator.standard_exponential(size)
    else:
        drawn = (generator.random(size) < 0.01) / math.sqrt(0.01 * 0.99)
    return np.asarray(drawn.var(-1, ddof=1))


def test_of_symmetric_batches_the_limits_are_students() -> None:
    values = np.array([1.0, 2.0, 3.0, 4.0, 5.0])
    found = mean_estimates(values)
    low, high = stats.t.interval(0.95, 4, values.mean(), stats.sem(values))
    assert (found.value, found.low, found.high) == pytest.approx((3.0, low, high))
    assert found.p_value == pytest.approx(stats.ttest_1samp(values, 0.0).pvalue)


def test_skewness_lengthens_the_side_of_the_long_tail() -> None:
    even, skewed = (studentised(0.0, 1.0, g, BATCHES) for g in (0.0, 3.0))
    assert skewed.high > even.high
    assert skewed.low == even.low
    # and the transformation is inverted: at a limit its p-value is 5 %
    limit = studentised(0.0, 1.0, 3.0, BATCHES).high
    assert studentised(-limit, 1.0, 3.0, BATCHES).p_value == pytest.approx(0.05)


@pytest.mark.parametrize("value", [1.9, 2.1, -1.9, -2.1, 0.0])
@pytest.mark.parametrize("skew", [-2.0, 0.0, 2.0])
def test_a_p_value_below_a_twentieth_and_an_interval_without_zero_are_the_same(value: float, skew: float) -> None:
    for below, above in ((0.0, 0.0), (0.3, 0.0), (0.0, 0.3)):
        found = studentised(value, 1.0, skew, BATCHES, below, above)
        assert (found.p_value < 0.05) == (found.low > 0 or found.high < 0)


def test_what_may_be_unseen_is_added() -> None:
    plain, wider = (studentised(1.0, 0.1, 0.0, BATCHES, *extra) for extra in ((0.0, 0.0), (0.5, 0.25)))
    assert [wider.low, wider.high] == [pytest.approx(plain.low - 0.5), pytest.approx(plain.high + 0.25)]
    assert studentised(0.4, 0.0, 0.0, BATCHES, 0.5).p_value == 1.0
    assert studentised(0.6, 0.0, 0.0, BATCHES, 0.5).p_value == 0.0
    values = np.random.default_rng(0).uniform(1, 2, BATCHES)
    plain, wider = positive_mean_estimates(values), positive_mean_estimates(values, 0.5)
    assert [wider.low, wider.high] == [pytest.approx(plain.low), pytest.approx(1.5 * plain.high)]
    lower = positive_mean_estimates(values, luck=2.0)
    assert [lower.low, lower.high] == [pytest.approx(plain.low / 2), pytest.approx(plain.high)]


@pytest.mark.parametrize("kind", ["normal", "exponential", "rare"])
def test_variances_are_covered(kind: str) -> None:
    found = positive_mean_estimates(batches_of(kind))
    assert within(((found.low <= 1) & (found.high >= 1)).mean(), 0.94, 0.97)
    assert (found.low > 0).all()


def test_equal_variances_are_told_apart_as_rarely_as_stated() -> None:
    for ours, theirs in (("normal", "exponential"), ("exponential", "rare")):
        first, second = batches_of(ours, 500).tolist(), batches_of(theirs, 500).tolist()
        p_values = []
        for one, two in zip(np.array(first), np.array(second), strict=True):
            without = [np.log((x.sum() - x) / (BATCHES - 1)) for x in (one, two)]
            p_values.append(jackknife(np.log(two.mean() / one.mean()), without[1] - without[0]).p_value)
        assert within(1 - (np.array(p_values) < 0.05).mean(), 0.94, 0.975, 500)


def test_batches_that_are_not_finite_give_no_interval_and_constants_a_point() -> None:
    values = np.array([[1.0, np.nan, 2.0, 3.0], [1.0, np.inf, 2.0, 3.0], [2.0] * 4, [0.1] * 4])
    for estimates in (mean_estimates, positive_mean_estimates):
        found = np.array(estimates(values)[:3]).T
        assert np.isnan(found[0]).all()
        assert np.isposinf(found[1]).all()
        assert found[2:].tolist() == [[2.0] * 3, pytest.approx([0.1] * 3)]
    assert skewness(np.ones(5)) == 0


# --- squares ----------------------------------------------------------------------------------------------------------


def limits_of(errors: torch.Tensor) -> tuple[float, float]:
    found = squared_bias(errors)
    low, high = squared_norm_limits(found.pseudo_values.numpy(), found.spread, found.along, found.roundness)
    return float(low), float(high)


@pytest.mark.parametrize("skewed", [False, True])
def test_of_one_number_the_limits_are_the_squares_of_its_own(skewed: bool) -> None:
    errors = torch.randn(BATCHES, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    errors = (errors / 2).exp() if skewed else torch.cat([errors, -errors])
    for shift in (3.0, -3.0):
        moved = errors - errors.mean() + shift
        _, low, high, _ = mean_estimates(moved[:, 0].numpy())
        expected = min(low**2, high**2), max(low**2, high**2)
        # their skewness is that of the pseudo-values, which are not quite linear in them
        assert limits_of(moved) == pytest.approx(expected, rel=0.02)
    if skewed:
        t = stats.t.interval(0.95, BATCHES - 1, 3.0, stats.sem(errors[:, 0].numpy()))
        assert limits_of(errors - errors.mean() + 3.0)[1] > 1.01 * t[1] ** 2


def test_a_square_within_its_noise_has_no_skewness_of_its_own() -> None:
    """Where the mean is 0, pseudo-values are the vectors' squares: skewed, whatever the vectors are."""
    errors = torch.randn(BATCHES, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    moved = errors - errors.mean()
    _, high = stats.t.interval(0.95, BATCHES - 1, 0.0, stats.sem(moved[:, 0].numpy()))
    assert limits_of(moved) == pytest.approx((0.0, high**2))


def test_without_a_bias_one_in_twenty_to_forty_lower_limits_is_above_zero() -> None:
    """In 32 coordinates as in one; false alarms as for every share here."""
    generator = torch.Generator().manual_seed(5)
    for count in (1, 32):
        above = sum(
            limits_of(torch.randn(BATCHES, count, generator=generator, dtype=torch.float64))[0] > 0 for _ in range(400)
        )
        assert within(1 - above / 400, 0.95, 0.975, 400)
        assert above


@pytest.mark.parametrize(("count", "decay"), [(1, 1.0), (3, 1.0), (20, 0.7), (20, 1.0)])
@pytest.mark.parametrize("size", [0.0, 1.0, 3.0, 10.0])
def test_squared_biases_are_covered(count: int, decay: float, size: float) -> None:
    """Whatever the bias's length in units of its noise, and where it lies: 93 % at least, and never below zero."""
    repeats, generator = 400, torch.Generator().manual_seed(7)
    scales = decay ** torch.arange(count, dtype=torch.float64)
    noise = (scales.square().sum() / BATCHES).item()
    for entry in {0, count - 1}:
        bias = torch.zeros(count, dtype=torch.float64)
        bias[entry] = size * math.sqrt(noise)
        truth, covered = bias.square().sum().item(), 0
        for _ in range(repeats):
            draws = torch.randn(BATCHES, count, generator=generator, dtype=torch.float64)
            low, high = limits_of(bias + scales * draws)
            assert low >= 0
            covered += low <= truth <= high
        assert within(covered / repeats, 0.93, 1.0, repeats)


def test_limits_of_squares_that_are_not_finite_are_nan() -> None:
    assert np.isnan(squared_norm_limits(np.full((2, BATCHES), [[np.nan], [np.inf]]), 1.0, 1.0, 1.0)).all()


# --- quantiles --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("level", [0.5, 0.9])
def test_quantiles_are_covered_whatever_the_distribution(level: float) -> None:
    generator = np.random.default_rng(3)
    ordered = np.sort(generator.standard_cauchy((REPEATS, BATCHES)), axis=-1)
    value, low, high = quantile_limits(ordered, level)
    truth = stats.cauchy.ppf(level)
    assert within(((low <= truth) & (truth <= high)).mean(), 0.95, 0.98)
    assert (low <= value).all()
    assert (value <= high).all()


def test_few_batches_leave_a_quantile_open() -> None:
    _, low, high = quantile_limits(np.array([1.0, 2.0, 3.0]), 0.5)
    assert low == 0
    assert high == math.inf


# --- ratios -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("divisor", [1.0, 0.25, 0.05], ids=["clear", "less so", "perhaps zero"])
def test_a_positive_ratio_lies_between_its_limits(divisor: float) -> None:
    """Whatever divides: where that may be 0 the ratio has no upper limit, and where it comes out negative no value."""
    generator = np.random.default_rng(5)
    shared, own = generator.normal(size=(2, REPEATS, BATCHES))
    above, below = 3.0 + shared, divisor + 0.6 * shared + 0.8 * own
    found, truth = positive_ratio(above, below), 3.0 / divisor
    known = below.mean(-1) > 0
    assert (np.isnan(found.value) == ~known).all()
    assert (found.low <= found.value)[known].all()
    assert (found.value <= found.high)[known].all()
    assert np.isinf(found.high[known]).any() == (divisor < 1)
    inside = (found.low <= truth) & (truth <= found.high)
    assert within((inside | ~known).mean(), 0.95, 0.95 if divisor == 1 else 1.0)


def test_limits_of_a_ratio_have_its_unit() -> None:
    """Also where squares overflow; and a known divisor leaves the limits of the mean, Student's t."""
    above = 3.0 + np.random.default_rng(6).normal(size=(1, BATCHES))
    plain, small = (positive_ratio(unit * above, np.full_like(above, 1 / unit)) for unit in (1.0, 2.0**-500))
    for part, scaled in zip(plain[:3], small[:3], strict=True):
        assert scaled == part * 2.0**-1000
    student = stats.t.interval(0.95, BATCHES - 1, above.mean(), stats.sem(above, axis=None))
    assert (plain.low[0], plain.high[0]) == pytest.approx(student)
