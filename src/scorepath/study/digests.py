"""Digests: what a result depends on beyond its input files, as one short parameter that Snakemake compares.

Snakemake does not see edits to imported modules. A digest holds the sources that a job's code consists of, found by
following imports from its stage's module and from users' plugins, the data that these declare, and the settings that
the result depends on.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, replace
from functools import cache
from pathlib import Path
from typing import Any

from scorepath import plugins, registry
from scorepath.store.paths import PACKAGE, Stage
from scorepath.study.cells import Cell, Plan
from scorepath.study.jobs import RULES, Rule, rule_of_stage
from scorepath.study.settings import EnvironmentEntry, Study
from scorepath.study.sweeps import Sweep

STAGES = "scorepath.stages"
LOOKED_UP = frozenset({"gymnasium"})
"""Families whose instances are looked up by an id, which any plugin may have registered."""
FILE_KNOBS = {"mujoco": "model"}
"""Knobs of families that name a file, on whose text the results depend."""


@cache
def _source(module: str) -> Path | None:
    """The file of a module of this package, or None."""
    path = _folder(module)
    for candidate in (path.with_suffix(".py"), path / "__init__.py"):
        if candidate.is_file():
            return candidate
    return None


def _folder(package: str) -> Path:
    return PACKAGE.parent / Path(*package.split("."))


@cache
def _imports(path: Path) -> frozenset[str]:
    """The modules of this package that a file imports, packages on the way included; tables of types are not."""
    found: set[str] = set()
    for level, candidate in plugins.imported_names(plugins.syntax_tree(path)):
        parts = candidate.split(".")
        if level == 0 and parts[0] == PACKAGE.name:
            found.update(prefix for i in range(len(parts)) if _source(prefix := ".".join(parts[: i + 1])))
    return frozenset(found)


_plugin = cache(plugins.read)


def source_files(*origins: str | Path) -> dict[Path, str]:
    """The files of these modules and plugins, with all that they import from this package or from beside a plugin.

    A plugin's data are among them. The value is the name by which a file counts: whole folders may move.
    """
    seen: dict[Path, str] = {}
    waiting = list(origins)
    while waiting:
        origin = waiting.pop()
        if isinstance(origin, Path) and not origin.is_relative_to(PACKAGE):
            plugin = _plugin(origin)
            seen |= {file: place for place, file in plugin.files.items()}
            waiting.extend(name for file in plugin.sources.values() for name in _imports(file))
            continue
        path = origin if isinstance(origin, Path) else _source(origin)
        if path is None:
            raise LookupError(f"there is no module {origin}")
        if path not in seen:
            seen[path] = path.name
            waiting.extend(_imports(path))
    return seen


@cache
def _file_digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest(origins: Iterable[str | Path], facts: object, files: Iterable[Path] = ()) -> str:
    """A short hash of source files (with what they import), further files, and any facts JSON can hold."""
    payload = [*_source_digests(tuple(origins)), *_name_digests({path: path.name for path in files})]
    text = json.dumps([payload, facts], sort_keys=True, default=asdict)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@cache
def _source_digests(origins: tuple[str | Path, ...]) -> list[list[str]]:
    """Names and digests of source files: thousands of cells share them."""
    return _name_digests(source_files(*origins))


def _name_digests(names: Mapping[Path, str]) -> list[list[str]]:
    """In the order of the names: where the files lie does not matter."""
    return sorted([name, _file_digest(path)] for path, name in names.items())


def plan_key(config: Mapping[str, Any], files: Iterable[Path] = ()) -> str:
    """Changes whenever the plan could: with the configuration, its files, any file of its plugins or of the package."""
    package = (path for path in PACKAGE.rglob("*") if path.is_file() and path.suffix != ".pyc")
    listed = config.get("plugins")
    there = [str(name) for name in listed if os.path.isfile(str(name))] if isinstance(listed, list) else []
    return digest([], [dict(config), _plugin_digests(there)], [*package, *files, *_models(config)])


def _models(config: Mapping[str, Any]) -> Iterable[Path]:
    """The files that entries of a configuration name which nobody has checked yet."""
    listed = [config.get(section) for section in ("environments", "sweeps")]
    entries = [entry for part in listed if isinstance(part, list) for entry in part if isinstance(entry, Mapping)]
    entries += [over for entry in entries if isinstance(over := entry.get("over"), Mapping)]
    entries += [policy for entry in entries if isinstance(policy := entry.get("policy"), Mapping)]
    for value in (entry.get(knob) for entry in entries for knob in (*FILE_KNOBS.values(), "weights")):
        named = value if isinstance(value, list) else [value]
        yield from (Path(name) for name in named if isinstance(name, str) and os.path.isfile(name))


def _plugin_digests(paths: Iterable[str]) -> list[list[list[str]]]:
    """Names and digests of the files of each plugin, be they used or not."""
    return [_name_digests({file: place for place, file in _plugin(Path(path)).files.items()}) for path in paths]


# --- what each rule's jobs depend on --------------------------------------------------------------------------------


def rule_digest(
    rule: Rule, study: Study, facts: object, environment: str = "", estimator: str = "", sweep: Sweep | None = None,
    claim: str = "",
) -> str:  # fmt: skip
    """The digest of one job: its stage's module, what else the rule names as sources, and these facts.

    Args:
        rule: whose job it is.
        study: where environments and estimators say which files define them.
        facts: settings that the result depends on.
        environment: the job's own, if it has one.
        estimator: likewise.
        sweep: likewise.
        claim: likewise.
    """
    origins: list[str | Path] = [f"{STAGES}.{rule.name}"]
    if rule.makes_instances:
        origins.extend(map(Path, study.module_plugins))
    files: list[Path] = []
    for source in rule.sources:
        match source:
            case "environment":
                origins.extend(_environment_sources(study, environment))
                files.extend(_files_of(study.environments[environment]))
            case "estimator":
                origins.append(_estimator_source(study, estimator))
            case "claim":
                origins.append(f"{registry.CLAIMS}.{claim}")
            case "sweep" if sweep is not None:
                origins.extend(_sweep_sources(study, sweep))
                files.extend(_named_files(sweep.family, sweep.knobs, *sweep.members()))
            case "environments":
                origins.extend(source for name in study.environments for source in _environment_sources(study, name))
                for entry in study.environments.values():
                    files.extend(_files_of(entry))
            case "estimators":
                origins.extend(_estimator_source(study, name) for name in study.estimators)
            case package:
                parts = [path for path in _folder(package).rglob("*") if path.is_file()]
                origins.extend(path for path in parts if path.suffix == ".py")
                files.extend(path for path in parts if path.suffix not in (".py", ".pyc"))
    return digest(origins, facts, files)


def cell_digest(study: Study, stage: Stage, environment: str, estimator: str, sigma: float) -> str:
    """What a cell depends on besides its reference: shared code, its environment, its estimator, its settings."""
    place, method = study.environments[environment], study.estimators[estimator]
    facts: dict[str, Any] = {"seed": study.seed, "environment": _physics(place), "estimator": method, "sigma": sigma}
    if stage == "gradients":
        facts["settings"] = study.gradients_of(environment)
    else:
        shared = {"optimiser", "learning_rates", "extension", "seeds", "tuning_seeds", "iterations"}
        facts["settings"] = {key: getattr(study.training, key) for key in sorted(shared)}
        facts["batch_size"] = study.gradients.batch_size
    return rule_digest(rule_of_stage(stage), study, facts, environment, estimator)


def _physics(entry: EnvironmentEntry) -> EnvironmentEntry:
    """An environment, however many samples are taken of it, at whatever noise levels and by whom."""
    return replace(entry, samples={}, noise_levels=None, estimators=None)


def digests(study: Study, cells: tuple[Cell, ...]) -> dict[str, str]:
    """Digests of the jobs that are not cells: by the rule's name, and by the environment where each has its own."""
    found = {}
    for name, entry in study.environments.items():
        own = {
            "reference_policies": [study.references.noise_level, study.references.return_gaps],
            "reference": [
                study.references_of(name).samples, study.references.error_budget, study.gradients_of(name).batches,
            ],
            "costs": [study.cost_repeats, study.gradients, study.estimators_of(name), study.is_dear(name)],
            "exact_curves": [study.estimators, study.gradients.batch_size],
            "signals": [study.noise_levels_of(name), study.references.return_gaps, study.gradients_of(name).samples],
            "landscapes": [study.noise_levels_of(name), study.references.return_gaps, study.landscape_level(name)],
            "probes": [
                study.noise_levels_of(name), study.references.return_gaps, study.gradients.batch_size,
                study.gradients_of(name).samples,
            ],
        }  # fmt: skip
        for rule, settings in own.items():
            facts = [{"seed": study.seed, "environment": _physics(entry)}, settings]
            found[f"{rule}/{name}"] = rule_digest(RULES[rule], study, facts, name)
    found |= _sweep_digests(study)
    for name in study.claims:
        found[f"claim/{name}"] = rule_digest(RULES["claim"], study, [study.seed], claim=name)
        found[f"claim_figure/{name}"] = rule_digest(RULES["claim_figure"], study, name)
    listed = [
        [c.stage, c.environment, c.estimator, c.method, c.sigma, c.status, c.reason, c.unbiased, c.steps] for c in cells
    ]
    margins = [study.error_margin, study.training_margin]
    policies = {name: entry.like for name, entry in study.environments.items()}
    analysis = [listed, study.seed, study.false_discovery_rate, margins, policies]
    methods = {name: entry.method for name, entry in study.estimators.items()}
    shared = {
        "tables": analysis,
        "cost_tables": analysis,
        "mechanisms": [study.environments, methods, study.seed, study.resamples],
        "advisor": [study.environments, study.gradients.batch_size, study.seed, study.resamples],
        "landscape_tables": list(study.environments),
        "sweep_tables": list(study.sweeps),
        "claims": [study.environments, methods, study.claims],
        "questions": study.seed,
        "figure": methods,
        "report": methods,
        "crate": _plugin_digests(study.plugins),
    }
    found |= {_of_plugin(path): digest([], _plugin_digests([path])) for path in study.plugins}
    return found | {rule: rule_digest(RULES[rule], study, facts) for rule, facts in shared.items()}


