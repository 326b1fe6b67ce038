"""The baseline of least variance weighs returns by the squared score, and beats the mean."""

from __future__ import annotations

from collections.abc import Iterator

from scorepath.claims._lab import Claim, Finding, Lab, near, positive_mean
from scorepath.environments.quadratic import Quadratic

PREDICTED = {"reinforce": 15.0, "leave_one_out": 10.0, "optimal_constant": 6.0}


def experiment(lab: Lab) -> Iterator[Finding]:
    """At the optimum of a quadratic, with sigma = 1."""
    simulator = lab.at(Quadratic(dimension=1, offset=0.0), 1.0)
    for method, predicted in PREDICTED.items():
        found = lab.sample(method, simulator, 1024 if method == "optimal_constant" else 64, 256)
        yield Finding(
            f"quadratic at d = 0, sigma = 1: variance of {method} {predicted:g} (within 20 %)",
            positive_mean(found.variances), predicted, near(predicted, 0.2),
        )  # fmt: skip


CLAIM = Claim(
    source="Greensmith 2004; Weaver & Tao 2001",
    prediction="At d = 0 variances are 15 sigma^2 (none), 10 sigma^2 (mean), 6 sigma^2 (optimal).",
    experiment=experiment,
    mutants=({"reinforce": "leave_one_out", "leave_one_out": "reinforce", "optimal_constant": "reinforce"},),
)
