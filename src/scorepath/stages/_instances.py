"""What an entry of the configuration stands for: an environment and its policy, or an estimator."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scorepath.environments.base import make_policy
from scorepath.registry import ENVIRONMENTS, ESTIMATORS, load

if TYPE_CHECKING:
    from scorepath.environments.base import Environment
    from scorepath.estimators.base import Estimator
    from scorepath.policies import Policy
    from scorepath.study.settings import EnvironmentEntry, EstimatorEntry


def make_environment(entry: EnvironmentEntry) -> tuple[Environment, Policy]:
    """The environment that an entry names, and its policy."""
    environment = load(ENVIRONMENTS, entry.family, entry.plugin)(**entry.knobs)
    policy = dict(entry.policy or {})
    if "hidden" in policy:
        policy["hidden"] = tuple(policy["hidden"])
    return environment, make_policy(environment, **policy)


def make_estimator(entry: EstimatorEntry) -> Estimator:
    """The estimator that an entry names."""
    estimator: Estimator = load(ESTIMATORS, entry.method, entry.plugin)(**entry.options)
    return estimator
