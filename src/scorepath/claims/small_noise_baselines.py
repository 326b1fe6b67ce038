"""As the noise falls no constant helps under a random start, but a rerun without noise does."""

from __future__ import annotations

import math
from collections.abc import Iterator

from scorepath.claims._lab import Claim, Finding, Lab, about, exactly, slope
from scorepath.environments.lqr import LQR


def experiment(lab: Lab) -> Iterator[Finding]:
    """See the module: predictions first, then what is measured."""
    for method, predicted in (("optimal_constant", -2.0), ("reinforce", -2.0)):
        values = [lab.exact(method, lab.at(_loop(), sigma)) for sigma in (0.003, 0.001)]
        yield Finding(
            f"LQR from a random start, sigma = 0.003 to 0.001: exact variance of {method} as"
            f" sigma^{predicted:g} (within 0.1)",
            exactly(math.log(values[0] / values[1]) / math.log(3)), predicted, about(predicted, 0.1),
        )  # fmt: skip
    large, small = (lab.sample("zero_noise_baseline", lab.at(_loop(), sigma)).variances for sigma in (0.03, 0.01))
    yield Finding(
        "the same, sigma = 0.03 to 0.01: variance of the zero-noise baseline as sigma^0 (within 0.1)",
        slope(large, small, math.log(3)), 0.0, about(0.0, 0.1),
    )  # fmt: skip


def _loop() -> LQR:
    return LQR(horizon=5, dynamics=((0.9,),), control=((0.5,),), process_noise=0.1)


CLAIM = Claim(
    source="folk; derived",
    prediction=(
        "V_SF ~ sigma^-2 with a constant baseline under a random start or process noise; finite with a zero-"
        "noise baseline rerun under the same."
    ),
    experiment=experiment,
    mutants=({"optimal_constant": "pathwise", "reinforce": "pathwise", "zero_noise_baseline": "reinforce"},),
)
