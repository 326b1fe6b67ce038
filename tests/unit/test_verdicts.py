"""Verdicts from arrays: each by hand where its numbers are few, and the decision over a family of comparisons."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from scorepath.statistics import bootstrap_weights
from scorepath.verdicts import (
    NO_DIFFERENCE,
    RESOLUTION,
    ErrorComponents,
    compare_errors,
    decide,
    error_components,
    mean_of,
    smallest_error,
)

BATCHES = 32
EVERY = np.arange(BATCHES)
WEIGHTS = bootstrap_weights(BATCHES, 500, np.random.default_rng(0))


def components(variance: float, bias: float = 0.0, name: str = "it", blank: bool = False) -> ErrorComponents:
    """The same in every batch: intervals are points."""
    return ErrorComponents(name, np.full(BATCHES, variance), np.full(BATCHES, bias), blank)


def spread(variance: float, seed: int, bias: float = 0.0) -> ErrorComponents:
    """Variances that differ by about a third of themselves from batch to batch."""
    factors = np.random.default_rng(seed).uniform(0.4, 1.6, BATCHES)
    return replace(components(variance, bias), variances=variance * factors)


# --- what an error is made of -----------------------------------------------------------------------------------------


def made_of(
    nonfinite: float = 0.0, zeros: float = 0.0, *, unbiased: bool = False, certified: bool = True
) -> ErrorComponents:
    four = np.ones(4)
    return error_components(
        "it", 3 * four, 2 * four, np.array([0, 0, nonfinite, 0]), zeros * four, unbiased=unbiased, certified=certified
    )


def test_a_declared_unbiasedness_is_believed_and_a_bias_needs_a_judge() -> None:
    assert made_of().biases.tolist() == [2.0] * 4
    assert made_of(unbiased=True).biases.tolist() == [0.0] * 4
    assert made_of(unbiased=True, certified=False).biases.tolist() == [0.0] * 4
    assert np.isnan(made_of(certified=False).biases).all()
    assert made_of().variances.tolist() == [3.0] * 4


def test_one_sample_that_is_not_finite_makes_the_error_infinite() -> None:
    found = made_of(nonfinite=0.01)
    assert np.isinf(found.variances).all()
    assert np.isinf(found.squared_error(mean_of(np.arange(4), 4), 1.0, 64))


def test_only_zeros_are_no_signal() -> None:
    assert made_of(zeros=1.0).blank
    assert not made_of(zeros=0.99).blank


def test_a_squared_error_is_bias_and_variance_over_what_the_budget_buys() -> None:
    found = ErrorComponents("it", np.array([6.0, 2.0]), np.array([0.5, -0.1]), False)
    assert found.squared_error(mean_of(np.array([0, 1]), 2), 2.0, 16) == pytest.approx(0.2 + 4 * 2 / 16)
    # a squared bias is estimated without bias and may come out negative, but an error is not
    assert found.squared_error(mean_of(np.array([1]), 2), 2.0, 16) == pytest.approx(2 * 2 / 16)
    both = found.squared_error(np.array([[1.0, 0.0], [0.0, 1.0]]), 2.0, 16)
    assert both.tolist() == pytest.approx([0.5 + 6 * 2 / 16, 2 * 2 / 16])


# --- errors against each other ----------------------------------------------------------------------------------------


def test_errors_are_compared_by_their_logarithmic_ratio() -> None:
    found = compare_errors(components(1.0), components(100.0), (1.0, 1.0), 64, EVERY, WEIGHTS)
    assert (found.value, found.low, found.high) == pytest.approx((2.0, 2.0, 2.0))
    assert found.p_value == pytest.approx(2 / 501)  # as little as 500 resamples can tell
    assert math.isnan(found.flip_budget)
    assert found.reason == ""


def test_prices_count() -> None:
    """At ten times the price the same variance is ten times the error."""
    found = compare_errors(components(1.0), components(1.0), (10.0, 1.0), 64, EVERY, WEIGHTS)
    assert found.value == pytest.approx(-1.0)


def test_a_bias_flips_the_winner_where_the_budget_grows() -> None:
    """`0.01 + 1 / N` against `5 / N`: equal at N = 400."""
    biased, noisy = components(1.0, bias=0.01), components(5.0)
    for budget, sign in ((100, 1), (400, 0), (1600, -1)):
        found = compare_errors(biased, noisy, (1.0, 1.0), budget, EVERY, WEIGHTS)
        assert found.flip_budget == pytest.approx(400)
        assert np.sign(round(found.value, 9)) == sign
    other_way = compare_errors(noisy, biased, (1.0, 1.0), 100, EVERY, WEIGHTS)
    assert other_way.flip_budget == pytest.approx(400)
    assert other_way.value < 0


def test_limits_come_from_the_batches_that_are_judged_on() -> None:
    """Equal shares of chance cancel: the comparison is paired. The other batches have no part in it."""
    one = spread(1.0, seed=1)
    paired = compare_errors(one, replace(one, variances=3 * one.variances), (1.0, 1.0), 64, EVERY, WEIGHTS)
    assert (paired.low, paired.high) == pytest.approx((math.log10(3), math.log10(3)))
    apart = compare_errors(one, spread(3.0, seed=2), (1.0, 1.0), 64, EVERY, WEIGHTS)
    assert apart.low < math.log10(3) < apart.high
    half = EVERY[::2]
    weights = bootstrap_weights(len(half), 500, np.random.default_rng(3))
    changed = replace(one, variances=np.where(EVERY % 2 == 0, one.variances, 1e6))
    found, expected = (compare_errors(each, components(3.0), (1.0, 1.0), 64, half, weights) for each in (changed, one))
    assert found[:4] == expected[:4]


def test_what_is_not_finite_loses_for_certain() -> None:
    fine, broken = components(1.0), components(math.inf, name="the broken one")
    found = compare_errors(fine, broken, (1.0, 1.0), 64, EVERY, WEIGHTS)
    assert (found.value, found.low, found.p_value) == (math.inf, math.inf, 0.0)
    assert found.reason == "the broken one gave gradients that are not finite"
    assert compare_errors(broken, fine, (1.0, 1.0), 64, EVERY, WEIGHTS).value == -math.inf
    neither = compare_errors(broken, broken, (1.0, 1.0), 64, EVERY, WEIGHTS)
    assert math.isnan(neither.p_value)
    assert neither.reason == "neither gradient is finite"


def test_without_any_signal_there_is_nothing_to_compare() -> None:
    blank = components(0.0, blank=True)
    for first, second in ((components(0.0), components(0.0)), (blank, components(0.0, bias=2.0, blank=True))):
        found = compare_errors(first, second, (1.0, 1.0), 64, EVERY, WEIGHTS)
        assert math.isnan(found.value)
        assert found.reason == "no sample of either shows any signal"


def test_an_error_of_zero_wins_by_what_can_be_told_apart() -> None:
    found = compare_errors(components(0.0), components(1.0), (1.0, 1.0), 64, EVERY, WEIGHTS)
    assert found.value == pytest.approx(-math.log10(RESOLUTION))
    assert math.isfinite(found.high)


def test_the_smallest_error_is_sought_on_the_given_batches() -> None:
    first, second = components(1.0), components(2.0)
    better_on_odd = replace(second, variances=np.where(EVERY % 2 == 0, 2.0, 0.5))
    assert smallest_error([first, better_on_odd], [1.0, 1.0], 64, EVERY[::2]) == 0
    assert smallest_error([first, better_on_odd], [1.0, 1.0], 64, EVERY[1::2]) == 1
    assert smallest_error([first, second], [3.0, 1.0], 64, EVERY) == 1
    assert smallest_error([], [], 64, EVERY) is None


# --- decisions --------------------------------------------------------------------------------------------------------


def decided(rows: list[tuple[float, float, float, str]], rate: float = 0.05) -> list[tuple[int, str]]:
    lows, highs, p_values, families = zip(*rows, strict=True)
    return decide(np.array(lows), np.array(highs), np.array(p_values), np.array(families), rate)


def test_a_sign_needs_an_interval_without_zero() -> None:
    found = decided([(0.1, 0.2, 0.001, "a"), (-0.2, -0.1, 0.001, "a"), (-0.1, 0.1, 0.001, "a")])
    assert found == [(1, ""), (-1, ""), (0, NO_DIFFERENCE)]


def test_among_many_comparisons_a_small_p_value_is_no_finding() -> None:
    """0.04 alone is significant; beside three that are not, Benjamini and Hochberg make it 0.16."""
    clear = (0.1, 0.2, 0.04, "a")
    assert decided([clear]) == [(1, "")]
    found = decided([clear, *[(-0.1, 0.1, 0.9, "a")] * 3])
    assert found[0] == (0, "not significant among all comparisons (adjusted p = 0.16)")
    # another family of hypotheses does not count
    assert decided([clear, *[(-0.1, 0.1, 0.9, "b")] * 3])[0] == (1, "")
    # nor does it where the others are clear too: the k-th smallest of n is multiplied by n / k
    assert decided([(0.1, 0.2, 0.04, "a")] * 4) == [(1, "")] * 4
    assert decided([clear, *[(-0.1, 0.1, 0.9, "a")] * 3], rate=0.2)[0] == (1, "")


def test_nothing_to_decide_is_no_error() -> None:
    none = np.zeros(0)
    assert decide(none, none, none, np.zeros(0, dtype=str), 0.05) == []
