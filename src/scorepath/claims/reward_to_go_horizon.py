"""Rewards to go with a state value still grow as T^2; one-step errors of temporal differences as T."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from scorepath.claims._lab import Claim, Finding, Lab, about, slope
from scorepath.environments.lqr import LQR

CASES: tuple[tuple[str, dict[str, Any], float], ...] = (
    ("state_value_baseline", {}, 1.9),
    ("generalised_advantage", {"decay": 0.0}, 1.0),
)


def experiment(lab: Lab) -> Iterator[Finding]:
    """The values are fitted to earlier trajectories, as the estimators have it, not exact."""
    for method, decay, predicted in CASES:
        short, long = (
            lab.sample(method, lab.at(_loop(horizon), 0.1), 128, 64, **decay).variances
            for horizon in (30, lab.setting("horizon", 90))
        )
        yield Finding(
            f"LQR of loop gain 0.9, T = 30 to 90: variance of {method} as T^{predicted:g} (within 0.3)",
            slope(long, short, math.log(3)), predicted, about(predicted, 0.3),
        )  # fmt: skip


def _loop(horizon: int) -> LQR:
    return LQR(horizon=horizon, dynamics=((0.9,),), control=((0.5,),), process_noise=0.3)


CLAIM = Claim(
    why=("The value is fitted to earlier trajectories, not exact, and 90 steps are not yet the limit of many."),
    source="derived",
    prediction=(
        "Reward to go minus a state value is still about T^2 (slope 1.9), a one-step temporal difference with"
        " that value T."
    ),
    experiment=experiment,
    mutants=({"state_value_baseline": "pathwise"}, {"horizon": 30}),
)
