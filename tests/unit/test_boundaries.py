"""Crossings: where they are, how sure, and that what is not there is not found."""

from __future__ import annotations

import numpy as np
import pytest

from scorepath.boundaries import contrasts, exact_crossings, measured_crossings

AXIS = np.array([0.5, 0.8, 1.25, 2.0, 3.2])


def replicates(exponent: float, noise: float, seed: int = 0, count: int = 64) -> np.ndarray:
    """Two variances whose ratio is `axis ** -exponent`, with independent noise on each replicate."""
    draws = np.random.default_rng(seed).gamma(1 / noise**2, noise**2, (len(AXIS), 2, count))
    return draws * np.stack([np.ones_like(AXIS), AXIS**-exponent], 1)[..., None]


def test_a_crossing_is_found_where_it_is() -> None:
    (found,) = measured_crossings(AXIS, replicates(2.0, 0.01))
    assert found.low < 1 < found.high
    assert found.high / found.low < 1.02


def test_intervals_of_crossings_cover() -> None:
    """Of 200 at 95 %, 178 or more cover but for 1e-5."""
    covered = 0
    for seed in range(200):
        found = measured_crossings(AXIS, replicates(2.0, 0.4, seed, 32))
        covered += len(found) == 1 and found[0].low < 1 < found[0].high
    assert covered >= 176


def test_where_nobody_is_surely_better_there_is_no_crossing() -> None:
    assert measured_crossings(AXIS, replicates(0.0, 0.3)) == []


def test_two_crossings_are_two() -> None:
    numbers = np.stack([np.ones_like(AXIS), np.exp(np.array([1.0, -1.0, -1.0, -1.0, 1.0]))], 1)
    numbers = numbers[..., None] * np.random.default_rng(1).gamma(1e4, 1e-4, (5, 2, 16))
    first, second = measured_crossings(AXIS, numbers)
    assert 0.5 < first.value < 0.8 < 2.0 < second.value < 3.2


def test_a_share_crosses_at_a_half() -> None:
    shares = np.clip(1.2 - AXIS / 2, 0, 1)
    hits = np.random.default_rng(2).random((5, 1, 400)) < shares[:, None, None]
    (found,) = measured_crossings(AXIS, hits.astype(float))
    assert 1.2 < found.value < 1.7


def test_what_is_not_finite_has_no_limits_and_no_crossing() -> None:
    numbers = replicates(2.0, 0.01)
    numbers[2, 0] = 0.0
    assert contrasts(numbers)[2].high == np.inf
    (found,) = measured_crossings(AXIS, numbers)
    assert found.value == pytest.approx(1, rel=0.05)


def test_exact_crossings_are_between_their_neighbours() -> None:
    axis = np.geomspace(0.1, 10, 41)
    assert exact_crossings(axis, np.log(axis)) == pytest.approx([1.0])
    assert exact_crossings(axis, np.log(axis) ** 2 - 1) == pytest.approx([np.exp(-1), np.exp(1)], rel=1e-2)


def test_an_axis_may_begin_at_zero_or_below() -> None:
    """Then it is read as it is; the crossing of a contrast that is linear there is where the line is zero."""
    axis = np.array([-1.0, 0.0, 1.0, 2.0])
    numbers = np.stack([np.ones(4), np.exp(axis - 0.5)], 1)[..., None]
    draws = np.random.default_rng(0).gamma(1e6, 1e-6, (4, 2, 16))
    (found,) = measured_crossings(axis, numbers * draws)
    assert found.value == pytest.approx(0.5, abs=0.01)
    assert found.low < found.value < found.high
    fine = np.linspace(-1, 2, 62)
    assert exact_crossings(fine, fine - 0.5) == pytest.approx([0.5])
    assert exact_crossings(fine, fine) == pytest.approx([0.0], abs=1e-12)
    assert exact_crossings(fine[:0], fine[:0]) == []
