"""From a configuration to a plan: check it, read what environments and estimators declare, settle each cell's fate."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import fields, replace
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch

from scorepath import registry
from scorepath.conformance import quick_findings
from scorepath.environments._squashed import Squashed
from scorepath.environments.base import Environment
from scorepath.estimators.base import Estimator
from scorepath.measurement import steps_per_sample
from scorepath.plugins import Plugin, clash, read
from scorepath.policies import Policy
from scorepath.references.exact import reference_class
from scorepath.stages._instances import make_environment, make_estimator, policy_of
from scorepath.stages._sweep_checks import check_sweep
from scorepath.store.paths import Stage, plan_path
from scorepath.study.cells import Cell, Plan
from scorepath.study.digests import cell_digest, digests, plan_key
from scorepath.study.settings import EnvironmentEntry, EstimatorEntry, Study
from scorepath.study.validation import validate
from scorepath.study.wording import ConfigError
from scorepath.study.yaml import check_plain
from scorepath.training import RATES_AT_ONCE

Entry = TypeVar("Entry", EnvironmentEntry, EstimatorEntry)
Instance = TypeVar("Instance")

MOST_NUMBERS = 1_000_000_000
"""What a job may hold at once of states, actions, observations, noise and gradients: 4 GB in float32."""


def make_plan(raw: Mapping[str, Any], files: Iterable[Path] = ()) -> Plan:
    """Check a configuration, which stands in these files, and plan the study.

    Raises:
        ConfigError: one clear sentence about the first thing that is wrong.
    """
    check_plain(raw)
    known = {
        package: {name: registry.load(package, name) for name in registry.names(package)}
        for package in (registry.ENVIRONMENTS, registry.ESTIMATORS)
    }
    plugins, modules = _load_plugins(raw.get("plugins"), known)
    _check_modules_are_no_families(raw, modules)
    families, methods = known[registry.ENVIRONMENTS], known[registry.ESTIMATORS]
    config = validate(
        raw,
        {name: registry.knobs(cls) for name, cls in families.items()},
        {name: registry.knobs(cls) for name, cls in methods.items()},
    )
    for entry in (*config["environments"], *config["estimators"], *config["sweeps"]):
        entry["plugin"] = plugins.get(entry.get("family", entry.get("method")), "")
    config["module_plugins"] = list(modules.values())
    study = Study.from_config(config)
    environments, policies = {}, {}
    keys = _keys(study.environments.values())
    for name, place in study.environments.items():
        _check_module(keys[name], place, study)
        environments[name], policy = _instance(make_environment, place, keys[name])
        policies[name] = policy
        _check_policy(keys[name], place, environments[name], policy)
        _check_memory(f"{keys[name]} ({name})", study, environments[name], policy, name in study.training.environments)
        _check_policies(keys[name], place, environments[name], policy)
    estimators = {
        name: _instance(make_estimator, entry, f"estimators[{position}]")
        for position, (name, entry) in enumerate(study.estimators.items())
    }
    for name, place in study.environments.items():
        _check_plugin(keys[name], place, environments[name])
    for position, (name, method) in enumerate(study.estimators.items()):
        _check_plugin(f"estimators[{position}]", method, estimators[name])
    for position, sweep in enumerate(study.sweeps.values()):
        check_sweep(f"sweeps[{position}]", study, sweep, plugins)
    cells = tuple(_cells(study, environments, policies, estimators))
    return Plan(plan_key(raw, files), config, cells, digests(study, cells))


def plan(raw: Mapping[str, Any], files: Iterable[Path] = ()) -> Plan:
    """Check the configuration and settle every cell's fate.

    Args:
        raw: the configuration.
        files: where it stands.

    Returns:
        The plan, which is stored under its key.
    """
    made = make_plan(raw, files)
    made.save(plan_path(made.key))
    return made


def _load_plugins(listed: object, known: Mapping[str, dict[str, type[Any]]]) -> tuple[dict[str, str], dict[str, str]]:
    """Import the files that a configuration lists and add their classes to those known.

    Returns:
        By name the files that define a class; and those that define none, which are merely imported.
    """
    files: dict[str, str] = {}
    modules: dict[str, str] = {}
    if not isinstance(listed, list) or not all(isinstance(name, str) for name in listed):
        return files, modules  # not given, or refused by the schema
    before: list[tuple[str, Plugin]] = []
    for position, name in enumerate(listed):
        key, stem = f"plugins[{position}]", Path(name).stem
        try:
            if os.path.isfile(name):
                _check_one_meaning(key, name, plugin := read(Path(name)), before)
                before.append((name, plugin))
            found = registry.plugin_class(Path(name))
        except LookupError as error:
            raise ConfigError(f"{key}: {error.args[0]}.") from error
        if stem in modules or any(stem in classes for classes in known.values()):
            raise ConfigError(f"{key}: there is a {stem!r} already; rename the file {name}.")
        if found:
            known[found[0]][stem] = found[1]
            files[stem] = name
        else:
            modules[stem] = name
    return files, modules


def _check_one_meaning(key: str, name: str, plugin: Plugin, before: Iterable[tuple[str, Plugin]]) -> None:
    """A process has one module of a name: two plugins cannot each import another one that is called the same."""
    for other_name, other in before:
        if module := clash(plugin, other):
            raise ConfigError(
                f"{key}: {name} and {other_name} both import {module}, each from its own folder; rename one of the two."
            )


def _check_modules_are_no_families(raw: Mapping[str, Any], modules: Mapping[str, str]) -> None:
    """A plugin that an entry asks for has to define what the entry wants."""
    for section, kind in (("environments", "family"), ("estimators", "method")):
        entries = raw.get(section)
        for entry in entries if isinstance(entries, list) else ():
            wanted = entry.get(kind, entry.get("name")) if isinstance(entry, dict) else entry
            if isinstance(wanted, str) and wanted in modules:
                try:
                    registry.load_plugin(Path(modules[wanted]))
                except LookupError as error:
                    position = raw["plugins"].index(modules[wanted])
                    raise ConfigError(f"plugins[{position}]: {error.args[0]}.") from error


def _instance(make: Callable[[Entry], Instance], entry: Entry, key: str) -> Instance:
    """Build an instance; a knob it refuses becomes an error that names the entry."""
    try:
        return make(entry)
    except (ValueError, TypeError) as error:
        raise ConfigError(f"{key} ({entry.name}): {error}") from error


def _keys(entries: Iterable[EnvironmentEntry]) -> dict[str, str]:
    """Where each environment stands in the configuration, which names one of several policies only once."""
    keys: dict[str, str] = {}
    positions = count()
    for entry in entries:
        keys[entry.name] = keys[entry.like] if entry.like else f"environments[{next(positions)}]"
    return keys


def _check_policies(key: str, entry: EnvironmentEntry, environment: Environment, policy: Policy) -> None:
    """Other initial policies have to be others, or the ways up from them."""
    if not entry.like or reference_class(environment, policy) == "certified_monte_carlo":
        return
    if torch.equal(*(policy.initial_parameters(np.random.default_rng(seed)) for seed in range(2))):
        raise ConfigError(
            f"{key}.policies ({entry.like}): the initial policy of this kind is always the same, and so is the way up "
            "from it; leave `policies` out."
        )


def _check_module(key: str, entry: EnvironmentEntry, study: Study) -> None:
    """A file is imported because `plugins` lists it, and for no other reason."""
    if entry.module and os.path.normpath(entry.module) not in map(os.path.normpath, study.plugins):
        raise ConfigError(
            f"{key}.policy.module ({entry.name}) is in {entry.module}, which plugins does not list; add "
            f"`plugins: [{entry.module}]`."
        )


def _check_policy(key: str, entry: EnvironmentEntry, environment: Environment, policy: Policy) -> None:
    """Exact objectives exist under some kinds of policy only; the family's own kind is one of them."""
    if entry.policy is None or reference_class(environment, policy) not in ("closed_form", "recursion"):
        return
    long = any(field.name == "horizon" for field in fields(environment)) and environment.horizon > 2
    changes: dict[str, Any] = {"horizon": 2} if long else {}  # what it says does not depend on how long it is
    shorter = replace(environment, **changes)
    policy = policy_of(entry, shorter)
    try:
        shorter.expected_return(policy, torch.zeros(policy.parameter_count, dtype=torch.float64), 1.0)
    except ValueError as error:
        raise ConfigError(f"{key}.policy.kind ({entry.name}): {error}.") from error


