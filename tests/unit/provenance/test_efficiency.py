"""What a run took: figures by hand, of its own jobs only, printed and shown."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path

import pytest
from tests.helpers.runs import RUN, record, records_of_a_run

from scorepath.provenance.efficiency import latest_run, print_efficiency
from scorepath.running.launch import announce_run
from scorepath.store import records
from scorepath.store.files import write_rows
from scorepath.store.records import load_record, record_path, recorded

EARLIER = "2026-01-01T03:00:00.000+00:00"


def test_shares_are_of_the_cores_between_first_start_and_last_end() -> None:
    run = latest_run(records_of_a_run())
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
    with_others, alone = latest_run(records_of_a_run() + elsewhere), latest_run(records_of_a_run())
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


def test_jobs_record_the_run_that_they_are_part_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(records.RUN, "")  # so that it is put back after the test
    result = Path("results/gradients/lqr/pathwise/sigma=0.1.csv")
    announce_run(2)
    run = os.environ[records.RUN].partition(" ")[0]
    with recorded(["gradients", "lqr", "pathwise", "0.1"]):
        write_rows(result, [{"a": 1.5}])
    stored = load_record(record_path(result))
    assert (stored.run, stored.cores) == (run, 2)
    capsys.readouterr()
    print_efficiency()
    assert capsys.readouterr().err.startswith("1 job in 0 s on 2 cores: ")
    monkeypatch.delenv(records.RUN)
    print_efficiency()
    announce_run(2)  # a run that made nothing
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
