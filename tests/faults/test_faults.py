"""The short version of the harness: one study, every kind of fault once; and what was mended, by itself."""

from __future__ import annotations

import base64
import errno
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.faults import checks
from tests.faults.checks import check_end, check_files, check_processes, check_words
from tests.faults.harness import Harness
from tests.faults.reference import Reference, left_alone, reference_of
from tests.faults.strikes import KINDS
from tests.faults.study import Failed, Study
from tests.helpers.project import CONFIG, Project

from scorepath.running.errors import plain_error
from scorepath.running.launch import mend
from scorepath.store.files import atomic_write, remove_partial_files
from scorepath.store.records import record_path, recorded, repair, require_intact

SEED = 7
RESULT = Path("results/gradients/lqr/pathwise/sigma=0.1.csv")


@pytest.fixture
def study(tmp_path: Path) -> Iterator[Study]:
    made = Study(tmp_path / "faults")
    yield made
    made.close()


@pytest.fixture
def smaller(tmp_path: Path) -> Iterator[Study]:
    """Half the jobs: one environment, at one noise level, and still each stage of a study."""
    made = Study(
        tmp_path / "smaller", noise_levels=[0.5], estimators=["reinforce", "pathwise"],
        environments=[entry for entry in CONFIG["environments"] if entry["name"] == "lqr"],
    )  # fmt: skip
    yield made
    made.close()


@pytest.mark.workflow
@pytest.mark.slow
def test_every_kind_of_fault_once(smaller: Study, capsys: pytest.CaptureFixture[str]) -> None:
    """One after the other, at moments that leave each some work; the harness itself says what must be true.

    Last come those after which the run has no warm worker: by then few jobs are left for it.
    """
    kinds = [kind for kind in KINDS if smaller.mounted or not KINDS[kind].needs_mount]
    trial = Harness(smaller, left_alone(smaller))
    rng = random.Random(SEED)
    try:
        trial.round(sorted(rng.sample(kinds, len(kinds)), key=lambda kind: KINDS[kind].without_worker), rng)
    finally:
        with capsys.disabled():
            print("", *trial.story, sep="\n  ")
    assert {kind: trial.tallies[kind].identical for kind in kinds} == dict.fromkeys(kinds, 1)
    if not smaller.mounted:
        pytest.skip("the disk could not be filled up nor made read-only: `mount` needs root; all else went well")


# --- the harness sees what it looks for -------------------------------------------------------------------------------


@pytest.fixture
def two_results(study: Study) -> tuple[Study, Reference]:
    """A study of two results, one of them with seconds in it."""
    results = {str(RESULT): b"a\n1\n", "results/tables/costs.csv": b"seconds\n1.5\n"}
    for name, data in results.items():
        study.path(name).parent.mkdir(parents=True)
        study.path(name).write_bytes(data)
    reference = reference_of(study.project)
    check_end(study, reference)
    return study, reference


def test_a_partial_file_is_seen(two_results: tuple[Study, Reference]) -> None:
    study, reference = two_results
    study.path(str(RESULT)).write_bytes(b"a\n")
    with pytest.raises(Failed, match=r"sigma=0.1.csv is not what a run left alone wrote, and a reader would take it"):
        check_files(study, reference)


def test_a_timed_file_may_differ_but_must_be_whole(two_results: tuple[Study, Reference]) -> None:
    study, reference = two_results
    study.path("results/tables/costs.csv").write_bytes(b"seconds\n2.75\n")
    check_end(study, reference)
    study.path("results/tables/costs.csv").write_bytes(b"seconds\n2.7")
    with pytest.raises(Failed, match=r"costs.csv is not what"):
        check_files(study, reference)