def _check_memory(key: str, study: Study, environment: Environment, policy: Policy, trains: bool) -> None:
    """A batch of trajectories and their gradients, of every run at once where there is training, has to fit."""
    training = study.training
    runs = max(len(training.learning_rates), RATES_AT_ONCE) * (training.seeds + training.tuning_seeds) if trains else 1
    step = environment.state_dim + environment.observation_dim + environment.action_dim + environment.process_noise_dim
    trajectories = runs * study.gradients.batch_size
    numbers = trajectories * (environment.horizon * step + policy.parameter_count)
    if numbers > MOST_NUMBERS:
        raise ConfigError(
            f"{key}: {trajectories} trajectories of {environment.horizon} steps and their gradients, which a job holds "
            f"at once, are {float(numbers):.2g} numbers, but must be at most {MOST_NUMBERS:.0e} to fit in memory; "
            "lower the horizon, a dimension, the policy's width, gradients.batch_size or the training's seeds."
        )


def _check_plugin(key: str, entry: EnvironmentEntry | EstimatorEntry, instance: Environment | Estimator) -> None:
    """A user's own class has to conform before anything is computed with it."""
    if isinstance(instance, Squashed):
        instance = instance.inner
    if entry.plugin and (wrong := quick_findings(instance)):
        knobs = entry.knobs if isinstance(entry, EnvironmentEntry) else entry.options
        words = [entry.plugin, *(f"{name}={json.dumps(value)}" for name, value in knobs.items())]
        advice = f"`scorepath check {shlex.join(words)}` says all that it finds."
        raise ConfigError(f"{key} ({entry.name}, from {entry.plugin}): {wrong[0]}. {advice}")


