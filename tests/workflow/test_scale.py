"""Cost grows in proportion to the study: counted in function calls, which no busy machine can blur.

Three sizes, each twice the last: what is constant cancels in the differences. Were anything quadratic in the number of
cells, the second difference would be four times the first, not twice.
"""

from __future__ import annotations

import cProfile
import pstats
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests.helpers.project import CONFIG, Project, new_project

from scorepath.stages.plan import make_plan
from scorepath.study.cells import Plan

COPIES = (2, 4, 8)
GROWTH = 2.2
"""Twice the cells may cost this many times the calls."""
REMOTE_SHARE = 0.05
"""What a further cell may cost the Snakemake of another cell's job, as a part of what it costs the main one."""


def repeated(copies: int) -> dict[str, Any]:
    """The small study with its environments repeated under new names, and all of them trained."""
    entries = [
        {**entry, "name": f"{entry['name']}_{copy}"} for copy in range(copies) for entry in CONFIG["environments"]
    ]
    training = {**CONFIG["training"], "environments": [entry["name"] for entry in entries]}
    return {**CONFIG, "environments": entries, "training": training}


def growth(calls: list[int]) -> float:
    """How many times more the second doubling added than the first; 2 where cost is linear."""
    small, medium, large = calls
    return (large - medium) / (medium - small)


def total_calls(stats: pstats.Stats) -> int:
    """The sum of all calls, which the class's type stubs leave out."""
    calls: int = vars(stats)["total_calls"]
    return calls


def calls_of(work: Callable[[], object]) -> int:
    profile = cProfile.Profile()
    profile.runcall(work)
    return total_calls(pstats.Stats(profile))


@pytest.mark.workflow
def test_planning_is_linear(tmp_path: Path) -> None:
    configs = [repeated(copies) for copies in COPIES]
    make_plan(configs[0])  # fills the caches of sources and modules
    assert growth([calls_of(partial(make_plan, config)) for config in configs]) < GROWTH


@pytest.mark.workflow
def test_reading_a_plan_and_finding_all_its_cells_is_linear(tmp_path: Path) -> None:
    def use(path: Path) -> None:
        plan = Plan.load(path)
        for cell in plan.cells:
            assert plan.cell(cell.stage, cell.environment, cell.estimator, cell.sigma) == cell

    calls = []
    for copies in COPIES:
        path = tmp_path / f"{copies}.json"
        make_plan(repeated(copies)).save(path)
        calls.append(calls_of(partial(use, path)))
    assert growth(calls) < GROWTH


def calls_of_snakemake(project: Project, *arguments: str) -> int:
    ended = project.execute(sys.executable, "-m", "cProfile", "-o", "calls", "-m", "snakemake", *arguments)
    assert ended.status == 0, ended.output
    return total_calls(pstats.Stats(str(project.path("calls"))))


@pytest.mark.workflow
@pytest.mark.slow
def test_a_dry_run_is_linear_and_a_cluster_job_only_reads_the_plan(tmp_path: Path) -> None:
    dry, remote = [], []
    target = "train:environment=lqr_0,estimator=pathwise,sigma=0.5"
    for copies in COPIES:
        project = new_project(tmp_path / str(copies))
        project.configure(**repeated(copies))
        # plans as well, but in a process of its own, which isn't counted
        dry.append(calls_of_snakemake(project, "--dry-run", "--quiet", "all"))
        if copies != COPIES[1]:  # as Snakemake is called in a cluster's job
            one = ("--target-jobs", target, "--allowed-rules", "train", "--nolock", "--quiet", "all")
            remote.append(calls_of_snakemake(project, "--dry-run", *one))
    assert growth(dry) < GROWTH
    assert remote[-1] - remote[0] < REMOTE_SHARE * (dry[-1] - dry[0]), "a job on a cluster pays for the others' cells"
