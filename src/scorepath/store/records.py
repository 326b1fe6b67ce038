"""What every job leaves about itself: a small file for each result, with its checksum, command, times and versions.

A result is trusted because of its record: whoever reads one compares the checksum, so that a damaged file is never
taken for a result, and the run's machine-readable description is made from records alone. Records hold times;
everything that is the same from run to run stays in the results.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import resource
import shlex
import shutil
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from scorepath.memory import peak_memory, reset_peak_memory
from scorepath.store.files import atomic_write, explained, files_written, remove_partial_files, sha256
from scorepath.store.paths import RECORDS, REPORTS, RESULTS, stage_of

RUN = "SCOREPATH_RUN"
"""Environment variable that tells a run's jobs when it began (UTC, ISO 8601) and, after a space, its cores."""

LIBRARIES = ("scorepath", "snakemake", "torch", "numpy", "numba", "scipy", "pandas", "matplotlib", "seaborn", "cma")


@dataclass(frozen=True)
class Record:
    """One result file and the job that made it; a job that makes several files leaves one record for each."""

    file: str
    sha256: str
    command: str
    """Remakes the file by hand."""
    started: str
    ended: str
    """UTC, ISO 8601."""
    core_seconds: float
    peak_memory: int
    """Bytes."""
    versions: dict[str, str]
    processor: str = ""
    """Its model: on other models the last digits of a result may differ."""
    run: str = ""
    """When the run that the job was part of began (UTC, ISO 8601); "" for none: by hand, on a cluster."""
    cores: int = 0
    """What that run was given; 0 without one."""


def record_path(result: Path) -> Path:
    """Where the record of a result lies: `results/costs/a.csv` has `results/records/costs/a.csv.json`."""
    inner = result.relative_to(RESULTS) if result.is_relative_to(RESULTS) else result
    return RECORDS / inner.with_name(f"{inner.name}.json")


@cache
def versions() -> dict[str, str]:
    """Python and the libraries that results depend on."""
    found = {"python": platform.python_version()}
    for library in LIBRARIES:
        try:
            found[library] = version(library)
        except PackageNotFoundError:
            continue
    return found


@cache
def processor() -> str:
    """The model of this machine's processor and its widest vectors, on which rounding depends, if the system tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        facts = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
        flags = facts.get("flags", "").split()
        vectors = next((name for name in ("avx512f", "avx2") if name in flags), "")
        return ", ".join(filter(None, [facts["model name"], vectors]))
    except (OSError, KeyError):
        return platform.processor() or platform.machine()


_accounted = 0.0
"""Core-seconds of this process that belong to earlier jobs: in a worker's hand there may have been some."""


@contextmanager
def recorded(arguments: Sequence[str]) -> Iterator[None]:
    """Run one subcommand: leave a record of every file that it writes, and print what it took, for the log."""
    global _accounted
    files_written.clear()
    reset_peak_memory()
    began, clock = datetime.now(UTC), time.perf_counter()
    yield
    use = resource.getrusage(resource.RUSAGE_SELF)
    core_seconds, peak = use.ru_utime + use.ru_stime - _accounted, peak_memory()
    _accounted += core_seconds
    run, _, cores = os.environ.get(RUN, "").partition(" ")
    for path, checksum in [written for written in files_written.items() if not written[0].is_absolute()]:
        record = Record(
            file=path.as_posix(),
            sha256=checksum,
            command=shlex.join(["scorepath", *arguments]),
            started=began.isoformat(timespec="milliseconds"),
            ended=datetime.now(UTC).isoformat(timespec="milliseconds"),
            core_seconds=round(core_seconds, 3),
            peak_memory=peak,
            versions=versions(),
            processor=processor(),
            run=run,
            cores=int(cores or 0),
        )
        with atomic_write(record_path(path)) as file:
            json.dump(asdict(record), file, indent=1)
    print(f"took {time.perf_counter() - clock:.2f} s, {core_seconds:.2f} core-seconds, peak memory {peak >> 20} MB")


