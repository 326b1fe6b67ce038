"""Jobs go straight from Snakemake to the warm worker; what is not for it runs as with Snakemake's own executor."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.helpers.processes import alive, until
from tests.helpers.project import Project

pytestmark = [pytest.mark.workflow, pytest.mark.slow]

CELL = "results/gradients/cosine/reinforce/sigma=0.5.csv"
SLEEPER = '''
"""REINFORCE, but as the job of a cell it tells its process and never comes to an end."""

import os
import time
from dataclasses import dataclass

from scorepath.estimators.reinforce import Reinforce


@dataclass(frozen=True, kw_only=True)
class Sleeper(Reinforce):
    """Approximates grad J_sigma. With `delta_t = R * eps_t / sigma`. Requires patience."""

    def signal(self, simulator, noise, past=None):
        if os.path.exists("results/logs/gradients"):  # planning tries estimators too
            print("at work", flush=True)
            with open("sleeper.part", "w") as file:
                file.write(str(os.getpid()))
            os.rename("sleeper.part", "sleeper")
            time.sleep(600)
        return super().signal(simulator, noise, past)
'''
SLEEPING = "results/gradients/cosine/sleeper/sigma=0.5.csv"
LOG = "results/logs/gradients/cosine/sleeper/sigma=0.5.log"
PATIENCE = 120.0


def start(project: Project, *targets: str, first_on_path: Path | None = None) -> subprocess.Popen[str]:
    """`scorepath run` as the leader of a process group."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # not ignored, as it is in the background of a script
    environment = project.environment
    command = str(Path(environment["PATH"].split(os.pathsep)[0]) / "scorepath")
    if first_on_path:
        environment["PATH"] = os.pathsep.join([str(first_on_path), environment["PATH"]])
    return subprocess.Popen(
        [command, "run", "--cores", "1", *targets], cwd=project.folder, env=environment, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
    )  # fmt: skip


def test_a_job_needs_no_shell(fresh: Project, tmp_path: Path) -> None:
    """The command `scorepath` that a shell would find counts its calls, and fails."""
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "scorepath").write_text(f"#!/bin/sh\necho $* >> {tmp_path}/called\nexit 3\n")
    (broken / "scorepath").chmod(0o755)
    straight = start(fresh, CELL, first_on_path=broken)
    output, _ = straight.communicate(timeout=PATIENCE)
    assert straight.returncode == 0, output
    assert fresh.path(CELL).is_file()
    assert not (tmp_path / "called").exists()

    fresh.path(CELL).unlink()
    by_shell = start(fresh, CELL, "--executor", "local", first_on_path=broken)
    output, _ = by_shell.communicate(timeout=PATIENCE)
    assert by_shell.returncode == 1
    assert (tmp_path / "called").read_text().startswith("gradients cosine reinforce 0.5 --digest ")
    assert "FAILED: gradients (environment=cosine, estimator=reinforce, sigma=0.5)" in output


@pytest.fixture
def sleeping(fresh: Project) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A run whose only cell sleeps, and the process of that cell."""
    fresh.path("sleeper.py").write_text(SLEEPER, encoding="utf-8")
    estimators = ["reinforce", "pathwise", "sleeper"]
    training = {"environments": ["lqr"], "estimators": ["reinforce", "pathwise"], "noise_levels": [0.5]}
    fresh.configure(plugins=["sleeper.py"], estimators=estimators, training=training)
    process = start(fresh, SLEEPING)
    try:
        until(lambda: fresh.path("sleeper").exists() or process.poll() is not None, "the cell", PATIENCE)
        assert process.poll() is None, process.communicate()[0]
        yield process, int(fresh.path("sleeper").read_text())
    finally:
        process.kill()  # and with it, if a test has failed, the worker and the cell


def test_an_interrupted_run_ends_its_jobs(fresh: Project, sleeping: tuple[subprocess.Popen[str], int]) -> None:
    """Ctrl-C that reaches Snakemake alone: the worker and its processes are no part of the terminal's group."""
    process, cell = sleeping
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=PATIENCE)
    assert time.monotonic() - began < 30
    assert process.returncode == 1
    assert "the same command runs what is missing" in output
    assert "FAILED" not in output
    assert fresh.path(LOG).read_text() == "at work\n"
    until(lambda: not alive(cell), "the end of the cell's process", PATIENCE)


def test_a_killed_job_has_failed(fresh: Project, sleeping: tuple[subprocess.Popen[str], int]) -> None:
    process, cell = sleeping
    os.kill(cell, signal.SIGKILL)
    output, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1
    assert "FAILED: gradients (environment=cosine, estimator=sleeper, sigma=0.5)" in output
    assert fresh.path(LOG).read_text() == "at work\nscorepath: the job was killed in the worker (out of memory?)\n"
    assert "  | scorepath: the job was killed in the worker (out of memory?)" in output
    assert re.search(
        rf"by hand: scorepath gradients cosine sleeper 0.5 --digest \w+ > {re.escape(str(LOG))} 2>&1", output
    )
    assert "Traceback" not in output
