"""What an entry of the configuration stands for: an environment and its policy, or an estimator."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from scorepath import plugins
from scorepath.environments._squashed import squashed
from scorepath.environments.base import make_policy, require_own_std
from scorepath.modules import ModulePolicy
from scorepath.policies import LearnedStd
from scorepath.registry import ENVIRONMENTS, ESTIMATORS, load

if TYPE_CHECKING:
    from scorepath.environments.base import Environment
    from scorepath.estimators.base import Estimator
    from scorepath.policies import Policy
    from scorepath.study.settings import EnvironmentEntry, EstimatorEntry


def make_environment(entry: EnvironmentEntry) -> tuple[Environment, Policy]:
    """The environment that an entry names, and its policy."""
    environment: Environment = load(ENVIRONMENTS, entry.family, entry.plugin)(**entry.knobs)
    if entry.squash is not None:
        environment = squashed(environment, entry.squash)
    return environment, policy_of(entry, environment)


def policy_of(entry: EnvironmentEntry, environment: Environment) -> Policy:
    """The policy that an entry names, in this environment.

    Raises:
        ValueError: where it does not fit, with the key.
    """
    given = dict(entry.policy or {})
    if given.get("kind") == "module":
        try:
            return _module_policy(given, environment)
        except ValueError as error:
            raise ValueError(f"policy.module is {given['module']}, but {error}") from error
    if "hidden" in given:
        given["hidden"] = tuple(given["hidden"])
    return make_policy(environment, **given)


def _module_policy(given: Mapping[str, Any], environment: Environment) -> Policy:
    file, _, name = given["module"].partition(":")
    try:
        made = getattr(plugins.load(Path(file))[0], name, None)
    except LookupError as error:
        raise ValueError(str(error.args[0])) from error
    if not callable(made):
        raise ValueError(f"{file} defines no class or function {name!r}")
    std = given["standard_deviation"]
    require_own_std(environment, std)
    policy = ModulePolicy(
        make=partial(made, **given["options"]),
        observation_dim=environment.observation_dim,
        output_dim=environment.action_dim * (2 if std == "state_dependent" else 1),
        log_std=std == "state_dependent",
        weights=_weights(Path(given["weights"])) if given["weights"] else None,
    )
    return LearnedStd(policy) if std == "learned" else policy


def _weights(path: Path) -> Mapping[str, torch.Tensor]:
    """A state dict.

    Raises:
        ValueError: if there is none in the file, or anything else.
    """
    remedy = "write it with torch.save(module.state_dict(), path)"
    try:
        with warnings.catch_warnings():  # torch warns of pickles that it then refuses
            warnings.simplefilter("ignore")
            found = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise ValueError(
            f"there is no file {path} (policy.weights); the path is relative to the folder that the study is run in"
        ) from error
    except Exception as error:  # whatever torch raises for a file of another kind
        raise ValueError(f"policy.weights, {path}, cannot be read as weights alone: {remedy}") from error
    if not isinstance(found, Mapping) or not all(isinstance(each, torch.Tensor) for each in found.values()):
        raise ValueError(f"policy.weights, {path}, holds no state dict: {remedy}")
    return found


def make_estimator(entry: EstimatorEntry) -> Estimator:
    """The estimator that an entry names."""
    estimator: Estimator = load(ESTIMATORS, entry.method, entry.plugin)(**entry.options)
    return estimator
