"""Even with the best constant the score function is worse on a quadratic, and the more so in many dimensions."""

from __future__ import annotations

from collections.abc import Iterator

from scorepath.claims._lab import Claim, Finding, Lab, near, ratio
from scorepath.environments.quadratic import Quadratic


def experiment(lab: Lab) -> Iterator[Finding]:
    """The distance is |d|^2 = 1 in all."""
    for dimension, sigma in ((2, 0.5), (8, 0.5)):
        simulator = lab.at(
            Quadratic(dimension=dimension, offset=0.0), sigma, lab.setting("scale", 1.0) / dimension**0.5
        )
        ours, theirs = (lab.sample(method, simulator, 1024, 512) for method in ("pathwise", "optimal_constant"))
        predicted = (dimension + 1) / (dimension * sigma**2) + (dimension + 2) / 2
        yield Finding(
            f"D = {dimension}, |d| = 1, sigma = {sigma:g}: V_SF* / V_PW = {predicted:.4g} (within 20 %)",
            ratio(theirs.variances, ours.variances), predicted, near(predicted, 0.2),
        )  # fmt: skip


CLAIM = Claim(
    source="derived; Xu 2019",
    prediction="On |x - k|^2 in D dimensions V_SF*/V_PW = (D + 1)|d|^2 / (D sigma^2) + (D + 2)/2.",
    experiment=experiment,
    mutants=({"scale": 2.0},),
)
