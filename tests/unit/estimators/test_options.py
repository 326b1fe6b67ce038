"""Options out of range are refused, by each method of the pathwise family that has them."""

from __future__ import annotations

import pytest

from scorepath.estimators.base import ActionSignalEstimator
from scorepath.estimators.clipped_pathwise import ClippedPathwise
from scorepath.estimators.deterministic_policy_gradient import DeterministicPolicyGradient
from scorepath.estimators.short_horizon_value import ShortHorizonValue
from scorepath.estimators.smoothed_pathwise import SmoothedPathwise
from scorepath.estimators.windowed_pathwise import WindowedPathwise


@pytest.mark.parametrize(
    ("made", "options", "message"),
    [
        (WindowedPathwise, {"window": 0}, "window must be at least 1 step, got 0"),
        (ShortHorizonValue, {"window": 0}, "window must be at least 1 step, got 0"),
        (ShortHorizonValue, {"ridge": 0.0}, r"ridge must be positive, got 0\.0"),
        (DeterministicPolicyGradient, {"ridge": -1.0}, r"ridge must be positive, got -1\.0"),
        (ClippedPathwise, {"limit": 0.0}, r"limit must be positive, got 0\.0"),
        (SmoothedPathwise, {"width": 0.0}, r"width must be positive, got 0\.0"),
    ],
)
def test_options_out_of_range_are_refused(
    made: type[ActionSignalEstimator], options: dict[str, float], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        made(**options)
