"""The faults: what can strike a study that runs, and what the command that was struck must say then."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import yaml
from tests.faults.reference import results_in
from tests.faults.study import SIZE, Failed, Running, Study, ended

from scorepath.store.records import record_path

Strike = Callable[[Study, Running, random.Random], str | None]
"""Makes the fault and waits until the command ends; what it did, or None where there was nothing to strike."""


def handles_signals(pid: int) -> bool:
    """Whether a command has come to its own code: before, a signal is Python's, or ends it without a word."""
    with contextlib.suppress(OSError):
        caught = Path(f"/proc/{pid}/status").read_text().partition("SigCgt:")[2].split()[0]
        return bool(int(caught, 16) >> (signal.SIGTERM - 1) & 1)
    return False


def send(number: signal.Signals, group: bool) -> Strike:
    def strike(study: Study, process: Running, rng: random.Random) -> str:
        while process.poll() is None and not handles_signals(process.pid):
            time.sleep(0.001)
        (os.killpg if group else os.kill)(process.pid, number)
        ended(process)
        return number.name

    return strike


def kill(*kinds: Callable[[Study], list[int]]) -> Strike:
    """kill -9 of one process of each of these kinds in turn, as soon as there is one."""

    def strike(study: Study, process: Running, rng: random.Random) -> str | None:
        victims: list[int] = []
        while len(victims) < len(kinds) and process.poll() is None:
            if found := kinds[len(victims)](study):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(victim := rng.choice(found), signal.SIGKILL)
                    victims.append(victim)
            time.sleep(0.01)
        ended(process)
        return f"process {', '.join(map(str, victims))}" if len(victims) == len(kinds) else None

    return strike


def fill_disk(study: Study, process: Running, rng: random.Random) -> str:
    room = rng.choice([0, 4, 8, 16, 32, 64, 128]) << 10
    study.fill(room)
    ended(process)
    study.resize(SIZE)
    return f"{room >> 10} kB left"


def read_only(study: Study, process: Running, _: random.Random) -> str:
    with study.read_only_results():
        ended(process)
    return "results/ and reports/"


def another_study(study: Study, process: Running, _: random.Random) -> str | None:
    """Another configuration, looked at and started while this one runs, which is stopped meanwhile so as not to end."""
    other = study.path("other.yaml")
    own = yaml.safe_load(study.path("config.yaml").read_text())
    other.write_text(yaml.safe_dump({**own, "seed": 2}, sort_keys=False))
    locks = study.path(".snakemake/locks")
    while process.poll() is None and not (locks.is_dir() and any(locks.iterdir())):
        time.sleep(0.01)
    if process.poll() is not None:
        return None
    os.kill(process.pid, signal.SIGSTOP)
    try:
        looked = study.project.snakemake("--dry-run", "--configfile", other.name)
        started = study.project.snakemake("--cores", "2", "--configfile", other.name)
    finally:
        os.kill(process.pid, signal.SIGCONT)
    if looked.status or not started.status or "Another run is at work" not in started.output:
        raise Failed(f"another study was not refused:\n{looked.output}\n{started.output}")
    ended(process)
    return "looked at and refused"


def before_the_start(*_: object) -> str:
    """A read-only project can't be had while logs are open: `Harness.interrupt` makes it so before the start."""
    raise NotImplementedError


def damage(path: Path, rng: random.Random) -> str:
    """Spoil a file in one of several ways."""
    data = path.read_bytes()
    ways = ["truncated", "garbled", "emptied", "a folder in its place"]
    way = rng.choice(ways if path.suffix == ".npz" else ways[:3])
    if way == "truncated":
        path.write_bytes(data[: rng.randrange(len(data))])
    elif way == "garbled":
        place = rng.randrange(len(data))
        path.write_bytes(data[:place] + bytes([data[place] ^ 0xFF]) + data[place + 1 :])
    elif way == "emptied":
        path.write_bytes(b"")
    else:
        path.unlink()
        path.mkdir()
    return way


def damage_one(choose: Callable[[Study], list[Path]]) -> Strike:
    """Spoil one of these files while the study runs, which goes on to its end."""

    def strike(study: Study, process: Running, rng: random.Random) -> str | None:
        while process.poll() is None:
            if found := [path for path in choose(study) if path.is_file() and path.stat().st_size]:
                path = rng.choice(found)
                with contextlib.suppress(FileNotFoundError):  # where Snakemake was faster
                    way = damage(path, rng)
                    ended(process)
                    return f"{path.relative_to(study.project.folder)} {way}"
            time.sleep(0.03)
        return None

    return strike


def with_records(study: Study) -> list[Path]:
    with contextlib.chdir(study.project.folder):
        names = [name for name in results_in(study.project) if record_path(Path(name)).is_file()]
    return [study.path(name) for name in names]


def some_records(study: Study) -> list[Path]:
    return sorted(study.path("results/records").rglob("*.json"))


def checkpoints(study: Study) -> list[Path]:
    return [path for path in with_records(study) if path.name == "policies.npz"]


def bookkeeping(study: Study) -> list[Path]:
    """What Snakemake notes for itself, and logs."""
    folders = [study.path(name) for name in (".snakemake/metadata", ".snakemake/incomplete", "results/logs")]
    return [path for folder in folders for path in sorted(folder.rglob("*")) if path.is_file()]


@dataclass(frozen=True)
class Kind:
    strike: Strike
    answers: tuple[str, ...] = ()
    """One of these must be in the output of the command that was struck, unless it came through."""
    needs_mount: bool = False
    without_worker: bool = False
    """The rest of the run has no warm worker: each of its jobs imports everything anew."""


GOES_ON = ("the same command goes on", "the same command runs what is missing", "Complete log")
REPAIR = ("scorepath repair", "cannot be read", "is damaged", *GOES_ON)
KINDS: dict[str, Kind] = {
    "SIGINT to Snakemake": Kind(send(signal.SIGINT, group=False), GOES_ON),
    "SIGINT to the process group (Ctrl-C)": Kind(send(signal.SIGINT, group=True), GOES_ON),
    "SIGTERM to Snakemake": Kind(send(signal.SIGTERM, group=False), GOES_ON),
    "SIGTERM to the process group": Kind(send(signal.SIGTERM, group=True), GOES_ON),
    "kill -9 of Snakemake": Kind(send(signal.SIGKILL, group=False)),
    "kill -9 of a job, or of the worker's process for the next": Kind(kill(Study.hands), GOES_ON),
    "kill -9 of the worker": Kind(kill(Study.workers), GOES_ON, without_worker=True),
    "kill -9 of the worker, then of a job without it": Kind(
        kill(Study.workers, Study.jobs_without_worker), GOES_ON, without_worker=True
    ),
    "full disk": Kind(fill_disk, ("No space left on device",), needs_mount=True),
    "read-only output folder": Kind(read_only, ("Read-only file system",), needs_mount=True),
    "damaged result": Kind(damage_one(with_records), REPAIR),
    "damaged record": Kind(damage_one(some_records), REPAIR),
    "unreadable checkpoint": Kind(damage_one(checkpoints), REPAIR),
    "damaged bookkeeping or log": Kind(damage_one(bookkeeping), GOES_ON),
    "another configuration started in the folder": Kind(another_study),
    "read-only project": Kind(before_the_start, ("Read-only file system",), needs_mount=True),
}
