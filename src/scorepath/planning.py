"""From a configuration to a plan: check it, read what environments and estimators declare, settle each cell's fate."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from scorepath import registry
from scorepath.environments.base import Environment
from scorepath.estimators.base import Estimator
from scorepath.study import PACKAGE, Cell, EnvironmentEntry, EstimatorEntry, Plan, Stage, Study, digest, plan_key
from scorepath.validation import REQUIRED, ConfigError, validate

Entry = TypeVar("Entry", EnvironmentEntry, EstimatorEntry)
Instance = TypeVar("Instance")

JOBS = {"gradients": "scorepath.gradients", "training": "scorepath.training"}
"""The module that does a stage's work: a cell depends on it and on all that it imports."""


def make_plan(raw: Mapping[str, Any], files: Iterable[Path] = ()) -> Plan:
    """Check a configuration, which stands in these files, and plan the study.

    Raises:
        ConfigError: one clear sentence about the first thing that is wrong.
    """
    families = {name: registry.load(registry.ENVIRONMENTS, name) for name in registry.names(registry.ENVIRONMENTS)}
    methods = {name: registry.load(registry.ESTIMATORS, name) for name in registry.names(registry.ESTIMATORS)}
    config = validate(
        raw,
        {name: registry.knobs(cls, REQUIRED) for name, cls in families.items()},
        {name: registry.knobs(cls, REQUIRED) for name, cls in methods.items()},
    )
    study = Study.from_config(config)
    environments = {
        name: _instance(registry.make_environment, entry, f"environments[{position}]")[0]
        for position, (name, entry) in enumerate(study.environments.items())
    }
    estimators = {
        name: _instance(registry.make_estimator, entry, f"estimators[{position}]")
        for position, (name, entry) in enumerate(study.estimators.items())
    }
    cells = tuple(_cells(study, environments, estimators))
    return Plan(plan_key(raw, files), config, cells, _digests(study, cells))


def _instance(make: Callable[[Entry], Instance], entry: Entry, key: str) -> Instance:
    """Build an instance; a knob it refuses becomes an error that names the entry."""
    try:
        return make(entry)
    except (ValueError, TypeError) as error:
        raise ConfigError(f"{key} ({entry.name}): {error}") from error


def _cells(
    study: Study, environments: Mapping[str, Environment], estimators: Mapping[str, Estimator]
) -> Iterator[Cell]:
    """Every cell of both stages, those that do not run included."""
    wanted: dict[Stage, tuple[tuple[str, ...], tuple[str, ...], tuple[float, ...]]] = {
        "gradients": (tuple(environments), tuple(estimators), study.noise_levels),
        "training": (study.training.environments, study.training.estimators, study.training.noise_levels),
    }
    for stage, (environment_names, estimator_names, noise_levels) in wanted.items():
        for environment in environment_names:
            for estimator in estimator_names:
                for sigma in noise_levels:
                    instance, method = environments[environment], estimators[estimator]
                    status, reason = _status(instance, method, estimators, estimator_names, sigma)
                    yield Cell(
                        stage=stage,
                        environment=environment,
                        estimator=estimator,
                        sigma=sigma,
                        status=status,
                        reason=reason,
                        family=method.family,
                        unbiased=sigma > 0 and method.unbiased(instance),
                        steps=method.environment_steps(instance),
                        horizon=instance.horizon,
                        digest=_cell_digest(study, stage, environment, estimator, sigma),
                    )


def _status(
    environment: Environment,
    estimator: Estimator,
    estimators: Mapping[str, Estimator],
    present: tuple[str, ...],
    sigma: float,
) -> tuple[str, str]:
    """`run`, or `not_applicable` or `identical_to:<estimator>` with the reason."""
    reason = estimator.not_applicable(environment, sigma)
    if reason:
        return "not_applicable", reason
    twin = estimator.identical_to(environment, sigma)
    for name in present:
        # a default instance: one with options of its own need not give the same numbers
        if twin and type(estimators[name]) is registry.load(registry.ESTIMATORS, twin):
            return f"identical_to:{name}", f"{name} gives the same numbers here"
    return "run", ""


def _cell_digest(study: Study, stage: Stage, environment: str, estimator: str, sigma: float) -> str:
    """What a cell depends on besides its reference: shared code, its environment, its estimator, its settings."""
    place, method = study.environments[environment], study.estimators[estimator]
    facts: dict[str, Any] = {"seed": study.seed, "environment": place, "estimator": method, "sigma": sigma}
    if stage == "gradients":
        facts["settings"] = study.gradients
    else:
        shared = {"optimiser", "learning_rates", "tuning_seeds", "seeds", "iterations"}
        facts["settings"] = {key: getattr(study.training, key) for key in sorted(shared)}
        facts["batch_size"] = study.gradients.batch_size
    return digest([JOBS[stage], _environment_module(study, environment), _estimator_module(method)], facts)


def _environment_module(study: Study, name: str) -> str:
    return f"{registry.ENVIRONMENTS}.{study.environments[name].family}"


def _estimator_module(entry: EstimatorEntry) -> str:
    return f"{registry.ESTIMATORS}.{entry.method}"


def _digests(study: Study, cells: tuple[Cell, ...]) -> dict[str, str]:
    """Digests of the jobs that are not cells, by the job's name."""
    found = {}
    for name, entry in study.environments.items():
        facts = {"seed": study.seed, "environment": entry}
        module = _environment_module(study, name)
        climb = [study.references.noise_level, study.references.return_gaps]
        found[f"policies/{name}"] = digest(["scorepath.references.policies", module], [facts, climb])
        monte_carlo = [study.references.samples, study.gradients.batches]
        found[f"references/{name}"] = digest(["scorepath.references.store", module], [facts, monte_carlo])
        methods = [_estimator_module(method) for method in study.estimators.values()]
        timing = [study.cost_repeats, study.gradients, study.estimators]
        found[f"costs/{name}"] = digest(["scorepath.costs", module, *methods], [facts, timing])
    listed = [[c.stage, c.environment, c.estimator, c.sigma, c.status, c.reason, c.unbiased, c.steps] for c in cells]
    analysis = [listed, study.seed, study.resamples, study.false_discovery_rate]
    found["tables"] = digest(["scorepath.tables"], analysis)
    curves = [study.environments, study.estimators, study.gradients]
    modules = [_environment_module(study, name) for name in study.environments]
    found["exact_curves"] = digest(["scorepath.references.curves", *modules], curves)
    found["claims"] = digest(["scorepath.claims"], [study.environments, study.seed])
    found["figures"] = digest(["scorepath.figures"], None, (PACKAGE / "figures").rglob("*.py"))
    templates = [path for path in (PACKAGE / "reporting").rglob("*") if path.is_file() and path.suffix != ".pyc"]
    found["report"] = digest(["scorepath.reporting.report"], None, templates)
    return found
