"""Weights by inverse variance cannot see a bias that no sample shows, however large the batch."""

from __future__ import annotations

from collections.abc import Iterator

from scorepath.claims._lab import Claim, Finding, Lab, about, mean
from scorepath.environments.soft_step import SoftStep
from scorepath.environments.step import Step

SIGMA = 0.1


def experiment(lab: Lab) -> Iterator[Finding]:
    """On a step at its edge pathwise is zero, and has no variance; on a ramp as wide as the noise both sides see it."""
    for samples in (4, 64, 1024):
        simulator = lab.at(Step(edge=0.0), SIGMA)
        found = lab.sample("inverse_variance", simulator, 64, samples)
        yield Finding(
            f"inverse variance on a step, N = {samples}: mean over the gradient 0 (within 0.05)",
            mean(found.means[:, 0] / lab.gradient(simulator)[0]), 0.0, about(0.0, 0.05),
        )  # fmt: skip
    simulator = lab.at(SoftStep(edge=0.0, width=SIGMA), SIGMA)
    found = lab.sample("inverse_variance", simulator, 256, 1024)
    yield Finding(
        "the same on a ramp of one sigma, N = 1024: mean over the gradient 1 (within 0.05)",
        mean(found.means[:, 0] / lab.gradient(simulator)[0]), 1.0, about(1.0, 0.05),
    )  # fmt: skip


CLAIM = Claim(
    source="Parmas 2018; derived",
    prediction="On a jump all the weight goes to pathwise at every batch size, and the whole gradient is lost.",
    experiment=experiment,
    mutants=({"inverse_variance": "reinforce"}, {"inverse_variance": "deterministic_pathwise"}),
)
