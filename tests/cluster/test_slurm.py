"""The study through a real Slurm: the same bytes as on one machine, whatever kills its jobs.

Needs a Slurm that answers (tests/cluster/one_machine_slurm.sh starts one); with SCOREPATH_NEEDS_SLURM set, as .ci/run
does, a missing one is a failure. The tests share the cluster, so one runs at a time.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.helpers.project import CONFIG, ROOT, Project, new_project

pytestmark = [pytest.mark.cluster, pytest.mark.workflow, pytest.mark.slow, pytest.mark.xdist_group("slurm")]

PROFILE = ("--workflow-profile", "workflow/profiles/slurm", "--slurm-init-seconds-before-status-checks", "3")
# all but those that hold timings
TABLES = (
    "cells", "references", "gradient_statistics", "training", "verdicts", "wins", "regrets", "exact_curves", "claims",
    "phase_diagrams", "crossings",
)  # fmt: skip
MEASURED = ("tables/*.csv", "gradients/**/*.csv", "training/**/*.csv", "references/**/*.npz")


def slurm(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout


def no_slurm() -> str:
    """Why there is no cluster to test on; empty if there is one."""
    if missing := [name for name in ("sbatch", "srun", "squeue", "scontrol") if not shutil.which(name)]:
        return f"no Slurm here: {', '.join(missing)} not found"
    try:
        nodes = slurm("sinfo", "--noheader", "--states=idle,alloc,mix", "--format=%n")
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        return f"Slurm does not answer: {error}"
    return "" if nodes.strip() else "Slurm has no node that is up"


@pytest.fixture(autouse=True)
def cluster() -> Iterator[None]:
    """The cluster, alone: pytest-xdist may run these tests in several processes."""
    if reason := no_slurm():
        if os.environ.get("SCOREPATH_NEEDS_SLURM"):
            pytest.fail(f"{reason}; tests/cluster/one_machine_slurm.sh starts one")
        pytest.skip(f"{reason} (tests/cluster/one_machine_slurm.sh starts one, as root)")
    with Path("/tmp/scorepath-slurm-tests.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def results(project: Project) -> dict[str, bytes]:
    """The tables and what they are made of."""
    return {name: data for pattern in MEASURED for name, data in project.results(pattern).items()}


def cell_records(project: Project) -> list[dict[str, Any]]:
    """The records of all gradient cells."""
    return [json.loads(path.read_text()) for path in project.path("results/records/gradients").rglob("*.json")]


def differing(one: dict[str, bytes], other: dict[str, bytes]) -> list[str]:
    return sorted(name for name in one.keys() | other.keys() if one.get(name) != other.get(name))


@dataclass(frozen=True)
class Job:
    """One Slurm job, as `scontrol show job` tells it."""

    number: int
    what: str
    state: str
    megabytes: int
    minutes: int
    requeued: int


def jobs_of(project: Project) -> list[Job]:
    """All Slurm jobs of a project's runs, in the order of their submission."""
    found = []
    for line in slurm("scontrol", "show", "job", "--oneliner").splitlines():
        told = dict(re.findall(r"(\S+?)=(\S*)", line))
        if told.get("WorkDir") == str(project.folder):
            limit = re.fullmatch(r"(?:(\d+)-)?(\d+):(\d+):\d+", told["TimeLimit"])
            assert limit, told
            days, hours, minutes = limit.groups(default="0")
            found.append(
                Job(
                    int(told["JobId"]),
                    told.get("Comment", ""),
                    told["JobState"],
                    int(told["MinMemoryNode"].removesuffix("M")),
                    (int(days) * 24 + int(hours)) * 60 + int(minutes),
                    int(told["Restarts"]),
                )
            )
    return sorted(found, key=lambda job: job.number)


@dataclass
class Study:
    """A run of Snakemake on the cluster, in the background."""

    project: Project
    process: subprocess.Popen[str]

    def wait_for(self, what: str = "", timeout: float = 120) -> Job:
        """The first Slurm job whose comment holds these words to be running."""
        end = time.monotonic() + timeout
        while time.monotonic() < end and self.process.poll() is None:
            for job in jobs_of(self.project):
                if what in job.what and job.state == "RUNNING":
                    return job
            time.sleep(0.2)
        pytest.fail(f"no job {what} came to run: {jobs_of(self.project)}\n{self.stop()}")

    def stop(self) -> str:
        """End it and its jobs; what it wrote."""
        self.process.kill()
        for job in jobs_of(self.project):
            slurm("scancel", "--quiet", str(job.number))
        return self.process.communicate()[0]


