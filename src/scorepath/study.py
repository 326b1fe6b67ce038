"""The study as typed objects: settings, cells and why some do not exist, paths, digests. No torch.

The Snakefile reads this module on every start, also on every node of a cluster, so it must stay quick to import.
`scorepath plan` (which does import torch, to read the declarations of environments and estimators) writes the cells
to `results/plan.json`; everything else reads them from there.
"""

from __future__ import annotations

import ast
import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Literal

PACKAGE = Path(__file__).parent
RESULTS = Path("results")
PLAN = RESULTS / "plan.json"

Stage = Literal["gradients", "training"]


# --- names and paths ----------------------------------------------------------------------------------------------


def sigma_token(sigma: float) -> str:
    """How a noise level is written in paths and tables: 0.1 -> "0.1", 1.0 -> "1"."""
    return format(float(sigma), "g")


def cell_path(stage: Stage, environment: str, estimator: str, sigma: float) -> Path:
    """Where a cell's result lies."""
    return Path(f"{RESULTS}/{stage}/{environment}/{estimator}/sigma={sigma_token(sigma)}.csv")


def policies_path(environment: str) -> Path:
    """Reference policies of an environment: parameters and returns at every checkpoint."""
    return RESULTS / "references" / environment / "policies.npz"


def reference_path(environment: str, sigma: float) -> Path:
    """Reference gradients of an environment at one noise level, at every checkpoint."""
    return RESULTS / "references" / environment / f"sigma={sigma_token(sigma)}.npz"


def log_path(result: Path) -> Path:
    """The log of the job that makes a result."""
    return RESULTS / "logs" / result.relative_to(RESULTS).with_suffix(".log")


# --- the config as typed objects ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class EnvironmentEntry:
    """A named instance of an environment family."""

    name: str
    family: str
    knobs: Mapping[str, Any]
    policy: Mapping[str, Any] | None = None
    plugin: str = ""
    """The user's file that defines the family; "" for those of this package."""


@dataclass(frozen=True)
class EstimatorEntry:
    """A named instance of an estimator."""

    name: str
    method: str
    options: Mapping[str, Any]
    plugin: str = ""
    """The user's file that defines the method; "" for those of this package."""


@dataclass(frozen=True)
class GradientSettings:
    """How gradient statistics are measured: trajectories per cell, per batch, and the rollouts' precision."""

    samples: int
    batch_size: int
    dtype: str

    @property
    def batches(self) -> int:
        return self.samples // self.batch_size


@dataclass(frozen=True)
class ReferenceSettings:
    """Where gradients are measured, how large a Monte Carlo reference is, and how precise it must be."""

    noise_level: float
    return_gaps: tuple[float, ...]
    samples: int
    error_budget: float


@dataclass(frozen=True)
class TrainingSettings:
    """The training stage: which cells, and the one optimiser and grid that all of them share."""

    environments: tuple[str, ...]
    estimators: tuple[str, ...]
    noise_levels: tuple[float, ...]
    optimiser: str
    learning_rates: tuple[float, ...]
    tuning_seeds: int
    seeds: int
    iterations: int


@dataclass(frozen=True)
class Study:
    """The whole configuration."""

    seed: int
    noise_levels: tuple[float, ...]
    environments: Mapping[str, EnvironmentEntry]
    estimators: Mapping[str, EstimatorEntry]
    gradients: GradientSettings
    references: ReferenceSettings
    training: TrainingSettings
    cost_repeats: int
    resamples: int
    false_discovery_rate: float

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Study:
        """Typed objects from a validated configuration (see `scorepath.validation`)."""
        tuples: dict[str, dict[str, Any]] = {
            section: {key: tuple(v) if isinstance(v, list) else v for key, v in config[section].items()}
            for section in ("gradients", "references", "training")
        }
        return cls(
            seed=config["seed"],
            noise_levels=tuple(config["noise_levels"]),
            environments={entry["name"]: EnvironmentEntry(**entry) for entry in config["environments"]},
            estimators={entry["name"]: EstimatorEntry(**entry) for entry in config["estimators"]},
            gradients=GradientSettings(**tuples["gradients"]),
            references=ReferenceSettings(**tuples["references"]),
            training=TrainingSettings(**tuples["training"]),
            cost_repeats=config["costs"]["repeats"],
            resamples=config["statistics"]["resamples"],
            false_discovery_rate=config["statistics"]["false_discovery_rate"],
        )


# --- digests: what a result depends on, beyond its input files -------------------------------------------------------


