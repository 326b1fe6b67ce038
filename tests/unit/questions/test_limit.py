"""The limit's table: exact gradients by their formula, intervals that hold them, samples that do what is promised."""

from __future__ import annotations

import math
from typing import Any

import pytest

from scorepath.questions.limit import NOISE_LEVELS, limit_rows


@pytest.fixture(scope="module")
def rows() -> list[dict[str, Any]]:
    return list(limit_rows(seed=3))


def test_it_has_each_side_at_each_noise_level_where_it_exists(rows: list[dict[str, Any]]) -> None:
    found = {(row["estimator"], row["sigma"]) for row in rows}
    wanted = {(name, sigma) for name in ("reinforce", "pathwise") for sigma in NOISE_LEVELS}
    assert found == wanted - {("reinforce", 0.0)}


def test_gradients_are_those_of_the_formula_and_pathwise_at_zero_is_exact(rows: list[dict[str, Any]]) -> None:
    for row in rows:
        assert row["gradient"] == pytest.approx(-10 * math.sin(1) * math.exp(-50 * row["sigma"] ** 2), rel=1e-12)
    (noiseless,) = (row for row in rows if row["sigma"] == 0)
    assert noiseless["mean"] == pytest.approx(noiseless["gradient"], rel=1e-12)
    assert noiseless["needed_exact"] == noiseless["needed"] == 1


def test_means_and_needed_samples_agree_with_what_is_exact(rows: list[dict[str, Any]]) -> None:
    """Fixed seed; three half-widths are 5.9 standard errors, in 16 comparisons: false alarms below 1e-7."""
    for row in rows:
        assert abs(row["mean"] - row["gradient"]) <= 1.5 * (row["mean_high"] - row["mean_low"]) + 1e-12
        width = row["needed_high"] - row["needed_low"]
        assert abs(row["needed"] - row["needed_exact"]) <= 1.5 * width + 1e-9


def test_so_many_samples_have_a_tenth_of_the_gradient_as_their_standard_error(rows: list[dict[str, Any]]) -> None:
    """By the variances of the cosine at the angle 1: k^2 (1 - e^-2u cos 2) / 2 and [1 + (1-4u) e^-2u cos 2] / 2s^2."""
    for row in rows:
        if row["sigma"] > 0:
            u, cosine = (10 * row["sigma"]) ** 2, math.cos(2)
            second = {
                "pathwise": 50 * (1 - math.exp(-2 * u) * cosine),
                "reinforce": (1 + (1 - 4 * u) * math.exp(-2 * u) * cosine) / (2 * row["sigma"] ** 2),
            }[str(row["estimator"])]
            needed = (second - row["gradient"] ** 2) / (0.1 * row["gradient"]) ** 2
            assert row["needed_exact"] == pytest.approx(max(1.0, needed), rel=1e-6)
