"""A softened contact buys a gradient with a bias, which grows as the square of its width."""

from __future__ import annotations

import math
from collections.abc import Iterator

from scipy.stats import norm

from scorepath.claims._lab import Claim, Finding, Lab, mean, near
from scorepath.environments.soft_step import SoftStep


def experiment(lab: Lab) -> Iterator[Finding]:
    """Pathwise on the softened step against the gradient of the jump, sigma = 0.1."""
    for share in (0.5, 2.0, 4.0):
        width = share * 0.1
        predicted = (2 * norm.cdf(share / 2) - 1) / share * math.sqrt(2 * math.pi)
        found = lab.sample(
            "pathwise", lab.at(SoftStep(edge=0.0, width=width * lab.setting("unit", 1.0)), 0.1), 64, 1024
        )
        truth = 1 / (0.1 * math.sqrt(2 * math.pi))
        yield Finding(
            f"a ramp of {share:g} sigma for a step: mean of pathwise over the step's gradient"
            f" {predicted:.4f} (within 3 %)",
            mean(found.means[:, 0] / truth), predicted, near(predicted, 0.03),
        )  # fmt: skip


CLAIM = Claim(
    source="Suh 2022",
    prediction=("A softened contact has a bias that grows with its softness: -(nu / sigma)^2 / 24 at first."),
    experiment=experiment,
    mutants=({"unit": 8.0},),
)
