"""The plan: every cell of a study, why some do not exist, and the digests of everything else. No torch.

The Snakefile reads this module on every start, also on every node of a cluster, so it must stay quick to import.
`scorepath plan` (which does import torch, to read the declarations of environments and estimators) writes the cells
to `results/plan.json`; everything else reads them from there.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Any

from scorepath.store.paths import (
    PLAN,
    Stage,
    cell_path,
    plan_path,
    policies_path,
    reference_path,
    sigma_token,
    table_path,
)
from scorepath.study.settings import Study

STUDY = "SCOREPATH_STUDY"
"""Environment variable with the key of the plan that a run's jobs keep to."""
DERIVATIVE_FREE = ("score_function", "measure_valued", "parameter_space")
"""The families of estimators that need returns alone: no derivative of the environment, nor of a model of it."""
OWN_DIGESTS = ("environment", "sweep", "point", "claim")
"""Wildcards with digests of their own, in their order; cells have theirs elsewhere."""
STAGE_OF_RULE: Mapping[str, Stage] = {"gradients": "gradients", "train": "training"}


@dataclass(frozen=True)
class Cell:
    """Environment x estimator x noise level in one stage; status `run`, `not_applicable` or `identical_to:<name>`."""

    stage: Stage
    environment: str
    estimator: str
    sigma: float
    status: str
    reason: str
    method: str
    """What the estimator is, whatever it is called."""
    family: str
    """The method's family: score_function, pathwise, measure_valued, parameter_space or mixture."""
    unbiased: bool
    """Whether the estimator is declared unbiased here."""
    steps: float
    """Environment steps that one sample costs; of gradients with its share of the pilot that a critic learns from."""
    horizon: int
    digest: str

    @cached_property
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
                f"the study has no {stage} cell {environment} / {estimator} / sigma={token}; {table_path('cells')} "
                f"and {PLAN} list those it has"
            )
        return cell

    @cached_property
    def methods(self) -> Mapping[str, str]:
        """The method behind the name of every estimator."""
        return {name: entry.method for name, entry in self.study.estimators.items()}

    @cached_property
    def originals(self) -> Mapping[str, str]:
        """The environment itself behind the name of each that has an initial policy of its own."""
        return {name: entry.like for name, entry in self.study.environments.items() if entry.like}

    @cached_property
    def fingerprint(self) -> str:
        """Of all jobs' digests: plans of one study have the same, though its files may say it in other words."""
        digests = [dict(self.digests), [cell.digest for cell in self.cells]]
        return hashlib.sha256(json.dumps(digests, sort_keys=True).encode()).hexdigest()[:16]

    def running_cell(self, stage: Stage, environment: str, estimator: str, sigma: float) -> Cell:
        """The cell of that name, which has to be one that is computed.

        Raises:
            LookupError: naming what the study does have, or why the cell is not computed.
        """
        cell = self.cell(stage, environment, estimator, sigma)
        if cell.status != "run":
            raise LookupError(f"this cell is not computed ({cell.status}): {cell.reason}")
        return cell

    def save(self, path: Path) -> None:
        """Write the plan as JSON, one line for each cell: every job reads it, so the keys are not repeated."""
        from scorepath.store.files import atomic_write

        columns = [column.name for column in fields(Cell)]
        head = {"key": self.key, "config": self.config, "digests": self.digests, "columns": columns}
        rows = (json.dumps([getattr(cell, column) for column in columns]) for cell in self.cells)
        with atomic_write(path) as file:
            file.write(json.dumps(head, indent=1, default=dict).removesuffix("\n}"))
            file.write(',\n "cells": [\n' + ",\n".join(rows) + "\n]}\n")

    def digest(self, rule: str, wildcards: Mapping[str, Any]) -> str | None:
        """The digest of a rule's job, or None if the study has no such job."""
        stage = STAGE_OF_RULE.get(rule)
        if stage is not None:
            place = stage, wildcards["environment"], wildcards["estimator"], sigma_token(wildcards["sigma"])
            return self.index[place].digest if place in self.index else None
        return self.digests.get("/".join([rule, *(wildcards[name] for name in OWN_DIGESTS if name in wildcards)]))

    @classmethod
    def load(cls, path: Path | None = None) -> Plan:
        """Read a saved plan: by default that of the run that this process is part of, or else of the latest run.

        Raises:
            FileNotFoundError: with the command that makes it.
            ValueError: if it is damaged.
        """
        from scorepath.store.records import require_intact

        if path is None:
            key = os.environ.get(STUDY)
            path = plan_path(key) if key else PLAN
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
