"""Learning curves and training verdicts say the same of the same runs."""

from __future__ import annotations

import numpy as np
import pytest

from scorepath.figures.learning import curve
from scorepath.verdicts import compare_scores

OURS = np.array([0.0, 0.0, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0])
THEIRS = np.linspace(0.0, 1.0, 10) ** 3


def test_the_figure_and_the_verdict_take_one_interquartile_mean() -> None:
    """With ten seeds a quarter is two and a half: two definitions were told apart here (10.5 against 9.3)."""
    ours, _, _ = curve(OURS[:, None])
    theirs, _, _ = curve(THEIRS[:, None])
    resamples = np.zeros((2, 5, 10), dtype=int)
    verdict = compare_scores(OURS, THEIRS, resamples)["iqm_difference"]
    assert ours[0] == pytest.approx(9.3)
    assert verdict.value == ours[0] - theirs[0]