def _cells(
    study: Study,
    environments: Mapping[str, Environment],
    policies: Mapping[str, Policy],
    estimators: Mapping[str, Estimator],
) -> Iterator[Cell]:
    """Every cell of both stages that the configuration asks for, those that do not run included."""
    wanted: dict[Stage, tuple[tuple[str, ...], tuple[str, ...], tuple[float, ...]]] = {
        "gradients": (tuple(environments), tuple(estimators), study.noise_levels),
        "training": (study.training.environments, study.training.estimators, study.training.noise_levels),
    }
    for stage, (environment_names, estimator_names, noise_levels) in wanted.items():
        for environment in environment_names:
            for estimator in estimator_names:
                for sigma in noise_levels:
                    if stage == "gradients" and not _is_measured(study, environment, estimator, sigma):
                        continue
                    instance, method = environments[environment], estimators[estimator]
                    own = study.estimators_of(environment) if stage == "gradients" else estimator_names
                    present = {name: estimators[name] for name in own}
                    status, reason = _status(instance, policies[environment], method, present, sigma)
                    trains = stage == "training"  # without a pilot
                    yield Cell(
                        stage=stage,
                        environment=environment,
                        estimator=estimator,
                        sigma=sigma,
                        status=status,
                        reason=reason,
                        method=study.estimators[estimator].method,
                        family=method.family,
                        unbiased=sigma > 0 and method.unbiased(instance),
                        steps=method.environment_steps(instance) if trains else steps_per_sample(method, instance),
                        horizon=instance.horizon,
                        digest=cell_digest(study, stage, environment, estimator, sigma),
                    )


def _is_measured(study: Study, environment: str, estimator: str, sigma: float) -> bool:
    """Whether the configuration asks for this cell: an environment may be measured by a part of the study only."""
    return sigma in study.noise_levels_of(environment) and estimator in study.estimators_of(environment)


def _status(
    environment: Environment,
    policy: Policy,
    estimator: Estimator,
    present: Mapping[str, Estimator],
    sigma: float,
) -> tuple[str, str]:
    """`run`, or `not_applicable` or `identical_to:<estimator>` with the reason."""
    reason = estimator.not_applicable(environment, sigma) or estimator.not_applicable_to(policy)
    if reason:
        return "not_applicable", reason
    twin = estimator.identical_to(environment, sigma)
    for name, other in present.items():
        if twin and _is_twin(estimator, other, _method(twin)):
            return f"identical_to:{name}", f"{name} gives the same numbers here"
    return "run", ""


@cache
def _method(name: str) -> type[Any]:
    """An estimator's class; thousands of cells ask for the same few."""
    return registry.load(registry.ESTIMATORS, name)


def _is_twin(estimator: Estimator, other: Estimator, kind: type[Any]) -> bool:
    """Whether the other is of this kind and agrees in every option that both have."""
    shared = {field.name for field in fields(other)} & {field.name for field in fields(estimator)}
    return type(other) is kind and all(getattr(other, name) == getattr(estimator, name) for name in shared)
