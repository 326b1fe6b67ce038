"""Total propagation saves orders of magnitude against pathwise in chaos, and nothing against the score function."""

from __future__ import annotations

from collections.abc import Iterator

from scorepath.claims._lab import Claim, Finding, Lab, ratio
from scorepath.environments.angle_doubling import AngleDoubling


def experiment(lab: Lab) -> Iterator[Finding]:
    """Fourteen doublings, noise of 0.1 at every step: far beyond where pathwise dies."""
    simulator = lab.at(AngleDoubling(doublings=14), 0.1)
    pathwise, mixed, score = (
        lab.sample(method, simulator, 64, 64).variances for method in ("pathwise", "total_propagation", "leave_one_out")
    )
    yield Finding(
        "angle doubling, T = 14: variance of pathwise over that of total propagation above 1e5", ratio(pathwise, mixed),
        None, (1e5, 1e12),
    )  # fmt: skip
    yield Finding(
        "the same against leave-one-out: variance over that of total propagation 1 (within a factor of 2)",
        ratio(score, mixed), 1.0, (0.5, 2.0),
    )  # fmt: skip


CLAIM = Claim(
    source="Parmas 2018",
    prediction="Up to 10^6 times less variance than pathwise in chaos.",
    experiment=experiment,
    mutants=({"total_propagation": "pathwise"},),
)
