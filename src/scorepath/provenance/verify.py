"""`scorepath verify`: compute a sample of a study's results again, by their own commands, and compare the bytes.

Each command runs in a scratch folder of its own, which shows it the study's folder, the plan and the results that it
reads, but none that it writes. A cell is therefore checked alone, from the inputs that the study has, and nothing of
the study is touched. Timings are no part of it.
"""

from __future__ import annotations

import csv
import math
import os
import random
import shlex
import subprocess
import sys
import tempfile
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from scorepath.running.launch import start_worker
from scorepath.store.paths import PACKAGE, PLAN, REPORTS, RESULTS
from scorepath.store.records import load_record, processor, record_path, versions
from scorepath.study.cells import Plan
from scorepath.study.jobs import Job, all_jobs

OWN = frozenset({RESULTS.name, REPORTS.name, ".snakemake"})
"""What a study writes into its folder; a scratch folder shows everything else."""


@dataclass(frozen=True)
class Outcome:
    """One result that was computed again."""

    job: Job
    difference: str
    """"" if the bytes are the same."""


def verify(fraction: float, seed: int, cores: int) -> None:
    """Print what was computed again, and each result that came out differently.

    Raises:
        ValueError: if any did, if there is nothing to verify, or if the sources are not those of the study.
    """
    if not 0 < fraction <= 1:
        raise ValueError(f"--fraction must be above 0 and at most 1, not {fraction:g}")
    if cores < 1:
        raise ValueError(f"--cores must be at least 1, not {cores}")
    plan = Plan.load()
    _require_its_sources(plan)
    stages: dict[str, list[Job]] = {}
    for job in all_jobs(plan):
        stages.setdefault(job.rule.name, []).append(job)
    there = {stage: [job for job in jobs if _is_there(job)] for stage, jobs in stages.items()}
    if not any(there.values()):
        raise ValueError("there are no results to verify; `make run` computes the study")
    chosen = [job for stage in there.values() for job in sample(stage, fraction, seed)]
    print(f"Computing {len(chosen)} of {sum(map(len, there.values()))} results again: seed {seed}, {cores} cores")
    outcomes = list(_computed_again(chosen, plan.study.files, cores))
    for stage, jobs in stages.items():
        own = [outcome for outcome in outcomes if outcome.job.rule.name == stage]
        same = sum(not outcome.difference for outcome in own)
        missing = len(jobs) - len(there[stage])
        remark = f"; {missing} have no result" if missing else ""
        print(f"{stage}: {same} of {len(own)} identical (the study has {len(there[stage])}{remark})")
    different = [outcome for outcome in outcomes if outcome.difference]
    for outcome in different:
        print(f"{outcome.job.result}: {outcome.difference}\n    {outcome.job.command}")
    for remark in _circumstances(chosen):
        print(remark)
    if different:
        if older := _older_than_the_plan(different):
            print(f"Note: {older} of these are older than {PLAN}; `snakemake --dry-run` tells if they are out of date")
        raise ValueError(f"{len(different)} of {len(outcomes)} results are not what their commands compute")
    print(f"All {len(outcomes)} identical, byte for byte")


def sample(jobs: Sequence[Job], fraction: float, seed: int) -> list[Job]:
    """A fraction of one stage's jobs, at random, but so that it touches all environments and estimators if it can."""
    waiting = list(jobs)
    random.Random(seed).shuffle(waiting)
    count = math.ceil(fraction * len(waiting))
    unseen = {name for job in jobs for name in _touched(job)}
    chosen: list[Job] = []
    while unseen and len(chosen) < count:
        job = max(waiting, key=lambda job: len(_touched(job) & unseen))
        waiting.remove(job)
        chosen.append(job)
        unseen -= _touched(job)
    return chosen + waiting[: count - len(chosen)]


def _touched(job: Job) -> set[tuple[str, str]]:
    return {("environment", job.environment), ("estimator", job.estimator)}


def _is_there(job: Job) -> bool:
    return all(path.is_file() for path in (job.result, *job.inputs))


def _require_its_sources(plan: Plan) -> None:
    """Other sources compute other results; that would say nothing about the study."""
    from scorepath.study.digests import cell_digest, digests

    study = plan.study
    running = [cell for cell in plan.cells if cell.status == "run"]
    changed = sum(
        cell.digest != cell_digest(study, cell.stage, cell.environment, cell.estimator, cell.sigma) for cell in running
    )
    changed += sum(
        plan.digests.get(name) != value
        for name, value in digests(study, plan.cells).items()
        if name.partition("/")[0] in ("reference_policies", "reference")
    )
    if changed:
        raise ValueError(
            f"the sources are not those that {PLAN} was made with ({changed} of its jobs depend on what has changed); "
            "`make run` brings the study up to date, or go back to the sources of its report's commit"
        )


# --- computing again --------------------------------------------------------------------------------------------------


