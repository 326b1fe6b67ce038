"""What the jobs of a sweep share: the simulators of a point, one for each value that is averaged over."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from scorepath.environments.base import Environment, make_policy
from scorepath.estimators.base import Estimator
from scorepath.noise import Stream
from scorepath.policies import Policy
from scorepath.references.checkpoints import reference_policies
from scorepath.registry import ENVIRONMENTS, ESTIMATORS, load
from scorepath.rollout import Simulator

if TYPE_CHECKING:
    from scorepath.study.settings import Study
    from scorepath.study.sweeps import Point, Sweep

REPLICATES = ("variance", "second_moment", "squared_bias", "squared_error", "flat_batches")
"""What a point's file holds of each replicate, beside its estimator."""


def members(study: Study, sweep: Sweep, point: Point) -> list[Simulator]:
    """The simulators at a point, at its noise level and its checkpoint.

    Raises:
        ValueError: for knobs that the family refuses.
    """
    found = []
    for own in sweep.members():
        environment = load(ENVIRONMENTS, sweep.family, sweep.plugin)(**point.knobs, **own)
        policy = _policy(environment, sweep.policy)
        stream = Stream(study.seed, sweep.name, "reference policies")
        if point.checkpoint:
            level = study.references.noise_level
            (parameters,) = reference_policies(environment, policy, level, (point.checkpoint,), stream).parameters
        else:
            parameters = policy.initial_parameters(stream.generator(0, "initial parameters"))
        found.append(Simulator(environment, policy, parameters, point.sigma))
    return found


def estimators(sweep: Sweep) -> dict[str, Estimator]:
    """Pathwise and its rivals, by method."""
    return {method: load(ESTIMATORS, method)() for method in ("pathwise", *sweep.rivals)}


def batches_of(sweep: Sweep, member: int) -> range:
    """The replicates of the random numbers: members that are no draws see the same ones, as paired as can be."""
    return range(member * sweep.batches, (member + 1) * sweep.batches) if sweep.drawn else range(sweep.batches)


def replicates(sweep: Sweep, numbers: np.ndarray) -> np.ndarray:
    """Independent contributions to a mean over members and batches, from (members, batches).

    Where members are draws each is one, with all its batches; where they are a grid each batch is, with all members.
    """
    return numbers.mean(1) if sweep.drawn else numbers.mean(0)


def _policy(environment: Environment, given: Mapping[str, Any] | None) -> Policy:
    """As the configuration has it; by default the family's own."""
    if given is None:
        return make_policy(environment)
    return make_policy(environment, given["kind"], tuple(given["hidden"]))
