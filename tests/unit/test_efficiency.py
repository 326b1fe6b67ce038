"""What a run took: figures by hand, of its own jobs only, printed and shown."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path

import pytest

from scorepath.cli import run as client
from scorepath.provenance.efficiency import latest_run, print_efficiency
from scorepath.reporting.page import render_report
from scorepath.store import records
from scorepath.store.files import write_rows
from scorepath.store.paths import FIGURES, REPORT, TABLES
from scorepath.store.records import Record, load_record, record_path, recorded
from scorepath.store.tables import Tables

RUN = "2026-01-02T03:00:00.000+00:00"
EARLIER = "2026-01-01T03:00:00.000+00:00"


def record(file: str, command: str, began: float, lasted: float, core_seconds: float, **changes: object) -> Record:
    """A job of the run, `began` seconds after 03:00."""
    moments = [f"2026-01-02T03:00:{second:06.3f}+00:00" for second in (began, began + lasted)]
    facts = {"file": file, "sha256": "", "command": command, "started": moments[0], "ended": moments[1]}
    more = {"core_seconds": core_seconds, "peak_memory": 1, "versions": {}, "run": RUN, "cores": 2}
    return Record(**(facts | more | changes))  # type: ignore[arg-type]


def study() -> list[Record]:
    """20 core-seconds from 03:00:10 to 03:00:20; 13 of them in numerical work, 2 in a figure."""
    return [
        record("results/plan.json", "plan", 1, 3, 3.0),
        record("results/references/a/policies.npz", "policies", 10, 2, 1.0),
        record("results/gradients/a/pathwise/sigma=1.csv", "gradients", 12, 6, 6.0),
        record("results/training/a/pathwise/sigma=1.csv", "train", 10, 4, 4.0),
        record("results/tables/cells.csv", "tables", 18, 2, 2.0),
        record("results/tables/verdicts.csv", "tables", 18, 2, 2.0),
        record("results/figures/bias.svg", "figure", 17, 3, 2.0),
    ]


def test_shares_are_of_the_cores_between_first_start_and_last_end() -> None:
    run = latest_run(study())
    assert run is not None
    assert (run.cores, run.seconds, run.available) == (2, 10.0, 20.0)
    assert run.jobs == 5, "the plan is made before the first job, and a job of two files is one"
    assert run.numerical == 13.0
    assert run.share(run.numerical) == 0.65
    assert run.unused == 5.0
    assert [(stage.name, stage.numerical) for stage in run.stages][:2] == [("gradients", True), ("training", True)]
    assert ("figures", False) in [(stage.name, stage.numerical) for stage in run.stages]
    assert str(run) == (
        "5 jobs in 10 s on 2 cores: 65 % of the 20 core-seconds in numerical work "
        "(gradients 6, training 4, tables 2, references 1)."
    )


def test_only_the_latest_run_counts() -> None:
    """Earlier results and those made by hand are told by their number."""
    elsewhere = [
        record("results/costs/a.csv", "costs a", 0, 9, 9.0, run=EARLIER, cores=64),
        record("results/costs/b.csv", "costs b", 30, 9, 9.0, run="", cores=0),
    ]
    with_others, alone = latest_run(study() + elsewhere), latest_run(study())
    assert with_others is not None
    assert alone is not None
    assert asdict(with_others) == asdict(alone) | {"other_jobs": 2}


def test_jobs_without_a_run_have_no_efficiency() -> None:
    assert latest_run([]) is None
    assert latest_run([record("results/costs/b.csv", "costs b", 0, 9, 9.0, run="", cores=0)]) is None


def test_the_start_of_python_is_no_work() -> None:
    """Without the worker a job imports torch before its own clock starts."""
    run = latest_run([record("results/costs/a.csv", "costs a", 0, 1, 3.5)])
    assert run is not None
    assert run.numerical == 1.0
    assert str(run) == "1 job in 1 s on 2 cores: 50 % of the 2 core-seconds in numerical work (costs 1)."


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
    assert client.cores_given(arguments.split()) == (cores, others.split())


@pytest.mark.parametrize("arguments", [["--cores", "all"], ["--cores"], ["-c", "--keep-going"]])
def test_all_cores_are_counted(arguments: list[str]) -> None:
    cores, _ = client.cores_given(arguments)
    assert 1 <= cores <= (os.cpu_count() or 1)


def test_jobs_record_the_run_that_they_are_part_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(records.RUN, "")  # so that it is put back after the test
    result = Path("results/gradients/lqr/pathwise/sigma=0.1.csv")
    client.announce_run(2)
    run = os.environ[records.RUN].partition(" ")[0]
    with recorded(["gradients", "lqr", "pathwise", "0.1"]):
        write_rows(result, [{"a": 1.5}])
    stored = load_record(record_path(result))
    assert (stored.run, stored.cores) == (run, 2)
    capsys.readouterr()
    print_efficiency()
    assert capsys.readouterr().err.startswith("1 job in 0 s on 2 cores: ")
    client.announce_run(0)
    assert records.RUN not in os.environ
    print_efficiency()
    client.announce_run(2)  # a run that made nothing
    print_efficiency()
    assert capsys.readouterr().err == ""


def test_a_damaged_record_is_named_and_fails_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    path = record_path(Path("results/costs/a.csv"))
    path.parent.mkdir(parents=True)
    path.write_text("{")
    monkeypatch.setenv(records.RUN, f"{RUN} 2")
    print_efficiency()
    assert f"{path} cannot be read" in capsys.readouterr().err


def test_the_report_shows_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for made in study():
        file = Path(made.file)
        file.parent.mkdir(parents=True, exist_ok=True)
        if file.parts[1] != "tables":  # the report would read them
            file.touch()
        path = record_path(file)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(asdict(made)))
    render_report(Tables(TABLES), FIGURES, None, REPORT, {})
    page = Path("reports/report.html").read_text(encoding="utf-8")
    assert "from 2026-01-02 03:00:10 to 03:00:20 UTC" in page
    assert "<strong>55 % went into numerical work</strong>" in page, "11 of 20: there are no tables yet"
    assert 'idle cores</th><td>no</td><td class="n">–</td><td class="n">7.0</td><td class="n">35.0 %</td>' in page
    assert "ran earlier or by hand" not in page
