"""Verdicts from arrays: each by hand where its numbers are few, and the decision over a family of comparisons."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from scorepath.tails import NO_TAIL, Tail
from scorepath.verdicts import (
    EQUIVALENT,
    NEITHER_USABLE,
    NO_DIFFERENCE,
    NO_SIGNAL,
    NOT_MEASURABLE,
    RESOLUTION,
    ErrorComponents,
    Outcome,
    Side,
    Worth,
    beside_margin,
    compare_errors,
    decide,
    error_components,
    error_estimate,
    ruling,
    settled,
    smallest_error,
    worth,
)

BATCHES = 32
EVERY = np.arange(BATCHES)


def components(variance: float, bias: float = 0.0, name: str = "it", blank: bool = False) -> ErrorComponents:
    """The same in every batch: intervals are points."""
    return ErrorComponents(name, np.full(BATCHES, variance), np.full(BATCHES, bias), blank)


def compared(
    first: ErrorComponents, second: ErrorComponents, prices: tuple[float, float], budget: float, batches: np.ndarray
) -> Outcome:
    """Among others, which must not matter."""
    one, two = (
        Side([components(7.0), each, components(5.0)], np.array([1.0, price, 1.0]), budget)
        for each, price in zip((first, second), prices, strict=True)
    )
    return compare_errors(one, two, batches)[1]


def valued(
    first: ErrorComponents,
    second: ErrorComponents,
    prices: tuple[float, float],
    budget: float,
    batches: np.ndarray,
    square: float,
) -> Worth:
    one, two = (Side.alone(each, price, budget) for each, price in zip((first, second), prices, strict=True))
    return worth(one, two, batches, np.array([square]))[0]


def chosen(
    rivals: Sequence[ErrorComponents], prices: Sequence[float], budget: float, batches: np.ndarray
) -> int | None:
    side = Side(rivals, np.array(prices), budget)
    return smallest_error(side.errors(batches).tolist(), [each.tail.unmeasurable for each in rivals])


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
    assert np.isinf(Side.alone(found, 1.0, 64).errors(np.arange(4)))


def test_only_zeros_are_no_signal() -> None:
    assert made_of(zeros=1.0).blank
    assert not made_of(zeros=0.99).blank


def test_a_squared_error_is_bias_and_variance_over_what_the_budget_buys() -> None:
    found = ErrorComponents("it", np.array([6.0, 2.0]), np.array([0.5, -0.1]), False)
    side = Side.alone(found, 2.0, 16)
    assert side.errors(np.array([0, 1])) == pytest.approx(0.2 + 4 * 2 / 16)
    # a squared bias is estimated without bias and may come out negative, but an error is not
    assert side.errors(np.array([1])) == pytest.approx(2 * 2 / 16)
    assert side.without_each(np.array([0, 1]))[0] == pytest.approx([2 * 2 / 16, 0.5 + 6 * 2 / 16])


# --- errors against each other ----------------------------------------------------------------------------------------


def test_errors_are_compared_by_their_logarithmic_ratio() -> None:
    found = compared(components(1.0), components(100.0), (1.0, 1.0), 64, EVERY)
    assert (found.value, found.low, found.high) == pytest.approx((2.0, 2.0, 2.0))
    assert found.p_value == pytest.approx(0.0, abs=1e-12)
    assert math.isnan(found.flip_budget)
    assert found.reason == ""


def test_prices_count() -> None:
    """At ten times the price the same variance is ten times the error."""
    found = compared(components(1.0), components(1.0), (10.0, 1.0), 64, EVERY)
    assert found.value == pytest.approx(-1.0)


def test_a_bias_flips_the_winner_where_the_budget_grows() -> None:
    """`0.01 + 1 / N` against `5 / N`: equal at N = 400."""
    biased, noisy = components(1.0, bias=0.01), components(5.0)
    for budget, sign in ((100, 1), (400, 0), (1600, -1)):
        found = compared(biased, noisy, (1.0, 1.0), budget, EVERY)
        assert (found.flip_budget, found.flip_low, found.flip_high) == pytest.approx((400, 400, 400))
        assert np.sign(round(found.value, 9)) == sign
    other_way = compared(noisy, biased, (1.0, 1.0), 100, EVERY)
    assert other_way.flip_budget == pytest.approx(400)
    assert other_way.value < 0


def test_limits_come_from_the_batches_that_are_judged_on() -> None:
    """Equal shares of chance cancel: the comparison is paired. The other batches have no part in it."""
    one = spread(1.0, seed=1)
    paired = compared(one, replace(one, variances=3 * one.variances), (1.0, 1.0), 64, EVERY)
    assert (paired.low, paired.high) == pytest.approx((math.log10(3), math.log10(3)))
    apart = compared(one, spread(3.0, seed=2), (1.0, 1.0), 64, EVERY)
    assert apart.low < math.log10(3) < apart.high
    half = EVERY[::2]
    changed = replace(one, variances=np.where(EVERY % 2 == 0, one.variances, 1e6))
    found, expected = (compared(each, components(3.0), (1.0, 1.0), 64, half) for each in (changed, one))
    assert found[:4] == expected[:4]


def test_what_is_not_finite_loses_for_certain() -> None:
    fine, broken = components(1.0), components(math.inf, name="the broken one")
    found = compared(fine, broken, (1.0, 1.0), 64, EVERY)
    assert (found.value, found.low, found.p_value) == (math.inf, math.inf, 0.0)
    assert found.reason == "the broken one gave gradients that are not finite"
    assert compared(broken, fine, (1.0, 1.0), 64, EVERY).value == -math.inf
    neither = compared(broken, broken, (1.0, 1.0), 64, EVERY)
    assert math.isnan(neither.p_value)
    assert neither.reason == "neither gradient is finite"


def test_without_any_signal_there_is_nothing_to_compare() -> None:
    blank = components(0.0, blank=True)
    for first, second in ((components(0.0), components(0.0)), (blank, components(0.0, bias=2.0, blank=True))):
        found = compared(first, second, (1.0, 1.0), 64, EVERY)
        assert math.isnan(found.value)
        assert found.reason == "no sample of either shows any signal"


def test_an_error_of_zero_wins_by_what_can_be_told_apart() -> None:
    found = compared(components(0.0), components(1.0), (1.0, 1.0), 64, EVERY)
    assert found.value == pytest.approx(-math.log10(RESOLUTION))
    assert math.isfinite(found.high)


def test_the_smallest_error_is_sought_on_the_given_batches() -> None:
    first, second = components(1.0), components(2.0)
    better_on_odd = replace(second, variances=np.where(EVERY % 2 == 0, 2.0, 0.5))
    assert chosen([first, better_on_odd], [1.0, 1.0], 64, EVERY[::2]) == 0
    assert chosen([first, better_on_odd], [1.0, 1.0], 64, EVERY[1::2]) == 1
    assert chosen([first, second], [3.0, 1.0], 64, EVERY) == 1
    assert smallest_error([], []) is None


HEAVY = Tail(0.9, 0.5, 0.8, 300, 2048)
WIDE = Tail(0.5, 0.1, 1.5, 300, 2048)


def test_what_cannot_be_measured_gets_no_verdict_and_no_value() -> None:
    heavy = replace(components(1.0, name="the heavy one"), tail=HEAVY)
    for rival in (heavy, components(1.0), components(1e9)):
        for pair in ((rival, heavy), (heavy, rival)):
            found = compared(*pair, (1.0, 1.0), 64, EVERY)
            assert found.verdict == found.open_word == NOT_MEASURABLE
            assert math.isnan(found.value)
            assert rival is heavy or found.p_value == 1
            assert found.reason.startswith("the heavy one: the squared deviations' tail is too heavy: Hill index 0.80")
    assert math.isnan(error_estimate(heavy, 1.0, 64).value)
    # and is chosen only where there is nothing else
    assert chosen([heavy, components(1e12)], [1.0, 1.0], 64, EVERY) == 1
    assert chosen([heavy], [1.0], 64, EVERY) == 0


def test_what_is_far_below_something_unmeasurable_is_better() -> None:
    """By the lower limit alone, whatever one batch or a bias says, and how much better has no upper limit."""
    fine = spread(1.0, seed=1)
    heavy = replace(spread(10.0, seed=2), tail=HEAVY)
    one_batch = replace(heavy, variances=heavy.variances * np.where(EVERY == 3, 1e6, 1.0))
    biased = replace(heavy, biases=np.full(len(EVERY), 1e9))
    for other in (heavy, one_batch, biased):
        found = compared(fine, other, (1.0, 1.0), 64, EVERY)
        assert 0.5 < found.value == found.low < 1.0
        assert found.high == math.inf
        assert found.p_value < 1e-6
        assert settled(found, Worth(0.5)) == ("", "")
        back = compared(other, fine, (1.0, 1.0), 64, EVERY)
        assert [back.value, back.high] == pytest.approx([-found.value, -found.low])
        assert back.low == -math.inf
    # nothing that was seen to vary says nothing
    assert math.isnan(compared(components(0.0), heavy, (1.0, 1.0), 64, EVERY).value)
    # a winner that is no better than zero is no winner
    assert settled(found, Worth(2.0, NEITHER_USABLE, "why")) == (NEITHER_USABLE, "why")
    # and where nobody is known to win, nobody knows whose error is the smaller
    even = compared(replace(heavy, variances=fine.variances), fine, (1.0, 1.0), 64, EVERY)
    assert even.verdict == NOT_MEASURABLE
    assert even.high > 0
    assert settled(even, Worth(2.0, NEITHER_USABLE, "why"))[0] == NOT_MEASURABLE


def test_a_sum_that_just_passed_the_gate_may_be_smaller() -> None:
    """As far as the limit that knows of the gate lies below the one that does not; less if a bias is the error."""
    first, second = spread(1.0, seed=1), spread(3.0, seed=2)
    lucky = Tail(0.1, 0.1, math.inf, 12.0, 4096)
    plain = compared(first, second, (1.0, 1.0), 64, EVERY)
    found = compared(first, replace(second, tail=lucky), (1.0, 1.0), 64, EVERY)
    assert found.low == pytest.approx(plain.low - math.log10(lucky.luck))
    assert found.high == plain.high
    above, below = (error_estimate(replace(first, tail=tail), 1.0, 64) for tail in (NO_TAIL, lucky))
    assert below.low == pytest.approx(above.low / lucky.luck)
    assert (
        0 < Side.alone(replace(components(1.0, bias=1.0), tail=lucky), 1.0, 64).luck(EVERY)[0] < math.log10(1 + 1 / 64)
    )


def test_a_tail_widens_the_interval_on_its_own_side() -> None:
    """By all that it may hold unseen; twice that if half of the batches judge."""
    first, second = spread(1.0, seed=1), spread(3.0, seed=2)
    most, least = WIDE.most_unseen, WIDE.least_unseen
    plain = compared(first, second, (1.0, 1.0), 64, EVERY)
    below = compared(replace(first, tail=WIDE), second, (1.0, 1.0), 64, EVERY)
    above = compared(first, replace(second, tail=WIDE), (1.0, 1.0), 64, EVERY)
    assert below.low == pytest.approx(plain.low - math.log10(1 + most))
    assert below.high == plain.high
    assert above.high == pytest.approx(plain.high + math.log10(1 + most))
    half = EVERY[::2]
    narrow, wide = (compared(first, replace(second, tail=tail), (1.0, 1.0), 64, half) for tail in (NO_TAIL, WIDE))
    assert wide.high == pytest.approx(narrow.high + math.log10(1 + 2 * most))
    # what both lack does not change their ratio: of either allowance the least that the other lacks is taken
    both = compared(replace(first, tail=WIDE), replace(second, tail=WIDE), (1.0, 1.0), 64, EVERY)
    assert both.low == pytest.approx(plain.low - math.log10((1 + most) / (1 + least)))
    assert both.high == pytest.approx(plain.high + math.log10((1 + most) / (1 + least)))
    heavier = Tail(0.95, 0.5, 1.1, 300, 2048)
    assert heavier.least_unseen > most
    uneven = compared(replace(first, tail=WIDE), replace(second, tail=heavier), (1.0, 1.0), 64, EVERY)
    assert uneven.low == plain.low
    assert uneven.high == pytest.approx(plain.high + math.log10((1 + heavier.most_unseen) / (1 + least)))
    # of an error that is mostly bias the tail is a small part
    biased = replace(components(1.0, bias=1.0), tail=WIDE)
    assert Side.alone(biased, 1.0, 64).unseen(EVERY) == pytest.approx(math.log10(1 + WIDE.unseen / 65))


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


# --- what a verdict is ------------------------------------------------------------------------------------------------


def judged(first: ErrorComponents, second: ErrorComponents, square: float) -> Worth:
    return valued(first, second, (1.0, 1.0), 64, EVERY, square)


def test_samples_that_are_all_zero_are_no_signal_whoever_has_the_smaller_error() -> None:
    """The error of zero is the gradient's square, also where a declared unbiasedness makes it come out as 0."""
    blind = components(0.0, bias=1.0, name="the blind one", blank=True)
    found = judged(blind, components(64.0 * 45), 1.0)
    assert found == (1.0, NO_SIGNAL, "every sample of the blind one is exactly zero")
    useful = judged(components(64 * 0.1), blind, 1.0)
    assert (round(useful.relative_error, 9), useful.verdict) == (0.1, NO_SIGNAL)
    assert judged(replace(blind, biases=np.zeros(BATCHES)), components(64.0 * 45), 1.0)[0] == 1.0
    assert judged(blind, blind, 1.0) == (1.0, NO_SIGNAL, "every sample of both is exactly zero")
    assert judged(blind, blind, math.nan).verdict == NO_SIGNAL