@cache
def _source(module: str) -> Path | None:
    """The file of a module of this package, or None."""
    path = PACKAGE.parent / Path(*module.split("."))
    for candidate in (path.with_suffix(".py"), path / "__init__.py"):
        if candidate.is_file():
            return candidate
    return None


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


# --- the plan -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Cell:
    """Environment x estimator x noise level in one stage; status `run`, `not_applicable` or `identical_to:<name>`."""

    stage: Stage
    environment: str
    estimator: str
    sigma: float
    status: str
    reason: str
    family: str
    """The estimator's family: score_function, pathwise, measure_valued, parameter_space or mixture."""
    unbiased: bool
    """Whether the estimator is declared unbiased here."""
    steps: float
    """Environment steps that one sample costs."""
    horizon: int
    digest: str

    @property
    def path(self) -> Path:
        return cell_path(self.stage, self.environment, self.estimator, self.sigma)

    @property
    def inputs(self) -> tuple[Path, ...]:
        """The results that this cell is computed from."""
        if self.stage == "training":
            return ()
        return policies_path(self.environment), reference_path(self.environment, self.sigma)

    @property
    def available(self) -> bool:
        """Whether its result is there to be used; one whose inputs have gone since is out of date."""
        return self.status == "run" and all(path.exists() for path in (self.path, *self.inputs))

    @property
    def command(self) -> str:
        """The command that makes this cell's result by hand."""
        verb = {"gradients": "gradients", "training": "train"}[self.stage]
        return f"scorepath {verb} {self.environment} {self.estimator} {sigma_token(self.sigma)}"


@dataclass(frozen=True)
class Plan:
    """The study, its cells, and the digests of everything that is not a cell."""

    key: str
    config: Mapping[str, Any]
    cells: tuple[Cell, ...]
    digests: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def study(self) -> Study:
        return Study.from_config(self.config)

    @cached_property
    def index(self) -> Mapping[tuple[str, str, str, str], Cell]:
        """Every cell by its stage, environment, estimator and sigma token."""
        return {(cell.stage, cell.environment, cell.estimator, sigma_token(cell.sigma)): cell for cell in self.cells}

    def running(self, stage: Stage) -> list[Cell]:
        """The cells of a stage that are computed."""
        return [cell for cell in self.cells if cell.stage == stage and cell.status == "run"]

    def cell(self, stage: Stage, environment: str, estimator: str, sigma: float) -> Cell:
        """The cell of that name.

        Raises:
            LookupError: naming what the study does have.
        """
        token = sigma_token(sigma)
        cell = self.index.get((stage, environment, estimator, token))
        if cell is None:
            raise LookupError(
                f"the study has no {stage} cell {environment} / {estimator} / sigma={token}; results/tables/cells.csv "
                "and results/plan.json list those it has"
            )
        return cell

    def save(self, path: Path = PLAN) -> None:
        """Write the plan as JSON, one line for each cell: every job reads it, so the keys are not repeated."""
        from scorepath.files import atomic_write

        columns = [column.name for column in fields(Cell)]
        head = {"key": self.key, "config": self.config, "digests": self.digests, "columns": columns}
        rows = (json.dumps([getattr(cell, column) for column in columns]) for cell in self.cells)
        with atomic_write(path) as file:
            file.write(json.dumps(head, indent=1, default=dict).removesuffix("\n}"))
            file.write(',\n "cells": [\n' + ",\n".join(rows) + "\n]}\n")

    @classmethod
    def load(cls, path: Path = PLAN) -> Plan:
        """Read a saved plan.

        Raises:
            FileNotFoundError: with the command that makes it.
            ValueError: if it is damaged.
        """
        from scorepath.records import require_intact

        if not path.is_file():
            raise FileNotFoundError(f"{path} does not exist yet; `snakemake -n` or `scorepath plan` writes it")
        require_intact(path)
        try:
            raw = json.loads(path.read_text(encoding="utf-8"))
            if raw["columns"] != [column.name for column in fields(Cell)]:
                raise ValueError("its columns are not those of this version")
            return cls(raw["key"], raw["config"], tuple(Cell(*row) for row in raw["cells"]), raw["digests"])
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{path} cannot be read ({error}); delete it and run again") from error


def plan_key(config: Mapping[str, Any], files: Iterable[Path] = ()) -> str:
    """Changes whenever the plan could: with the configuration, its files, its plugins, or any file of the package."""
    package = (path for path in PACKAGE.rglob("*") if path.is_file() and path.suffix != ".pyc")
    listed = config.get("plugins")
    plugins = [Path(str(name)) for name in listed if os.path.isfile(str(name))] if isinstance(listed, list) else []
    return digest([], dict(config), [*package, *files, *plugins])
