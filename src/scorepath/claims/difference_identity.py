"""One identity says by how much the two variances differ, from the return and its curvature alone."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from scorepath.claims._lab import Claim, Finding, Lab, about, function_of_means
from scorepath.environments.cosine import Cosine


def experiment(lab: Lab) -> Iterator[Finding]:
    """`sigma^2 (V_SF - V_PW) = D E[f^2] + sigma^2 E|f'|^2 + 2 sigma^2 E[f f'']`, f smooth, no baseline."""
    for sigma in (0.05, 0.2):
        simulator = lab.at(Cosine(frequency=10.0, phase=1.0), sigma)
        first, zeroth = (lab.sample(method, simulator, 128, 512).variances for method in ("pathwise", "reinforce"))
        x = 10 * sigma * lab.generator(f"{sigma:g}").standard_normal((128, 4096)) + 1
        f, slope_, curvature = np.cos(x), -10 * np.sin(x), -100 * np.cos(x)
        right = f**2 + sigma**2 * slope_**2 + lab.setting("factor", 2.0) * sigma**2 * f * curvature
        measured = function_of_means(
            lambda zero, one, other, noise=sigma: noise**2 * (zero - one) - other, zeroth, first, right.mean(1)
        )
        size = float(np.abs(right).mean())
        yield Finding(
            f"cosine, k sigma = {10 * sigma:g}: left less right side over the size of the right 0 (within 0.1)",
            (measured[0] / size, measured[1] / size, measured[2] / size), 0.0, about(0.0, 0.1),
        )  # fmt: skip


CLAIM = Claim(
    source="derived",
    prediction=("sigma^2 (V_SF - V_PW) = D E[(f - b)^2] + sigma^2 E|grad f|^2 + 2 sigma^2 E[(f - b) Laplacian f]."),
    experiment=experiment,
    mutants=({"factor": 1.0},),
)
