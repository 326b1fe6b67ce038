"""`scorepath run`, with a stand-in for Snakemake: what it takes from the arguments, and that nothing outlives it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.helpers.processes import PATIENCE, mentioning, until

from scorepath.cli.run import cores_given
from scorepath.running.protocol import SOCKET

linux = pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="looks for processes in /proc")
IMPORTS = 60.0
"""Seconds that the worker may take to import all it holds, on a busy machine."""
RUN = "import sys; from scorepath.cli.run import run; run(sys.argv[1:])"
STAND_IN = """
import os, subprocess, sys, time
path = os.environ.get("SCOREPATH_WORKER", "")
while path and not os.path.exists(path):
    time.sleep(0.02)
with open("started.part", "w") as file:
    file.write(f"{os.getpid()} {path}")
os.rename("started.part", "started")
if sys.argv[1] == "wait":
    time.sleep(60)
# a job without a plan: an error that a person can mend
job = subprocess.run([sys.executable, "-m", "scorepath", "reference-policies", "lqr"], stderr=subprocess.PIPE)
with open("job", "wb") as file:
    file.write(b"%d " % job.returncode + job.stderr)
sys.exit(7)
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder whose `snakemake` only waits for the worker."""
    package = tmp_path / "stand-in" / "snakemake"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "__main__.py").write_text(STAND_IN)
    return tmp_path


@pytest.fixture
def start(project: Path) -> Iterator[Callable[[str], subprocess.Popen[bytes]]]:
    """Start `scorepath run` with one argument; it becomes Snakemake, and is ended if the test leaves it running."""
    environment = {**os.environ, "PYTHONPATH": str(project / "stand-in")}
    environment.pop(SOCKET, None)
    made: list[subprocess.Popen[bytes]] = []

    def make(what: str) -> subprocess.Popen[bytes]:
        made.append(subprocess.Popen([sys.executable, "-c", RUN, what], cwd=project, env=environment))
        return made[-1]

    yield make
    for process in made:
        process.kill()
        process.wait()


def started(project: Path) -> tuple[int, str]:
    """The stand-in's process and the worker's socket, once the worker is there."""
    until((project / "started").exists, "the start of the run", 30)
    process, _, path = (project / "started").read_text().partition(" ")
    return int(process), path


@linux
def test_run_gives_jobs_a_worker_and_ends_it(project: Path, start: Callable[[str], subprocess.Popen[bytes]]) -> None:
    process = start("job")
    snakemake, path = started(project)
    assert snakemake == process.pid
    assert process.wait(IMPORTS) == 7, "the status is Snakemake's"
    status, _, message = (project / "job").read_text().partition(" ")
    assert status == "1"
    assert message.startswith("scorepath: results/plan.json does not exist yet")
    assert len(message.splitlines()) == 1
    until(lambda: not mentioning(path), "the end of the worker", IMPORTS)
    assert not Path(path).parent.exists()


@linux
def test_a_killed_run_takes_its_worker_along(project: Path, start: Callable[[str], subprocess.Popen[bytes]]) -> None:
    process = start("wait")
    _, path = started(project)
    assert mentioning(path)
    process.kill()
    process.wait(PATIENCE)
    until(lambda: not mentioning(path), "the end of the worker", IMPORTS)
    until(lambda: not Path(path).parent.exists(), "the removal of its folder", IMPORTS)


@linux
def test_a_dry_run_needs_no_worker(project: Path, start: Callable[[str], subprocess.Popen[bytes]]) -> None:
    process = start("-n")
    assert started(project) == (process.pid, "")
    assert process.wait(30) == 7


@pytest.mark.parametrize(
    ("arguments", "cores", "others"),
    [
        ("--cores 3", 3, ""),
        ("-c3 -k", 3, "-k"),
        ("--cores=12 --config seed=7 --configfile my.yaml", 12, "--config seed=7 --configfile my.yaml"),
        ("--cores 1 results/plan.json --cores 2", 2, "results/plan.json"),
        ("--cores 2 --config seed=7 -- results/plan.json", 2, "--config seed=7 -- results/plan.json"),
        ("--workflow-profile workflow/profiles/slurm", 0, "--workflow-profile workflow/profiles/slurm"),
        ("--cores many", 0, ""),
    ],
)
def test_cores_are_those_given_to_snakemake(arguments: str, cores: int, others: str) -> None:
    assert cores_given(arguments.split()) == (cores, others.split())


@pytest.mark.parametrize("arguments", [["--cores", "all"], ["--cores"], ["-c", "--keep-going"]])
def test_all_cores_are_counted(arguments: list[str]) -> None:
    cores, _ = cores_given(arguments)
    assert 1 <= cores <= (os.cpu_count() or 1)
