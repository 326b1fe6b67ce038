"""What a run sets up: a worker that ends with its owner, however that ends, and only where jobs are to run."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from tests.helpers.processes import PATIENCE, mentioning, until

from scorepath.running import launch
from scorepath.running.protocol import SOCKET
from scorepath.store.records import RUN

linux = pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="looks for processes in /proc")
IMPORTS = 60.0
"""Seconds that the worker may take to import all it holds, on a busy machine."""
OWNER = """
import os, subprocess, sys, time
from scorepath.running.launch import start_worker, worker_is_there
assert not worker_is_there()
assert start_worker(2) and worker_is_there()
with open("started.part", "w") as file:
    file.write(os.environ["SCOREPATH_WORKER"])
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
def start(tmp_path: Path) -> Iterator[Callable[[str], subprocess.Popen[bytes]]]:
    """Start an owner that has a worker; it is ended if the test leaves it running."""
    environment = dict(os.environ)
    environment.pop(SOCKET, None)
    made: list[subprocess.Popen[bytes]] = []

    def make(what: str) -> subprocess.Popen[bytes]:
        made.append(subprocess.Popen([sys.executable, "-c", OWNER, what], cwd=tmp_path, env=environment))
        return made[-1]

    yield make
    for process in made:
        process.kill()
        process.wait()


def socket_of(folder: Path) -> str:
    """The worker's socket, once it is there."""
    until((folder / "started").exists, "the start of the worker", 30)
    return (folder / "started").read_text()


@linux
def test_jobs_find_the_worker_and_it_ends_with_its_owner(
    tmp_path: Path, start: Callable[[str], subprocess.Popen[bytes]]
) -> None:
    process = start("job")
    path = socket_of(tmp_path)
    assert process.wait(IMPORTS) == 7
    status, _, message = (tmp_path / "job").read_text().partition(" ")
    assert status == "1"
    assert message.startswith("scorepath: results/plan.json does not exist yet")
    assert len(message.splitlines()) == 1
    until(lambda: not mentioning(path), "the end of the worker", IMPORTS)
    assert not Path(path).parent.exists()


@linux
def test_a_killed_owner_takes_its_worker_along(tmp_path: Path, start: Callable[[str], subprocess.Popen[bytes]]) -> None:
    process = start("wait")
    path = socket_of(tmp_path)
    assert mentioning(path)
    process.kill()
    process.wait(PATIENCE)
    until(lambda: not mentioning(path), "the end of the worker", IMPORTS)
    until(lambda: not Path(path).parent.exists(), "the removal of its folder", IMPORTS)


LAZY = """
import subprocess, sys
from scorepath.running.launch import start_worker
assert start_worker(1, lazy=True)
subprocess.run([sys.executable, "-m", "scorepath", "reference-policies", "lqr"])
"""


def test_a_lazy_worker_imports_neither_what_training_needs_nor_what_figures_do(tmp_path: Path) -> None:
    """A cluster's job is mostly a few cells; an optimiser's first step imports 800 modules."""
    environment = {**os.environ, "PYTHONPROFILEIMPORTTIME": "1"}
    environment.pop(SOCKET, None)
    ended = subprocess.run(
        [sys.executable, "-c", LAZY], cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True, check=True
    )
    lines = ended.stderr.splitlines()
    imported = {line.rpartition("|")[2].strip() for line in lines if line.startswith("import time:")}
    assert "scorepath: results/plan.json does not exist yet" in ended.stderr
    assert {"scorepath.rollout", "scorepath.cli.commands"} <= imported
    assert not imported & {"torch._dynamo", "pandas.core", "matplotlib"}


def test_a_socket_that_is_gone_is_no_worker(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(SOCKET, str(tmp_path / "worker"))
    assert not launch.worker_is_there()
    monkeypatch.delenv(SOCKET)
    assert not launch.worker_is_there()


@pytest.mark.parametrize(
    ("cores", "nodes", "mode", "dry", "argument", "runs"),
    [
        (2, None, "DEFAULT", False, "--cores", True),
        (2, None, "DEFAULT", True, "-n", False),
        (None, 200, "DEFAULT", False, "--jobs", False),
        (2, None, "REMOTE", False, "--cores", False),
        (2, None, "SUBPROCESS", False, "--cores", False),
        (None, None, "DEFAULT", False, "--summary", False),
        (2, None, "DEFAULT", False, "--unlock", False),
        (1, None, "DEFAULT", False, "--lint", False),
        (2, None, "DEFAULT", False, "--report", False),
    ],
)
def test_only_a_run_of_this_machine_prepares_anything(
    cores: int | None, nodes: int | None, mode: str, dry: bool, argument: str, runs: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    workflow = SimpleNamespace(
        resource_settings=SimpleNamespace(cores=cores, nodes=nodes),
        exec_mode=SimpleNamespace(name=mode),
        output_settings=SimpleNamespace(dryrun=dry),
    )
    monkeypatch.setattr(sys, "argv", ["snakemake", argument])
    assert launch.runs_jobs(workflow) is runs


def test_jobs_are_told_of_their_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(RUN, "")  # so that it is put back after the test
    launch.announce_run(3)
    began, _, cores = os.environ[RUN].partition(" ")
    assert began.startswith("20")
    assert cores == "3"


def test_a_lock_of_snakemakes_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert not launch.locked()
    Path(launch.LOCKS).mkdir(parents=True)
    assert not launch.locked()
    Path(launch.LOCKS, "0.input.lock").touch()
    assert launch.locked()
