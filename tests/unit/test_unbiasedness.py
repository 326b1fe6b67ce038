"""What is not proved is not claimed."""

from __future__ import annotations

import math

import numpy as np
import pytest

from scorepath.unbiasedness import both, proved, with_room
from scorepath.verdicts import ErrorComponents, Outcome


@pytest.mark.parametrize(
    ("declared", "family", "own_estimator", "own_environment", "known"),
    [
        (True, "pathwise", True, True, True),
        (True, "pathwise", True, False, False),
        (True, "mixture", True, False, False),
        (True, "score_function", True, False, True),
        (True, "measure_valued", True, False, True),
        (True, "score_function", False, True, False),
        (False, "score_function", True, True, False),
    ],
)
def test_a_bias_is_zero_only_where_that_is_proved(
    declared: bool, family: str, own_estimator: bool, own_environment: bool, known: bool
) -> None:
    assert proved(declared, family, own_estimator=own_estimator, own_environment=own_environment) == known


def test_room_is_added_to_what_was_measured() -> None:
    components = ErrorComponents("", np.ones(3), np.array([-0.1, 0.0, 0.4]), False)
    assert with_room(components, 0.5).biases.tolist() == [0.4, 0.5, 0.9]
    below = ErrorComponents("", np.ones(3), np.array([-0.5, 0.0, 0.2]), False)
    assert with_room(below, 0.5).biases.mean() == pytest.approx(0.5), "a square is not negative"


def test_a_verdict_that_a_hidden_bias_could_turn_round_is_open() -> None:
    won, lost = Outcome(1.0, 0.8, 1.2, 1e-4), Outcome(-0.5, -0.7, -0.3, 1e-4)
    found = both(won, lost, 0.25)
    assert (found.value, found.low, found.high) == (1.0, -0.7, 1.2)
    assert found.reason == "unbiasedness is declared, not proved: a bias of 25 % could hide and turn it round"
    still = both(won, Outcome(0.4, 0.2, 0.6, 1e-3), 0.25)
    assert (still.low, still.high, still.p_value, still.reason) == (0.2, 1.2, 1e-3, "")
    nothing = Outcome(reason="no signal")
    assert both(nothing, won, 0.25).reason == "no signal"
    assert math.isnan(both(nothing, won, 0.25).value)