def test_a_missing_result_and_a_stray_file_are_seen(two_results: tuple[Study, Reference]) -> None:
    study, reference = two_results
    stray = study.path("results/tables/.cells.csv.x.partial")
    stray.touch()
    check_files(study, reference)
    with pytest.raises(Failed, match="partial was left behind"):
        check_end(study, reference)
    stray.rename(study.path("results/tables/more.csv"))
    with pytest.raises(Failed, match=r"more.csv is no result"):
        check_files(study, reference)
    study.path("results/tables/more.csv").unlink()
    study.path(str(RESULT)).unlink()
    with pytest.raises(Failed, match=r"sigma=0.1.csv is missing"):
        check_end(study, reference)


def test_a_process_that_runs_on_is_seen(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "PATIENCE", 0.2)
    left = subprocess.Popen(["sleep", "60"], env=study.environment)
    with pytest.raises(Failed, match=r"still running after .*sleep"):
        check_processes(study)
    left.kill()
    left.wait()
    check_processes(study)


@pytest.mark.parametrize("where", ["on the screen", "in a log"])
def test_a_traceback_is_seen(study: Study, where: str) -> None:
    log = study.path("results/logs/report.log")
    log.parent.mkdir(parents=True)
    study.log.write_text("the same command goes on\n")
    check_words(study, ("the same command",), came_through=False)
    with pytest.raises(Failed, match="says none of"):
        check_words(study, ("Read-only",), came_through=False)
    (study.log if where == "on the screen" else log).write_text("Traceback (most recent call last)\nthe same command")
    with pytest.raises(Failed, match="traceback"):
        check_words(study, ("the same command",), came_through=False)


# --- files ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def make(result: Path) -> None:
    with recorded(["gradients", "lqr"]), atomic_write(result) as file:
        file.write("a\n1\n")


@pytest.mark.parametrize(
    ("code", "words"),
    [(errno.ENOSPC, "No space left on device; make room"), (errno.EROFS, "Read-only file system; make this folder")],
)
def test_a_disk_that_takes_nothing_is_a_sentence_with_the_remedy(folder: Path, code: int, words: str) -> None:
    sentence = rf"sigma=0.1.csv cannot be written: {words}.*run the same command again"
    with pytest.raises(OSError, match=sentence), atomic_write(RESULT):
        raise OSError(code, os.strerror(code))
    assert not list(folder.rglob("*.csv*"))


