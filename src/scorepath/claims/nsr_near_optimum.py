"""Near the optimum every noise-to-signal ratio blows up, and the ratio of two of them converges."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from scorepath.claims._lab import Claim, Finding, Lab, near, positive_mean, ratio
from scorepath.environments.quadratic import Quadratic


def experiment(lab: Lab) -> Iterator[Finding]:
    """See the module: predictions first, then what is measured."""
    for distance in (0.3, 0.03):
        simulator = lab.at(Quadratic(dimension=1, offset=0.0), 1.0, distance * lab.setting("unit", 1.0))
        first, zeroth = (lab.sample(method, simulator, 128, 256).variances for method in ("pathwise", "reinforce"))
        predicted = 1 / distance**2
        yield Finding(
            f"quadratic at d = {distance:g}, sigma = 1: noise-to-signal ratio of pathwise"
            f" {predicted:.4g} (within 5 %)",
            positive_mean(first / np.square(lab.gradient(simulator)).sum()), predicted, near(predicted, 0.05),
        )  # fmt: skip
        rest = (distance**4 + 14 * distance**2 + 15) / 4
        yield Finding(
            f"the same: REINFORCE's over pathwise's {rest:.4g}, and 3.75 in the limit (within 25 %)",
            ratio(zeroth, first), rest, near(rest, 0.25),
        )  # fmt: skip


CLAIM = Claim(
    source="Han 2026; derived",
    prediction=(
        "The noise-to-signal ratio of REINFORCE blows up near the optimum; so does that of pathwise, and "
        "their ratio converges to 15/4."
    ),
    experiment=experiment,
    mutants=({"unit": 2.0}, {"reinforce": "optimal_constant"}),
)
