"""The progress display: few lines while all is well, a failure in full and once, dry runs that say what would run."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from tests.helpers.project import ROOT

from scorepath.running.errors import log_tail, plain_error
from scorepath.running.progress import Progress, Running, duration

PROFILE = ROOT / "profiles/default/profile.v9+.yaml"

SNAKEFILE = """
from snakemake.exceptions import WorkflowError

if config.get("misspelt"):
    raise WorkflowError("noise_levels[1] is -0.1, but must not be negative.")


rule all:
    input:
        expand("out/{cell}.txt", cell=[str(n) for n in range(40)] + (["bad"] if config.get("failing") else [])),


rule gather:
    input:
        "out/bad.txt",
    output:
        "gathered.txt",
    shell:
        "touch {output}"


rule cell:
    output:
        "out/{cell}.txt",
    log:
        "logs/{cell}.log",
    shell:
        "echo starting > {log}; "
        "if [ {wildcards.cell} = bad ]; then echo 'no such knob' >> {log}; exit 3; fi; touch {output}"
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "Snakefile").write_text(SNAKEFILE)
    (tmp_path / "profiles/default").mkdir(parents=True)
    (tmp_path / "profiles/default" / PROFILE.name).write_text(PROFILE.read_text())
    return tmp_path


def snakemake(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    command = [sys.executable, "-m", "snakemake", *arguments]
    return subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.workflow
def test_a_good_run_takes_few_lines(project: Path) -> None:
    run = snakemake(project, "--cores", "2")
    assert run.returncode == 0, run.stderr
    lines = run.stderr.splitlines()
    assert len(lines) <= 6, run.stderr
    assert "41 jobs on 2 cores: cell 40, all 1" in lines
    assert re.fullmatch(r"41 jobs done in \d+ s\.", lines[-1])
    detailed = list(project.glob(".snakemake/log/*.log"))
    assert len(detailed[0].read_text().splitlines()) > 200
    again = snakemake(project, "--cores", "2")
    assert "Nothing to be done" in again.stderr


@pytest.mark.workflow
def test_a_failure_is_shown_once_and_in_full(project: Path) -> None:
    run = snakemake(project, "--cores", "2", "all", "gathered.txt", "--config", "failing=true")
    assert run.returncode == 1
    text = run.stderr
    assert text.count("FAILED: cell (cell=bad)") == 1
    assert text.count("log: logs/bad.log") == 1
    assert "  | starting\n  | no such knob\n" in text
    assert text.count("by hand: echo starting > logs/bad.log;") == 1
    assert "RuleException" not in text
    assert "WorkflowError" not in text
    assert re.search(r"40 of 43 jobs done, 1 failed, 2 not run\.", text), text
    assert len(text.splitlines()) <= 16, text
    assert len(list(project.glob("out/*.txt"))) == 40  # the others went on


def test_an_interrupted_job_was_stopped(tmp_path: Path) -> None:
    log = tmp_path / "job.log"
    log.write_text('Traceback (most recent call last):\n  File "socket.py", line 54, in <module>\nKeyboardInterrupt\n')
    assert log_tail([str(log)]) == ["scorepath: stopped"]


@pytest.mark.workflow
def test_a_dry_run_lists_jobs_reasons_and_counts(project: Path) -> None:
    run = snakemake(project, "--dry-run")
    assert run.returncode == 0, run.stderr
    assert "cell cell=7  [Missing output files: out/7.txt]" in run.stdout.splitlines()
    assert re.search(r"^cell\s+40$", run.stdout, flags=re.MULTILINE)
    assert re.search(r"^total\s+41$", run.stdout, flags=re.MULTILINE)
    assert run.stdout.count("Job stats") == 1
    assert len(run.stdout.splitlines()) <= 41 + 8
    short = snakemake(project, "--dry-run", "--quiet", "rules")
    assert "cell=7" not in short.stdout
    assert "Job stats" in short.stdout


@pytest.mark.workflow
def test_a_wrong_config_is_just_its_message(project: Path) -> None:
    run = snakemake(project, "--cores", "1", "--config", "misspelt=true")
    assert run.returncode == 1
    lines = run.stderr.splitlines()
    assert lines[-1] == "noise_levels[1] is -0.1, but must not be negative."
    assert len(lines) == 2  # Snakemake itself says which profile it uses


@pytest.mark.workflow
def test_progress_lines_and_other_commands(project: Path) -> None:
    text = (project / "Snakefile").read_text().replace("touch {output}", "sleep 0.1; touch {output}")
    (project / "Snakefile").write_text(text)
    run = snakemake(project, "--cores", "2", "--logger-scorepath-interval", "1")
    status = [line for line in run.stderr.splitlines() if " so far" in line]
    assert 1 <= len(status) <= 20, run.stderr
    assert re.match(
        r"\d+ of 41 jobs \(\d+ %\) \| cell \d+/40 \| \d+ s so far \| about \d+ s left \(..:..\) \| ", status[0]
    )
    assert "running: cell" in status[0]
    summary = snakemake(project, "--summary")
    assert summary.returncode == 0
    assert summary.stdout.startswith("output_file")
    assert len(summary.stdout.splitlines()) == 41


def test_a_second_attempt_is_not_a_failure() -> None:
    progress = Progress(started=0.0, totals={"cell": 1}, total=1, cores=1)
    progress.start(0, Running("cell", {}, 1, 0.0))
    assert progress.fail(0) is not None
    progress.start(0, Running("cell", {}, 1, 1.0))
    progress.finish(0, 2.0)
    assert progress.summary(2.0, None) == "1 job done in 2 s."


def test_wording() -> None:
    assert [duration(s) for s in (0.4, 59, 65, 7800)] == ["0 s", "59 s", "1 min 05 s", "2 h 10 min"]
    with_header = 'WorkflowError in file "Snakefile", line 3:\nsigma is odd.\n  File "Snakefile", line 3, in <module>'
    assert plain_error(with_header, "WorkflowError") == "sigma is odd."
    assert plain_error("WorkflowError:\nlocked", "WorkflowError") == "locked"
    assert plain_error(with_header, "ValueError") == with_header
