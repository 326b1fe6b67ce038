"""On one shared rollout weights that ignore the covariance can be worse than pathwise alone."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from scorepath.claims._lab import Claim, Finding, Lab, near, positive_mean


def experiment(lab: Lab) -> Iterator[Finding]:
    """On a quadratic at d = sigma = 1: V_0 = 30, V_1 = 4, C = 8 without a baseline."""
    eps = lab.generator().standard_normal((200, 10_000))
    zeroth, first = -np.square(1 + eps) * eps, -2 * (1 + eps)
    covariance = lab.setting("covariance", 8.0)
    for name, weight, predicted in (
        ("marginal", lab.setting("marginal", 30 / 34), 5.2),
        ("covariance-aware", (30 - covariance) / (34 - 2 * covariance), 3.11),
    ):
        mixed = weight * first + (1 - weight) * zeroth
        yield Finding(
            f"{name} weights: variance {predicted:g}, where pathwise has 4 (within 5 %)",
            positive_mean(mixed.var(1, ddof=1)), predicted, near(predicted, 0.05),
        )  # fmt: skip


CLAIM = Claim(
    source="derived",
    prediction=(
        "Marginal weights give 5.2 where pathwise has 4; k = (V_0 - C)/(V_0 + V_1 - 2C) gives (V_0 V_1 - "
        "C^2)/(V_0 + V_1 - 2C) = 3.1."
    ),
    experiment=experiment,
    mutants=({"covariance": -8.0}, {"marginal": 0.5}),
)