def _sweep_digests(study: Study) -> dict[str, str]:
    """Of the jobs of sweeps. A point depends on no other point: not on the axes' other values, nor on how many."""
    found = {}
    for name, sweep in study.sweeps.items():
        # only where a policy is climbed to
        shared = [study.seed, study.references.noise_level if "checkpoint" in sweep.axes else None]
        whole = [*shared, sweep]
        found[f"sweep/{name}"] = rule_digest(RULES["sweep"], study, whole, sweep=sweep)
        found[f"phase_diagram/{name}"] = rule_digest(RULES["phase_diagram"], study, name)
        alike = replace(sweep, axes={})
        for token, point in sweep.points.items():
            facts = [*shared, alike, point]
            found[f"sweep_point/{name}/{token}"] = rule_digest(RULES["sweep_point"], study, facts, sweep=sweep)
    return found


def _sweep_sources(study: Study, sweep: Sweep) -> Iterable[str | Path]:
    yield Path(sweep.plugin) if sweep.plugin else f"{registry.ENVIRONMENTS}.{sweep.family}"
    if sweep.family in LOOKED_UP:
        yield from map(Path, study.plugins)
    for method in ("pathwise", *sweep.rivals):
        yield f"{registry.ESTIMATORS}.{method}"


def _of_plugin(path: str) -> str:
    return f"plugins/{path}"


