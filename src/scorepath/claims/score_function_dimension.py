"""The score function pays for every dimension, even where the return is linear; pathwise pays nothing."""

from __future__ import annotations

from collections.abc import Iterator

from scorepath.claims._lab import Claim, Finding, Lab, near, positive_mean
from scorepath.claims._landscapes import Linear


def experiment(lab: Lab) -> Iterator[Finding]:
    """Leave-one-out stands for the mean, which is the optimum here; its interaction term is D^2 / (N - 1)."""
    for dimension in (1, 4, 16):
        found = lab.sample("leave_one_out", lab.at(Linear(dimension=dimension), 1.0), 64, 512)
        predicted = dimension * (dimension + 1) + dimension**2 / 511
        yield Finding(
            f"leave-one-out on f = sum x_d, D = {dimension}: variance D (D + 1) = {predicted:.4g} (within 8 %)",
            positive_mean(found.variances), predicted, near(predicted, 0.08),
        )  # fmt: skip
    flat = lab.sample("pathwise", lab.at(Linear(dimension=16), 1.0), 8, 64)
    yield Finding("pathwise on the same: variance 0 (within 1e-12)", positive_mean(flat.variances), 0.0, (0.0, 1e-12))


CLAIM = Claim(
    source="Mohamed 2020 4.3.3; derived",
    prediction=(
        "On f = sum of D coordinates the score function with the optimal (= mean) baseline has variance D (D "
        "+ 1), pathwise 0."
    ),
    experiment=experiment,
    mutants=({"leave_one_out": "pathwise", "pathwise": "leave_one_out"},),
)