def _computed_again(jobs: Sequence[Job], files: Sequence[str], cores: int) -> Iterator[Outcome]:
    """Every job's outcome, in the order of the jobs."""
    start_worker(cores, lazy=True)
    study = Path.cwd()
    with tempfile.TemporaryDirectory(prefix="scorepath-verify-") as scratch, ThreadPoolExecutor(cores) as pool:
        folders = [*_folders(Path(scratch), len(jobs), study, files)]
        try:
            yield from pool.map(lambda job, folder: _outcome(job, study, folder), jobs, folders)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _folders(scratch: Path, count: int, study: Path, files: Sequence[str]) -> Iterator[Path]:
    """Scratch folders from which a user's files above the study's folder are found by the same relative paths."""
    above = [file for file in map(os.path.normpath, files) if Path(file).parts[0] == os.pardir]
    top = scratch.joinpath(*["above"] * max((Path(file).parts.count(os.pardir) for file in above), default=0))
    top.mkdir(exist_ok=True, parents=True)
    for file in above:
        link = Path(os.path.normpath(top / "study" / file))
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(study / file)
    for number in range(count):
        yield top / str(number)


def _outcome(job: Job, study: Path, folder: Path) -> Outcome:
    """Run one job in its scratch folder and compare."""
    _show(study, folder, job)
    searched = os.pathsep.join(filter(None, [str(PACKAGE.parent), os.environ.get("PYTHONPATH")]))
    ended = subprocess.run(
        [sys.executable, "-P", "-m", "scorepath", *shlex.split(job.command)[1:]],
        cwd=folder, env=os.environ | {"PYTHONPATH": searched}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if ended.returncode:
        said = (ended.stderr or ended.stdout).strip().splitlines() or [f"exit status {ended.returncode}"]
        return Outcome(job, f"its command failed: {said[-1].removeprefix('scorepath: ')}")
    return Outcome(job, difference(study / job.result, folder / job.result))


def _show(study: Path, folder: Path, job: Job) -> None:
    """Fill a scratch folder with links to what the job may read."""
    folder.mkdir()
    for entry in study.iterdir():
        if entry.name not in OWN:
            (folder / entry.name).symlink_to(entry)
    for result in (PLAN, *job.inputs):
        for path in (result, record_path(result)):
            if (study / path).is_file():
                (folder / path).parent.mkdir(parents=True, exist_ok=True)
                (folder / path).symlink_to(study / path)


# --- comparing --------------------------------------------------------------------------------------------------------


def difference(stored: Path, computed: Path) -> str:
    """Where two results first differ, in words; "" if their bytes are the same."""
    if stored.read_bytes() == computed.read_bytes():
        return ""
    try:
        found = _first_array(stored, computed) if stored.suffix == ".npz" else _first_cell(stored, computed)
    except (ValueError, OSError, EOFError, KeyError, BadZipFile, zlib.error) as error:
        return f"it cannot be read ({error}); `scorepath repair` mends this"
    return found or "the numbers are the same, the bytes are not"


def _first_cell(stored: Path, computed: Path) -> str:
    """The first row and column in which two CSV files differ."""
    with stored.open(encoding="utf-8", newline="") as ours, computed.open(encoding="utf-8", newline="") as theirs:
        rows = zip_longest(csv.reader(ours), csv.reader(theirs))
        header: list[str] = []
        for number, (one, other) in enumerate(rows):
            if one is None or other is None:
                return f"the {'stored' if one is None else 'computed'} file ends after row {number - 1}"
            header = header or one
            for index, (old, new) in enumerate(zip_longest(one, other, fillvalue="nothing")):
                if old != new:
                    column = header[index] if index < len(header) else f"number {index + 1}"
                    return f"row {number}, column {column}: {old} is stored, {new} was computed"
    return ""


def _first_array(stored: Path, computed: Path) -> str:
    """The first array and index in which two npz files differ."""
    with np.load(stored, allow_pickle=False) as ours, np.load(computed, allow_pickle=False) as theirs:
        for name in dict.fromkeys([*ours.files, *theirs.files]):
            if name not in ours.files or name not in theirs.files:
                return f"array {name} is only {'computed' if name in theirs.files else 'stored'}"
            one, other = ours[name], theirs[name]
            if one.shape != other.shape:
                return f"array {name}: the shape {one.shape} is stored, {other.shape} was computed"
            same = (one == other) | ((one != one) & (other != other))  # nan is nan here
            if not same.all():
                place = tuple(int(i) for i in np.argwhere(~same)[0])
                return f"array {name}{list(place) or ''}: {one[place]} is stored, {other[place]} was computed"
    return ""


def _circumstances(jobs: Sequence[Job]) -> Iterator[str]:
    """In what the present differs from the records of the results: it would explain differences."""
    present = versions() | {"processor": processor()}
    found: Counter[str] = Counter()
    for job in jobs:
        path = record_path(job.result)
        if not path.is_file():
            found["without a record of how they were made"] += 1
            continue
        record = load_record(path)
        then = record.versions | {"processor": record.processor}
        for name in sorted(then.keys() | present.keys()):
            if then.get(name) != present.get(name):
                found[f"made with {name} {then.get(name) or 'unknown'}; now it is {present.get(name) or 'absent'}"] += 1
    for words, count in found.items():
        yield f"Note: {count} of these {len(jobs)} results were {words}"


def _older_than_the_plan(outcomes: Sequence[Outcome]) -> int:
    """How many results were made before the present plan, which may have been of another study."""
    paths = [record_path(path) for path in (PLAN, *(outcome.job.result for outcome in outcomes))]
    planned, *made = [load_record(path).started if path.is_file() else "" for path in paths]
    return sum(started < planned for started in made)
