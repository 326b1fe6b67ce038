"""Over a long horizon of a stable loop: T for pathwise, T^2 with a constant baseline, T^3 without."""

from __future__ import annotations

import math
from collections.abc import Iterator

from scorepath.claims._lab import Claim, Finding, Lab, about, exactly, near, positive_mean
from scorepath.environments.lqr import LQR

EXPONENTS = {"pathwise": 1.0, "optimal_constant": 2.0, "reinforce": 3.0}


def experiment(lab: Lab) -> Iterator[Finding]:
    """See the module: predictions first, then what is measured."""
    for method, predicted in EXPONENTS.items():
        values = [lab.exact(method, lab.at(_loop(horizon), 0.1)) for horizon in (80, 160)]
        yield Finding(
            f"LQR of loop gain 0.9, T = 80 to 160: exact variance of {method} as T^{predicted:g}"
            " (within 0.35: it is a limit)",
            exactly(math.log2(values[1] / values[0])), predicted, about(predicted, 0.35),
        )  # fmt: skip
    simulator, measured = (lab.at(_loop(horizon), 0.1) for horizon in (20, lab.setting("horizon", 20)))
    for method in ("pathwise", "reinforce"):
        yield Finding(
            f"the same at T = 20: measured variance of {method} over the exact one 1 (within 25 %)",
            positive_mean(lab.sample(method, measured, 256, 256).variances / lab.exact(method, simulator)), 1.0,
            near(1.0, 0.25),
        )  # fmt: skip


def _loop(horizon: int) -> LQR:
    return LQR(horizon=horizon, dynamics=((0.9,),), control=((0.5,),), process_noise=1.0, initial_std=0.0)


CLAIM = Claim(
    source="derived; Zhao 2011",
    prediction=(
        "In a stable loop variances grow as T (pathwise), T^2 (score function, constant baseline), T^3 "
        "(none), asymptotically."
    ),
    experiment=experiment,
    mutants=(
        {"pathwise": "reinforce", "optimal_constant": "pathwise", "reinforce": "optimal_constant"},
        {"horizon": 40},
    ),
    why=(
        "The exponents are those of the limit of long horizons: between 80 and 160 steps of a loop that forgets a tenth"
        " per step lower powers of T still count."
    ),
)