def require_planned_plugins(plan: Plan) -> None:
    """Make sure that a process which has just imported the study's plugins has those that the plan is of.

    Raises:
        ValueError: naming a plugin that was edited since.
    """
    for path in plan.study.plugins:
        if plan.digests.get(_of_plugin(path)) != digest([], _plugin_digests([path])):
            raise ValueError(
                f"{path}, or what it imports from its folder, was edited while the study ran: the same command again"
            )


def _environment_sources(study: Study, name: str) -> Iterable[str | Path]:
    entry = study.environments[name]
    yield Path(entry.plugin) if entry.plugin else f"{registry.ENVIRONMENTS}.{entry.family}"
    if entry.module:
        yield Path(entry.module)
    if entry.family in LOOKED_UP:
        yield from map(Path, study.plugins)


def _files_of(entry: EnvironmentEntry) -> Iterable[Path]:
    """Files that an entry names, as far as they are there."""
    yield from _named_files(entry.family, entry.knobs)
    if entry.weights and (path := Path(entry.weights)).is_file():
        yield path


def _named_files(family: str, *knobs: Mapping[str, Any]) -> Iterable[Path]:
    """Files that knobs name, as far as they are there."""
    for given in knobs:
        path = Path(str(given.get(FILE_KNOBS.get(family, ""), "")))
        if path.is_file():
            yield path


def _estimator_source(study: Study, name: str) -> str | Path:
    entry = study.estimators[name]
    return Path(entry.plugin) if entry.plugin else f"{registry.ESTIMATORS}.{entry.method}"
