"""Scores of training: by hand where numbers are few, and that no run is judged at a rate that it helped to choose."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from scorepath.scores import (
    SCORE_RANGE,
    at_edge,
    choices,
    compare_scores,
    extended,
    late_means,
    normalised,
    probability_of_improvement,
    scale_of,
    tuned_scores,
)

RECORDS = np.arange(0.0, 51.0, 5.0)


# --- late returns -----------------------------------------------------------------------------------------------------
def test_a_late_return_is_the_mean_of_the_last_quarter() -> None:
    """Of a straight line that is its value at seven eighths."""
    returns = np.stack([RECORDS, 3 - 2 * RECORDS], axis=1)
    assert late_means(RECORDS, returns, 50).tolist() == pytest.approx([43.75, 3 - 87.5])


def test_a_smaller_budget_ends_earlier() -> None:
    curve = np.where(RECORDS <= 25, RECORDS, math.inf)
    assert late_means(RECORDS, curve, 25) == pytest.approx(25 * 7 / 8)
    assert late_means(RECORDS, RECORDS, 11) == pytest.approx(11 * 7 / 8)  # between records


def test_steps_and_iterations_are_one_scale() -> None:
    curve = np.sin(RECORDS)
    assert late_means(RECORDS * 64, curve, 50 * 64) == pytest.approx(late_means(RECORDS, curve, 50))


def test_a_curve_that_ends_in_infinity_is_not_finite() -> None:
    assert not np.isfinite(late_means(RECORDS, np.where(RECORDS < 50, 1.0, -math.inf), 50))


# --- the scale --------------------------------------------------------------------------------------------------------
def test_the_best_mean_gain_is_one() -> None:
    gains = [np.array([[1.0, 3.0], [3.0, 5.0]]), np.array([[1.0, 1.0]])]
    scale = scale_of(gains)
    assert scale == 4.0
    assert normalised(gains[0], scale).tolist() == [[0.25, 0.75], [0.75, 1.25]]


def test_a_run_that_diverged_has_the_lowest_score() -> None:
    gains = np.array([[1.0, 1.0], [-math.inf, math.nan], [-1e9, 1e9]])
    assert scale_of([gains[:2]]) == 1.0
    assert normalised(gains, 1.0).tolist() == [[1.0, 1.0], [SCORE_RANGE[0]] * 2, list(SCORE_RANGE)]


@pytest.mark.parametrize(
    ("gains", "scale"),
    [
        ([[[-4.0, -4.0], [-9.0, -9.0]], [[-1.0, -1.0]]], 4.0),  # nobody learnt: what the better rates lost
        ([[[0.0, 0.0], [-8.0, -2.0]]], 8.0),  # the best rate left all as it was
        ([[[math.nan, 0.5]]], 0.5),
        ([[[0.0, 0.0]]], 1.0),
    ],
)
def test_where_nobody_learnt_there_is_a_scale(gains: list[list[list[float]]], scale: float) -> None:
    assert scale_of([np.array(each) for each in gains]) == scale
    if scale != 1:  # another unit of reward changes no score
        assert scale_of([2.0**-20 * np.array(each) for each in gains]) == 2.0**-20 * scale


# --- choices ----------------------------------------------------------------------------------------------------------
def test_a_seed_does_not_choose_its_own_rate() -> None:
    """The second rate is the best one for the last seed alone, who is judged at the first for all that."""
    scores = np.array([[0.5, 0.5, 0.5, 0.0], [0.4, 0.4, 0.4, 9.0]])
    assert choices(scores).tolist() == [1, 1, 1, 0]
    assert tuned_scores(scores).tolist() == [0.4, 0.4, 0.4, 0.0]


def test_choosing_is_no_advantage() -> None:
    """Rates that differ in nothing but noise: what was chosen has the mean of any (a maximum is 1 above it)."""
    scores = np.random.default_rng(0).standard_normal((2000, 5, 8))
    means = [tuned_scores(each).mean() for each in scores]
    assert np.mean(means) == pytest.approx(0.0, abs=5 * np.std(means) / math.sqrt(2000))


def test_ties_go_to_the_middle() -> None:
    assert choices(np.zeros((5, 3))).tolist() == [2, 2, 2]
    assert choices(np.array([[0.0] * 3, [1.0] * 3, [0.5] * 3, [1.0] * 3, [1.0] * 3])).tolist() == [1, 1, 1]


def test_further_seeds_choose_and_are_not_judged() -> None:
    """The one that is judged has the rate of the other, which nobody judges."""
    scores = np.array([[0.1, 0.9], [0.2, 0.0], [0.8, 0.3]])
    assert choices(scores).tolist() == [0, 2]
    assert choices(scores[:, :1]).tolist() == [1], "alone it has the rate in the middle"
    alone = compare_scores(scores, np.zeros((1, 2)), 1)["score_difference"]
    assert math.isnan(alone.value)
    assert "single seed" in alone.reason
    ours = np.array([[1.0, 1.1, 0.0, 0.0], [0.5, 0.6, 2.0, 2.0]])  # the tuning seeds prefer the second rate
    both = compare_scores(ours, np.zeros((1, 4)), 2)["score_difference"]
    assert both.value == pytest.approx(0.55)


# --- comparisons ------------------------------------------------------------------------------------------------------
def test_with_one_rate_it_is_the_paired_t_test() -> None:
    generator = np.random.default_rng(1)
    ours, theirs = generator.standard_normal((2, 1, 8))
    found = compare_scores(ours, theirs, ours.shape[1])["score_difference"]
    paired = stats.ttest_rel(ours[0], theirs[0])
    interval = paired.confidence_interval(0.95)
    assert found[:4] == pytest.approx(((ours - theirs).mean(), interval.low, interval.high, paired.pvalue))


def test_the_two_sides_mirror_each_other() -> None:
    ours, theirs = np.random.default_rng(2).standard_normal((2, 4, 8))
    there, back = compare_scores(ours, theirs, ours.shape[1]), compare_scores(theirs, ours, ours.shape[1])
    assert there["score_difference"].value == pytest.approx(-back["score_difference"].value)
    assert there["score_difference"].low == pytest.approx(-back["score_difference"].high)
    improved = "probability_of_improvement"
    assert there[improved].value == pytest.approx(1 - back[improved].value)
    assert there[improved].low == pytest.approx(1 - back[improved].high)


def test_a_choice_that_hangs_on_one_seed_widens_the_interval() -> None:
    """Two rates that are nearly as good by the others' scores, and not at all by one's."""
    steady = np.array([[0.5, 0.52, 0.48, 0.51, 0.49, 0.5, 0.5, 0.5]])
    torn = np.vstack([steady, [[0.5, 0.52, 0.48, 0.51, 0.49, 0.5, 0.45, 0.57]]])
    torn[1, 0] += 0.3

    def width(scores: np.ndarray) -> float:
        found = compare_scores(scores, np.zeros((1, 8)), 8)["score_difference"]
        return found.high - found.low

    assert width(torn) > 2 * width(steady)


def test_what_never_varies_is_certain() -> None:
    same = compare_scores(np.full((3, 8), 0.7), np.full((3, 8), 0.7), 8)["score_difference"]
    assert (same.value, same.low, same.high, same.p_value) == (0.0, 0.0, 0.0, 1.0)
    apart = compare_scores(np.full((3, 8), 1.0), np.zeros((3, 8)), 8)
    assert (apart["score_difference"].low, apart["score_difference"].p_value) == (1.0, 0.0)
    assert apart["probability_of_improvement"][:3] == (1.0, 1.0, 1.0)


def test_probability_of_improvement_counts_pairs_and_half_of_ties() -> None:
    """Of nine pairs four are better and two equal."""
    assert probability_of_improvement(np.array([1.0, 2.0, 3.0]), np.array([0.0, 2.0, 3.0])) == pytest.approx(5 / 9)


def test_few_runs_that_interlock_are_not_certain() -> None:
    """Leaving any seed out changes nothing here: the jackknife alone would see no error at all."""
    ours, theirs = np.array([[1.0, 3.0, 5.0, 7.0]]), np.array([[2.0, 4.0, 6.0, 8.0]])
    found = compare_scores(ours, theirs, ours.shape[1])["probability_of_improvement"]
    assert found.value == 6 / 16
    assert found.low < 0.1
    assert found.high > 0.6


# --- grids ------------------------------------------------------------------------------------------------------------
def test_edges_are_those_of_a_choice() -> None:
    assert at_edge([1, 2], (1.0, 2.0, 3.0)) == (False, True)
    assert at_edge([0, 2], (1.0, 2.0, 3.0)) == (True, True)
    assert at_edge([0], (1.0,)) == (False, False)


def test_a_grid_goes_on_by_its_own_ratio() -> None:
    grid = (0.003, 0.01, 0.03, 0.1, 0.3)
    assert extended(grid, low=False, high=True, more=2) == (*grid, 0.9, 2.7)
    assert extended(grid, low=True, high=True, more=1) == (0.0009, *grid, 0.9)
    assert extended(grid, low=False, high=False, more=2) == grid
