"""The best mixture of two independent batches is better than both, and never worth the second batch."""

from __future__ import annotations

from collections.abc import Iterator

from scorepath.claims._lab import Claim, Finding, Lab, near, positive_mean
from scorepath.environments.quadratic import Quadratic


def experiment(lab: Lab) -> Iterator[Finding]:
    """On a quadratic at d = sigma = 1: V_0 = 30 without a baseline, V_1 = 4."""
    simulator = lab.at(Quadratic(dimension=1, offset=0.0), 1.0, 1.0)
    first, zeroth = (lab.sample(method, simulator, 1024, 64).means[:, 0] for method in ("pathwise", "reinforce"))
    half = len(first) // 2  # batches of their own for each
    weight = lab.setting("weight", 30 / 34)
    mixed = weight * first[:half] + (1 - weight) * zeroth[half:]
    variances = 64 * (mixed - mixed.mean()) ** 2 * half / (half - 1)
    predicted = 30 * 4 / 34
    yield Finding(
        f"independent batches: variance of the best mixture {predicted:.4g} (within 25 %)",
        positive_mean(variances), predicted, near(predicted, 0.25),
    )  # fmt: skip
    value, low, high = positive_mean(2 * variances / lab.setting("parent", 4.0))
    yield Finding(
        "the same at equal samples: variance over that of the better parent at least 1",
        (value, low, high),
        None,
        (1.0, 1e9),
    )


CLAIM = Claim(
    source="Suh 2022 lemma 4.4; derived",
    prediction=(
        "The optimum is V_0 V_1 / (V_0 + V_1), but it costs two batches: at equal samples it is never below "
        "the better parent."
    ),
    experiment=experiment,
    mutants=({"weight": 0.5}, {"parent": 30.0}),
)