def config_files(plan: Path) -> list[str]:
    """The files that a plan was made from, by its record."""
    record = record_path(plan)
    words = shlex.split(load_record(record).command)[2:] if record.is_file() else []
    return [word for word in words if word != "-"] or ["config.yaml"]


def copy_with_record(source: Path, target: Path) -> None:
    """Copy a result to where it goes by another name; the copy has the original's record."""
    require_intact(source)
    with atomic_write(target, "wb") as file:
        file.write(source.read_bytes())
    if record_path(source).is_file():
        record = replace(load_record(record_path(source)), file=target.as_posix())
        with atomic_write(record_path(target)) as file:
            json.dump(asdict(record), file, indent=1)


def load_record(path: Path) -> Record:
    """A stored record.

    Raises:
        ValueError: naming a file that cannot be read.
    """
    try:
        return Record(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise ValueError(f"{path} cannot be read ({error}); `scorepath repair` mends this") from error


def all_records() -> Iterator[Record]:
    """The records of all results that are there, by path.

    Raises:
        ValueError: naming a record that cannot be read.
    """
    for path in sorted(RECORDS.rglob("*.json")):
        record = load_record(path)
        if Path(record.file).is_file():
            yield record


def require_intact(result: Path, content: bytes | None = None) -> None:
    """Compare a result, whose bytes may have been read already, with its record, if it has one.

    Raises:
        ValueError: naming a result that has changed since its job wrote it.
    """
    path = record_path(result)
    if result.is_absolute() or not (result.is_file() and path.is_file()):
        return
    record = load_record(path)
    try:
        found = sha256(result) if content is None else hashlib.sha256(content).hexdigest()
    except OSError as error:
        raise ValueError(f"{result} cannot be read ({error.strerror})") from error
    if found != record.sha256:
        raise ValueError(
            f"{result} is damaged: its bytes are not those that `{record.command}` wrote; "
            "`scorepath repair` deletes it, and the next run makes it again"
        )


def damaged_results() -> Iterator[Path]:
    """Results that differ from their records, or whose record cannot be read."""
    for path in sorted(RECORDS.rglob("*.json")):
        result = _result_of(path)
        try:
            if not os.path.lexists(result) or sha256(result) == load_record(path).sha256:
                continue
        except (OSError, ValueError):
            pass
        yield result


def _result_of(record: Path) -> Path:
    """The inverse of `record_path`; needs no readable record."""
    inner = record.relative_to(RECORDS)
    inner = inner.with_name(inner.name.removesuffix(".json"))
    return inner if inner.is_relative_to(REPORTS) else RESULTS / inner


def repair() -> list[Path]:
    """Delete damaged results, so that the next run makes them again, and half-written files; the results deleted.

    Snakemake's own notes that are damaged are emptied.

    Raises:
        OSError: a file that cannot be read, deleted or written.
    """
    found = list(damaged_results())
    for path in [path for result in found for path in (result, record_path(result))]:
        with explained(path):
            if path.is_dir() and not path.is_symlink():  # in the place of a result
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
    remove_partial_files(RESULTS)
    remove_partial_files(REPORTS)
    _forget_unreadable_notes()
    return found


def _forget_unreadable_notes() -> None:
    """Empty what Snakemake noted and cannot read: JSON that is cut short it passes over, what is no text stops it."""
    notes = (path for folder in ("metadata", "incomplete") for path in Path(".snakemake", folder).rglob("*"))
    for path in notes:
        with explained(path):
            try:
                if path.is_file():
                    path.read_text(encoding="utf-8")
            except UnicodeDecodeError:
                path.write_text("{}", encoding="utf-8")


def jobs_by_stage(records: Iterable[Record]) -> dict[str, list[Record]]:
    """One record for each job, by what it is about: references, gradients, training, costs, tables, figures, ..."""
    jobs: dict[str, dict[str, Record]] = defaultdict(dict)  # stage -> command -> any of its records
    for record in records:
        jobs[stage_of(Path(record.file))][record.command] = record
    return {stage: list(found.values()) for stage, found in jobs.items()}
