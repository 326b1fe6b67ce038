"""The checkpoints of an environment: policies at which gradients are measured, the same for all estimators."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scorepath.noise import Stream
from scorepath.references import checkpoints
from scorepath.stages._instances import make_environment
from scorepath.stages._references import save_policies

if TYPE_CHECKING:
    from scorepath.study.cells import Plan


def reference_policies(plan: Plan, environment: str) -> None:
    """Find the checkpoints of an environment."""
    study = plan.study
    instance, policy = make_environment(study.environments[environment])
    stream = Stream(study.seed, environment, "reference policies")
    settings = study.references
    found = checkpoints.reference_policies(instance, policy, settings.noise_level, settings.return_gaps, stream)
    save_policies(environment, found)
