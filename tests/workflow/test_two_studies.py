"""Two studies in one folder: the second is refused, or waits its turn, and changes nothing that the first one reads."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.helpers.processes import until
from tests.helpers.project import CONFIG, Project

pytestmark = [pytest.mark.workflow, pytest.mark.slow]

UNTIMED = [
    *("tables/cells.csv", "tables/references.csv", "tables/gradient_statistics.csv", "tables/training.csv"),
    *("tables/verdicts.csv", "tables/exact_curves.csv", "tables/claims.csv"),
]


def write_other(project: Project, **changes: Any) -> str:
    """A configuration that differs in its seed, and so in every number; the name of its file."""
    project.path("other.yaml").write_text(yaml.safe_dump({**CONFIG, "seed": 2, **changes}, sort_keys=False))
    return "other.yaml"


def test_a_second_study_spoils_nothing_of_a_running_one(fresh: Project, finished: Project) -> None:
    """It did: 23 of 57 results of the first came out with the second's seed, and even its dry run spoilt some."""
    other = write_other(fresh)
    command = [sys.executable, "-m", "snakemake", "--cores", "2", *(f"results/{name}" for name in UNTIMED)]
    first = subprocess.Popen(
        command, cwd=fresh.folder, env=fresh.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        until(lambda: list(fresh.path("results").glob("gradients/*/*/*.csv")), "the first cell", 120)
        first.send_signal(signal.SIGSTOP)  # so that it cannot end meanwhile
        look = fresh.snakemake("--dry-run", "--configfile", other)
        assert look.status == 0, look.output
        second = fresh.snakemake("--cores", "2", "--configfile", other)
        assert second.status != 0
        assert "Another run is at work in this folder" in second.output
        assert "Traceback" not in second.output
        first.send_signal(signal.SIGCONT)
        output, _ = first.communicate(timeout=300)
    finally:
        first.kill()
        first.wait()
    assert first.returncode == 0, output
    for name in UNTIMED:
        assert fresh.path(f"results/{name}").read_bytes() == finished.path(f"results/{name}").read_bytes(), name
    for pattern in ("gradients/**/*.csv", "training/**/*.csv", "references/**/*.npz"):
        assert fresh.results(pattern) == finished.results(pattern)
    again = fresh.execute(*command)
    assert "Nothing to be done" in again.output


def test_replacing_another_studys_tables_is_said(finished: Project) -> None:
    smaller = {"environments": CONFIG["environments"][1:2], "estimators": ["reinforce", "pathwise"]}
    other = write_other(finished, **smaller, noise_levels=[0.5])
    before = finished.path("results/plan.json").read_bytes()
    assert finished.snakemake("--dry-run", "--configfile", other).status == 0
    assert finished.path("results/plan.json").read_bytes() == before, "a dry run leaves the folder's plan alone"
    ended = finished.snakemake("--cores", "2", "--configfile", other)
    assert ended.status == 0, ended.output
    said = "results/tables and reports are those of config.yaml with seed 1; this run replaces them with those of"
    assert f"{said} other.yaml with seed 2." in " ".join(ended.output.split())
    page = finished.path("reports/report.html").read_text()
    assert "This is the study of other.yaml, seed 2." in page


def test_a_job_refuses_a_plan_that_does_not_hold_it(finished: Project) -> None:
    cell = ("gradients", "lqr", "pathwise", "0.5")
    before = finished.results("gradients/lqr/pathwise/*.csv")
    for digest, status in (("0123456789abcdef", 1), (_digest(finished), 0)):
        ended = finished.execute("scorepath", *cell, "--digest", digest)
        assert ended.status == status, ended.output
    refused = finished.execute("scorepath", *cell, "--digest", "0123456789abcdef")
    assert "this job belongs to another study than the plan" in refused.output
    assert len(refused.output.splitlines()) == 1
    assert finished.results("gradients/lqr/pathwise/*.csv") == before
    record = finished.path("results/records/gradients/lqr/pathwise/sigma=0.5.csv.json").read_text()
    assert "--digest" not in record, "what repeats a job by hand needs no digest"


def _digest(project: Project) -> str:
    code = "from scorepath.study.cells import Plan; print(Plan.load().cell('gradients', 'lqr', 'pathwise', 0.5).digest)"
    return project.execute(sys.executable, "-c", code).output.strip()


def test_the_answer_names_a_report_only_if_it_is_there_and_of_this_plan(finished: Project, tmp_path: Path) -> None:
    assert f"The report: {finished.path('reports/report.html')}" in finished.execute("scorepath", "answer").output
    # the same study in other words
    finished.append("config.yaml", "\n# a remark\n")
    assert finished.execute("scorepath", "plan").status == 0
    assert "The report: " in finished.execute("scorepath", "answer").output
    assert finished.execute("scorepath", "plan", write_other(finished)).status == 0
    ended = finished.execute("scorepath", "answer")
    assert "reports/report.html is of another plan than results/plan.json" in ended.output
    shutil.move(finished.path("reports/report.html"), tmp_path)
    assert "There is no report yet" in finished.execute("scorepath", "answer").output
