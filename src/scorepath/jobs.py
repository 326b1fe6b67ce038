"""The study's computing jobs as data: which command makes a result, and from which other results.

Snakemake has its rules; what traces a table's row, or computes results again, asks here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from scorepath.study import Cell, Plan, policies_path, reference_path, sigma_token


@dataclass(frozen=True)
class Job:
    """One job of the stages policies, references, gradients or training."""

    stage: str
    result: Path
    command: str
    inputs: tuple[Path, ...]
    """The results that it reads, beside the plan."""
    environment: str
    estimator: str = ""


def policies_job(environment: str) -> Job:
    """The job that finds the checkpoints of an environment."""
    command = f"scorepath reference-policies {environment}"
    return Job("policies", policies_path(environment), command, (), environment)


def reference_job(environment: str, sigma: float) -> Job:
    """The job that computes the reference gradients of an environment at one noise level."""
    command = f"scorepath reference {environment} {sigma_token(sigma)}"
    return Job("references", reference_path(environment, sigma), command, (policies_path(environment),), environment)


def cell_job(cell: Cell) -> Job:
    """The job of a cell that is computed."""
    return Job(cell.stage, cell.path, cell.command, cell.inputs, cell.environment, cell.estimator)


def all_jobs(plan: Plan) -> Iterator[Job]:
    """The jobs of all stages, each after those that it needs."""
    study = plan.study
    for name in study.environments:
        yield policies_job(name)
    for name in study.environments:
        for sigma in study.noise_levels:
            yield reference_job(name, sigma)
    for cell in plan.cells:
        if cell.status == "run":
            yield cell_job(cell)
