"""Digests: what a result depends on beyond its input files, as one short parameter that Snakemake compares.

Snakemake does not see edits to imported modules. A digest holds the sources that a job's code consists of, found by
following imports from its stage's module, and the settings that it depends on.
"""

from __future__ import annotations

import ast
import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

from scorepath import registry
from scorepath.store.paths import PACKAGE, Stage
from scorepath.study.cells import Cell
from scorepath.study.jobs import RULES, Rule, rule_of_stage
from scorepath.study.settings import Study

STAGES = "scorepath.stages"


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
    for node in _runtime_nodes(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            candidates = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            candidates = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        else:
            continue
        for candidate in candidates:
            parts = candidate.split(".")
            prefixes = (".".join(parts[: i + 1]) for i in range(len(parts)))
            found |= {prefix for prefix in prefixes if prefix.startswith("scorepath") and _source(prefix)}
    return frozenset(found)


def _runtime_nodes(tree: ast.AST) -> Iterable[ast.AST]:
    """All nodes of a module but those under `if TYPE_CHECKING:`."""
    stack = [tree]
    while stack:
        node = stack.pop()
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            continue
        yield node
        stack.extend(ast.iter_child_nodes(node))


def source_files(*origins: str | Path) -> list[Path]:
    """The files of these modules (or these files) and of all that they import from this package, directly or not."""
    seen: set[Path] = set()
    waiting = list(origins)
    while waiting:
        origin = waiting.pop()
        path = origin if isinstance(origin, Path) else _source(origin)
        if path is None:
            raise LookupError(f"there is no module {origin}")
        if path not in seen:
            seen.add(path)
            waiting.extend(_imports(path))
    return sorted(seen)


@cache
def _file_digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def digest(origins: Iterable[str | Path], facts: object, files: Iterable[Path] = ()) -> str:
    """A short hash of source files (with what they import), further files, and any facts JSON can hold."""
    payload = [*_source_digests(tuple(origins)), *sorted(_name_digests(files))]  # by name: folders don't matter
    text = json.dumps([payload, facts], sort_keys=True, default=asdict)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@cache
def _source_digests(origins: tuple[str | Path, ...]) -> list[list[str]]:
    """Names and digests of source files: thousands of cells share them."""
    return _name_digests(source_files(*origins))


def _name_digests(paths: Iterable[Path]) -> list[list[str]]:
    return [[path.name, _file_digest(path)] for path in paths]


def plan_key(config: Mapping[str, Any], files: Iterable[Path] = ()) -> str:
    """Changes whenever the plan could: with the configuration, its files, its plugins, or any file of the package."""
    package = (path for path in PACKAGE.rglob("*") if path.is_file() and path.suffix != ".pyc")
    listed = config.get("plugins")
    plugins = [Path(str(name)) for name in listed if os.path.isfile(str(name))] if isinstance(listed, list) else []
    return digest([], dict(config), [*package, *files, *plugins])


# --- what each rule's jobs depend on --------------------------------------------------------------------------------


def rule_digest(rule: Rule, study: Study, facts: object, environment: str = "", estimator: str = "") -> str:
    """The digest of one job: its stage's module, what else the rule names as sources, and these facts.

    Args:
        rule: whose job it is.
        study: where environments and estimators say which files define them.
        facts: settings that the result depends on.
        environment: the job's own, if it has one.
        estimator: likewise.
    """
    origins: list[str | Path] = [f"{STAGES}.{rule.name}"]
    files: list[Path] = []
    for source in rule.sources:
        match source:
            case "environment":
                origins.append(_environment_source(study, environment))
            case "estimator":
                origins.append(_estimator_source(study, estimator))
            case "environments":
                origins.extend(_environment_source(study, name) for name in study.environments)
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
    facts: dict[str, Any] = {"seed": study.seed, "environment": place, "estimator": method, "sigma": sigma}
    if stage == "gradients":
        facts["settings"] = study.gradients
    else:
        shared = {"optimiser", "learning_rates", "tuning_seeds", "seeds", "iterations"}
        facts["settings"] = {key: getattr(study.training, key) for key in sorted(shared)}
        facts["batch_size"] = study.gradients.batch_size
    return rule_digest(rule_of_stage(stage), study, facts, environment, estimator)


def digests(study: Study, cells: tuple[Cell, ...]) -> dict[str, str]:
    """Digests of the jobs that are not cells: by the rule's name, and by the environment where each has its own."""
    found = {}
    for name, entry in study.environments.items():
        own = {
            "reference_policies": [study.references.noise_level, study.references.return_gaps],
            "reference": [study.references.samples, study.references.error_budget, study.gradients.batches],
            "costs": [study.cost_repeats, study.gradients, study.estimators],
            "exact_curves": [study.estimators, study.gradients.batch_size],
        }
        for rule, settings in own.items():
            facts = [{"seed": study.seed, "environment": entry}, settings]
            found[f"{rule}/{name}"] = rule_digest(RULES[rule], study, facts, name)
    listed = [
        [c.stage, c.environment, c.estimator, c.method, c.sigma, c.status, c.reason, c.unbiased, c.steps] for c in cells
    ]
    analysis = [listed, study.seed, study.resamples, study.false_discovery_rate]
    methods = {name: entry.method for name, entry in study.estimators.items()}
    shared = {
        "tables": analysis,
        "cost_tables": analysis,
        "claims": [study.environments, methods, study.seed],
        "figure": methods,
        "report": methods,
        "crate": None,
    }
    return found | {rule: rule_digest(RULES[rule], study, facts) for rule, facts in shared.items()}


def _environment_source(study: Study, name: str) -> str | Path:
    entry = study.environments[name]
    return Path(entry.plugin) if entry.plugin else f"{registry.ENVIRONMENTS}.{entry.family}"


def _estimator_source(study: Study, name: str) -> str | Path:
    entry = study.estimators[name]
    return Path(entry.plugin) if entry.plugin else f"{registry.ESTIMATORS}.{entry.method}"
