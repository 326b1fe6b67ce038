"""In an unstable linear loop it is the score function that grows faster."""

from __future__ import annotations

import math
from collections.abc import Iterator

from scorepath.claims._lab import Claim, Finding, Lab, exactly, near, ratio
from scorepath.environments.lqr import LQR

GAIN = 1.2


def experiment(lab: Lab) -> Iterator[Finding]:
    """`V_SF / V_PW` grows as `alpha^(2T) / T^2`, gradients being those in the feedback gain."""
    ratios = [_ratio(lab, horizon) for horizon in (40, 60)]
    measured = math.log(ratios[1] / ratios[0]) / 20
    predicted = 2 * math.log(GAIN) - 2 * math.log(60 / 40) / 20
    yield Finding(
        f"LQR of loop gain 1.2, T = 40 to 60: exact V_SF* / V_PW grows by {predicted:.3f} per step in the logarithm"
        " (within 15 %)",
        exactly(measured), predicted, near(predicted, 0.15),
    )  # fmt: skip
    simulator = lab.at(_loop(10), 0.1)
    found = ratio(lab.sample("leave_one_out", simulator).variances, lab.sample("pathwise", simulator).variances)
    yield Finding(
        "the same at T = 10, measured: the variance of leave-one-out is larger than pathwise's", found, None, (1.0, 1e9)
    )


def _ratio(lab: Lab, horizon: int) -> float:
    simulator = lab.at(_loop(horizon), 0.1)
    return lab.exact("optimal_constant", simulator) / lab.exact("pathwise", simulator)


def _loop(horizon: int) -> LQR:
    return LQR(horizon=horizon, dynamics=((GAIN,),), control=((0.5,),), process_noise=0.1)


CLAIM = Claim(
    source="derived",
    prediction=("With alpha = 1.2 the score function variance grows as alpha^(6T), pathwise as T^2 alpha^(4T)."),
    experiment=experiment,
    mutants=({"optimal_constant": "pathwise"}, {"pathwise": "reinforce"}),
    why="The rate is that of the limit of long horizons, with its leading powers of T alone.",
)