@contextmanager
def run_on_slurm(project: Project, *arguments: str) -> Iterator[Study]:
    """A run that goes on beside the test, and ends with it at the latest."""
    process = subprocess.Popen(
        [sys.executable, "-m", "snakemake", *arguments],
        cwd=project.folder,
        env=project.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    study = Study(project, process)
    try:
        yield study
    finally:
        if process.poll() is None:
            study.stop()


def test_every_table_of_the_tiny_study_is_the_same_byte_for_byte(tmp_path: Path) -> None:
    here = new_project(tmp_path / "here", "cluster")
    shutil.copytree(ROOT / "config", here.path("config"))
    there = here.copy(tmp_path / "there")
    study = [*(f"results/tables/{name}.csv" for name in TABLES), "--configfile", "config/tiny.yaml"]

    with run_on_slurm(there, *study, *PROFILE) as run:
        output, _ = run.process.communicate(timeout=900)
    assert run.process.returncode == 0, output
    assert len(jobs_of(there)) < 25, "60 jobs of Snakemake were meant to be grouped"
    spent = [record["core_seconds"] for record in cell_records(there)]
    assert max(spent) < 0.8, f"the cells of a group were meant to share the import of torch, of over a second: {spent}"
    again = there.snakemake(*study, *PROFILE, "--dry-run")
    assert "Nothing to be done" in again.output, again.output

    ended = here.run(*study)
    assert ended.status == 0, ended.output
    ours = results(here)
    assert len(ours) == 37 + 4 + 4 + 12 + len(TABLES)
    assert differing(ours, results(there)) == []


HUNGRY = '''
"""The score function, in need of more memory or time on a cluster than a first attempt is given."""

import os
import subprocess
import time
from dataclasses import dataclass
from functools import cache
from typing import ClassVar

import torch

from scorepath.estimators.reinforce import Reinforce

JOB = os.environ.get("SLURM_JOB_ID")


@cache
def once():
    {action}


@dataclass(frozen=True, kw_only=True)
class {name}(Reinforce):
    """Approximates grad J_sigma. With the score function. Requires what `once` does."""

    source: ClassVar[str] = "a user"

    def signal(self, simulator, noise, past=None):
        if JOB:
            once()
        return super().signal(simulator, noise, past)
'''
# 2.4 GB, for long enough that Slurm sees it
MEMORY = "ballast = torch.ones(300_000_000, dtype=torch.float64); time.sleep(4)"
# a job that needs between one and two minutes, without taking them
TIME = """limit = subprocess.check_output(["squeue", "--noheader", "--jobs", JOB, "--format=%l"], text=True)
    time.sleep(600 if limit.strip() == "1:00" else 0)"""


def take_the_node_down_and_up(project: Project) -> None:
    node = slurm("sinfo", "--noheader", "--format=%n").strip()
    slurm("scontrol", "update", f"nodename={node}", "state=down", "reason=test")
    time.sleep(2)
    slurm("scontrol", "update", f"nodename={node}", "state=resume")
    for job in jobs_of(project):
        if job.requeued and job.state == "PENDING":  # Slurm would wait for two minutes
            slurm("scontrol", "update", f"jobid={job.number}", "StartTime=now")


def test_killed_jobs_are_retried_with_more_and_the_study_ends_complete(tmp_path: Path) -> None:
    here = new_project(tmp_path / "here", "cluster")
    here.path("memory_eater.py").write_text(HUNGRY.format(name="MemoryEater", action=MEMORY))
    here.path("time_eater.py").write_text(HUNGRY.format(name="TimeEater", action=TIME))
    here.configure(
        plugins=["memory_eater.py", "time_eater.py"],
        noise_levels=[0.5],
        environments=CONFIG["environments"][1:2],
        estimators=["reinforce", "pathwise", "memory_eater", "time_eater"],
    )
    there = here.copy(tmp_path / "there")
    target = "results/tables/gradient_statistics.csv"
    # one Slurm job per cell; Slurm counts whole minutes, so one is the least that can run out
    limit = "gradients:runtime=(1 if wildcards.estimator == 'time_eater' else 20) * 2 ** (attempt - 1)"
    settings = ["--groups", "figure=figures", "--set-resources", limit]

    with run_on_slurm(there, target, *PROFILE, *settings) as study:
        lost = study.wait_for("reference_policies")
        take_the_node_down_and_up(there)
        cancelled = study.wait_for("rule_gradients_wildcards_lqr_pathwise")
        slurm("scancel", str(cancelled.number))
        output, _ = study.process.communicate(timeout=400)
    assert study.process.returncode == 0, output

    jobs = jobs_of(there)
    attempts = {
        what: [job for job in jobs if what in job.what]
        for what in (lost.what, cancelled.what, "memory_eater", "time_eater")
    }
    told = f"{jobs}\n{output}"
    assert [job.state for job in attempts[lost.what]] == ["COMPLETED"], told
    assert attempts[lost.what][0].requeued == 1, told
    assert [job.state for job in attempts[cancelled.what]] == ["CANCELLED", "COMPLETED"], told
    first, second = attempts["memory_eater"]
    assert (first.megabytes, second.megabytes, second.state) == (2000, 4000, "COMPLETED"), told
    log = next(there.path(".snakemake/slurm_logs").rglob(f"{first.number}.log")).read_text(encoding="utf-8")
    assert re.search("exceeded memory limit|oom.?kill|out of memory", log, re.IGNORECASE), log
    first, second = attempts["time_eater"]
    assert [(job.minutes, job.state) for job in (first, second)] == [(1, "TIMEOUT"), (2, "COMPLETED")], told

    ended = here.run(target)
    assert ended.status == 0, ended.output
    ours = results(here)
    assert len(ours) == 4 + 2 + 2 + 8
    assert differing(ours, results(there)) == []


def test_the_documented_profile_for_other_schedulers_runs(tmp_path: Path) -> None:
    project = new_project(tmp_path / "project", "cluster")
    page = (ROOT / "docs/cluster.md").read_text(encoding="utf-8")
    profile, status = (re.findall(rf"```{kind}\n(.*?)```", page, flags=re.DOTALL)[-1] for kind in ("yaml", "sh"))
    folder = project.path("workflow/profiles/mine")
    folder.mkdir()
    (folder / "profile.v9+.yaml").write_text(profile)
    (folder / "status").write_text(status)
    (folder / "status").chmod(0o755)
    result = "results/references/lqr/sigma=0.5.npz"
    with run_on_slurm(project, result, "--workflow-profile", "workflow/profiles/mine") as study:
        first = study.wait_for()
        slurm("scancel", str(first.number))
        output, _ = study.process.communicate(timeout=200)
    assert study.process.returncode == 0, output
    assert project.path(result).is_file()
    asked = [(job.megabytes, job.minutes, job.state) for job in jobs_of(project)]
    assert asked == [(2000, 30, "CANCELLED"), (4000, 60, "COMPLETED"), (2000, 20, "COMPLETED")], output
