"""The signal-to-noise ratio of a gradient predicts how much one step can learn."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from scorepath.claims._lab import Claim, Finding, Lab, function_of_means, near
from scorepath.environments.quadratic import Quadratic
from scorepath.references.variances import exact_variance


def experiment(lab: Lab) -> Iterator[Finding]:
    """On a quadratic the best step of noisy ascent gains `1 / (1 + NSR / N)` of what a noiseless one gains."""
    simulator = lab.at(Quadratic(dimension=4, offset=0.0), 0.5, lab.setting("distance", 0.3))
    gradient = -2 * np.full(4, 0.3)
    square = float(gradient @ gradient)
    start = lab.at(Quadratic(dimension=4, offset=0.0), 0.5, 0.3)
    for method in ("pathwise", "leave_one_out", "reinforce"):
        means = lab.sample(method, simulator, 4096, 8).means
        gained = function_of_means(
            lambda along, size: along**2 / (square * size), means @ gradient, np.square(means).sum(1)
        )
        predicted = 1 / (1 + (exact_variance(method, start, 8) or 0.0) / square / 8)
        yield Finding(
            f"quadratic in 4 dimensions, N = 8, {method}: share {predicted:.3f} of the noiseless gain (within 15 %)",
            gained, predicted, near(predicted, 0.15),
        )  # fmt: skip


CLAIM = Claim(
    source="Roberts & Tedrake 2008",
    prediction=("The signal-to-noise ratio of the gradient predicts the expected improvement per step."),
    experiment=experiment,
    mutants=({"distance": 0.6},),
)