def test_half_written_files_of_killed_jobs_are_removed(folder: Path) -> None:
    code = f"""
import os, signal
from pathlib import Path
from scorepath.running.errors import plain_error
from scorepath.store.files import atomic_write
with atomic_write(Path({str(RESULT)!r})) as file:
    file.write("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -signal.SIGKILL
    assert not RESULT.exists()
    assert len(list(RESULT.parent.iterdir())) == 1
    (RESULT.parent / ".notes").touch()
    remove_partial_files(Path("results"))
    assert [path.name for path in RESULT.parent.iterdir()] == [".notes"]


def test_a_folder_in_the_place_of_a_result_is_removed(folder: Path) -> None:
    for place in (RESULT, record_path(RESULT)):
        make(RESULT)
        place.unlink()
        place.mkdir()
        (place / "something").touch()
        assert repair() == [RESULT]
        assert not RESULT.exists()
        assert not record_path(RESULT).exists()
    make(RESULT)
    require_intact(RESULT)


@pytest.mark.workflow
def test_damaged_notes_of_snakemake_are_a_sentence_and_then_forgotten(computed: Project, tmp_path: Path) -> None:
    """Snakemake reads the note of an earlier job when that job is made again."""
    study = computed.copy(tmp_path / "study")
    result = "results/tables/cells.csv"
    note = study.path(".snakemake/metadata") / base64.urlsafe_b64encode(result.encode()).decode()
    note.write_bytes(b"\x9b" + note.read_bytes())
    incomplete = study.path(".snakemake/incomplete") / note.name
    incomplete.write_bytes(b"\x9b")
    study.path(result).unlink()

    looked = study.snakemake("--dry-run")  # which mends nothing
    assert looked.status
    assert "`scorepath repair` empties such notes" in looked.output
    assert "Traceback" not in looked.output

    again = study.snakemake("--cores", "2", result)
    assert not again.status, again.output
    assert study.path(result).is_file()
    assert not incomplete.exists()


# --- words ------------------------------------------------------------------------------------------------------------


def test_a_lock_is_named_with_the_command_that_removes_it() -> None:
    said = plain_error("LockException:\nError: Directory cannot be locked.", "LockException")
    assert "snakemake --unlock`, then the same command again" in said
    assert len(said.splitlines()) == 1


@pytest.mark.parametrize(
    ("error", "said"),
    [
        ("OSError: [Errno 30] Read-only file system: 'results/a.csv'", "results/a.csv: Read-only file system; make"),
        ("OSError: [Errno 28] No space left on device", "No space left on device; make room on this disk, then run"),
    ],
)
def test_snakemakes_own_trouble_with_the_disk_is_a_sentence(error: str, said: str) -> None:
    trace = (
        'Traceback (most recent call last):\n\n  File "snakemake/jobs.py", line 1, in prepare\n    os.remove(file)\n\n'
    )
    found = plain_error(trace + error + "\n", "OSError")
    assert said in found
    assert len(found.splitlines()) == 1


def test_other_errors_of_the_system_keep_where_they_come_from() -> None:
    trace = "Traceback (most recent call last):\n  File \"a.py\", line 1\nOSError: [Errno 5] Input/output error: 'a'"
    assert plain_error(trace, "OSError") == trace


# --- starting ---------------------------------------------------------------------------------------------------------


def stop_early(folder: Path, number: signal.Signals, program: str) -> subprocess.CompletedProcess[str]:
    """Start a stand-in for Snakemake whose display is Scorepath's, and send it a signal when it is at work."""
    package = folder / "stand-in" / "snakemake"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "__main__.py").write_text(program)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # not ignored, as it is in the background of a script
    process = subprocess.Popen(
        [sys.executable, "-c", START], cwd=folder, text=True,
        env={**os.environ, "PYTHONPATH": str(folder / "stand-in")}, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    while not (folder / "started").exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)
    process.send_signal(number)
    out, err = process.communicate(timeout=30)
    return subprocess.CompletedProcess([], process.returncode, out, err)


START = """
import runpy
from scorepath.running.launch import stop_orderly
stop_orderly()
runpy.run_module("snakemake", run_name="__main__", alter_sys=True)
"""
ASYNCHRONOUS = """
import asyncio, time
async def prepare():
    open("started", "w").close()
    for _ in range(400):
        time.sleep(0.05)
async def in_tasks():
    async with asyncio.TaskGroup() as group:
        group.create_task(prepare())
with asyncio.Runner() as runner:
    runner.run({coroutine}())
"""


@pytest.mark.parametrize("coroutine", ["prepare", "in_tasks"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_while_snakemake_prepares_is_prompt_and_no_traceback(
    folder: Path, number: signal.Signals, coroutine: str
) -> None:
    """Snakemake prepares jobs in coroutines that never wait; asyncio's handler is heard only when they are over."""
    began = time.monotonic()
    ended = stop_early(folder, number, ASYNCHRONOUS.format(coroutine=coroutine))
    assert ended.returncode == -signal.SIGINT, "as Python ends of Ctrl-C: shells say 130"
    assert ended.stderr == "scorepath: stopped; the same command goes on where it stopped\n"
    assert time.monotonic() - began < 15


def test_nothing_is_deleted_under_another_run(folder: Path) -> None:
    """What looks damaged beside a lock may be half done: a result is written a moment before its record."""
    make(RESULT)
    RESULT.write_text("new")
    (folder / ".snakemake/locks").mkdir(parents=True)
    lock = folder / ".snakemake/locks/0.output.lock"
    lock.touch()
    mend()
    assert RESULT.read_text() == "new"
    lock.unlink()
    mend()
    assert not RESULT.exists()
