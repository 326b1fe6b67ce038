"""Records: what they say of a job, and that a result which differs from its own is never read."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

import pytest
from tests.helpers.results import RESULT, flip, make

from scorepath.stages._measurements import read_rows
from scorepath.store.files import sha256, write_rows
from scorepath.store.records import (
    Record,
    all_records,
    damaged_results,
    load_record,
    record_path,
    recorded,
    repair,
    require_intact,
)

pytestmark = pytest.mark.usefixtures("folder")


def write_and_fail(result: Path) -> None:
    write_rows(result, [{"a": 1.5}])
    raise OverflowError


def test_a_record_says_what_made_a_file(capsys: pytest.CaptureFixture[str]) -> None:
    make(RESULT)
    record = load_record(record_path(RESULT))
    assert record.file == RESULT.as_posix()
    assert record.sha256 == sha256(RESULT)
    assert record.command == "scorepath gradients lqr 'path wise' 0.1"
    assert datetime.fromisoformat(record.started) <= datetime.fromisoformat(record.ended)
    assert record.core_seconds > 0
    assert record.peak_memory > 1 << 20
    assert {"python", "torch", "numpy", "scorepath"} <= record.versions.keys()
    assert "core-seconds" in capsys.readouterr().out


def test_a_job_records_each_of_its_files_and_not_those_of_the_job_before() -> None:
    make(RESULT)
    report = Path("reports/report.html")
    make(Path("results/tables/cells.csv"), report)
    assert [record.file for record in all_records()] == [
        RESULT.as_posix(),
        "reports/report.html",
        "results/tables/cells.csv",
    ]
    assert load_record(record_path(report)).file == "reports/report.html"


def test_what_is_spoilt_before_its_record_is_written_is_found() -> None:
    with recorded(["gradients"]):
        write_rows(RESULT, [{"a": 1.5}])
        flip(RESULT)
    assert list(damaged_results()) == [RESULT]


def test_a_failed_job_leaves_no_record() -> None:
    with pytest.raises(OverflowError), recorded(["gradients"]):
        write_and_fail(RESULT)
    assert not record_path(RESULT).exists()


def test_a_changed_result_is_refused_and_repaired() -> None:
    make(RESULT, Path("results/tables/cells.csv"))
    require_intact(RESULT)
    assert not list(damaged_results())
    flip(RESULT)
    with pytest.raises(ValueError, match=r"sigma=0.1.csv is damaged.*`scorepath repair`"):
        read_rows(RESULT)
    assert repair() == [RESULT]
    assert not RESULT.exists()
    assert not record_path(RESULT).exists()
    assert Path("results/tables/cells.csv").is_file()


def test_an_unreadable_record_condemns_its_result() -> None:
    report = Path("reports/report.html")
    make(RESULT, report)
    for result in (RESULT, report):
        record_path(result).write_text('{"file": "resu')
    with pytest.raises(ValueError, match=r"sigma=0.1.csv.json cannot be read.*`scorepath repair`"):
        require_intact(RESULT)
    assert sorted(repair()) == [report, RESULT]


def test_a_result_without_a_record_is_read() -> None:
    """Made by a function of the library, say, outside any job."""
    write_rows(RESULT, [{"a": 1.5, "b": 2}])
    assert read_rows(RESULT)["b"].tolist() == [2]


def test_a_deleted_result_is_not_damaged() -> None:
    make(RESULT)
    RESULT.unlink()
    assert not list(damaged_results())
    assert not list(all_records())


def test_a_record_is_one_json_object_without_places() -> None:
    """It is published: no absolute path, no name of a machine."""
    make(RESULT)
    stored = json.loads(record_path(RESULT).read_text())
    assert stored.keys() == Record.__dataclass_fields__.keys()
    assert str(Path.cwd()) not in json.dumps(stored)