def test_an_error_of_the_gradients_own_square_is_of_no_use() -> None:
    better, worse = components(64 * 2.0), components(64 * 3.0)
    assert judged(better, worse, 2.1).relative_error == pytest.approx(2 / 2.1)
    assert judged(better, worse, 2.1).verdict == ""
    found = judged(better, worse, 2.0)
    assert found[:2] == (1.0, NEITHER_USABLE)
    assert "1 times the gradient's square" in found.reason
    assert judged(worse, better, 1.0).relative_error == 2.0
    assert judged(better, worse, 0.0) == (math.inf, NEITHER_USABLE, "the gradient is zero")
    # a bias counts, and so does the price
    assert judged(components(0.0, bias=4.0), components(64 * 5.0), 3.0).verdict == NEITHER_USABLE
    assert valued(better, worse, (2.0, 2.0), 64, EVERY, 3.0).verdict == NEITHER_USABLE


def test_without_a_certified_gradient_nothing_is_called_useless() -> None:
    found = judged(components(1e9), components(1e9), math.nan)
    assert math.isnan(found.relative_error)
    assert found.verdict == found.reason == ""


@pytest.mark.parametrize(
    ("low", "high", "beside"),
    [
        (0.11, 0.3, "beyond"), (-0.3, -0.11, "beyond"), (-0.05, 0.08, "within"), (0.02, 0.08, "within"),
        (0.02, 0.3, "unclear"), (-0.3, 0.3, "unclear"), (-0.1, 0.1, "within"), (math.inf, math.inf, "beyond"),
    ],
)  # fmt: skip
def test_an_interval_lies_beside_the_margin(low: float, high: float, beside: str) -> None:
    assert beside_margin(low, high, 0.1) == beside


def test_a_significant_difference_within_the_margin_is_no_win() -> None:
    words = "pathwise", "derivative_free"
    assert ruling(1, 0.02, 0.08, 0.1, words) == (EQUIVALENT, "within")
    assert ruling(0, -0.02, 0.08, 0.1, words) == (EQUIVALENT, "within")
    assert ruling(-1, -0.3, -0.02, 0.1, words) == ("derivative_free", "unclear")
    assert ruling(1, 0.2, 0.3, 0.1, words) == ("pathwise", "beyond")
    assert ruling(0, -0.2, 0.3, 0.1, words) == ("undecided", "unclear")
    # without a margin every significant difference counts, and equality cannot be shown
    assert ruling(1, 0.02, 0.08, 0.0, words) == ("pathwise", "beyond")
    assert ruling(0, 0.0, 0.0, 0.0, words)[0] == "undecided"
