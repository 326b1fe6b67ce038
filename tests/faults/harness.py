"""Interrupts a very small study at many random moments, does what the README says, and compares with a run left alone.

    python -m tests.faults.harness --interruptions 100 --seed 1

A round starts from nothing and meets several faults in a row, at moments spread over the whole run: planning, cells,
gathers, figures, report. After each one every file that a reader would take must be whole, no process may run on, and
what the user is told must be a sentence. In the end all results (timings aside) must equal those of a run left alone,
byte for byte. The project lies on a small file system in memory, which can be filled up and made read-only; that needs
root, and without it those kinds are reported as not run.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import zipfile
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.workflow.conftest import BIN, Project, new_project

from scorepath.store.records import record_path, require_intact

MARK = "FAULTS_OF"
"""Environment variable by which the study's processes are known, whoever their parents are."""
TIMED = {
    *("results/costs/cosine.csv", "results/costs/lqr.csv", "results/costs/swing.csv"),
    *("results/tables/costs.csv", "results/tables/verdicts_compute.csv"),
    *("reports/report.html", "reports/crate.zip"),
    *(f"results/figures/{name}.svg" for name in ("cost", "learning_curves_seconds", "verdict_map")),
}
"""The results that hold measured seconds, or are drawn from them."""
SIZE = 64 << 20
"""Bytes of the file system while there is room."""
PATIENCE = 30.0
"""Seconds within which everything must be gone."""
LONGEST = 300.0
"""Seconds after which a command is taken for hung."""
FAULTS_PER_ROUND = 5
PLANNING = 3.0
"""Seconds until a study writes its first file, the plan, about."""


class Failed(Exception):
    """What is not as the README promises."""


# --- the study and its disk -------------------------------------------------------------------------------------------


class Study:
    """A project folder on a file system of its own, if there may be one."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        self.disk = folder / "disk"
        self.disk.mkdir()
        self.log = folder / "output.txt"
        self.mounted = self._mount("-t", "tmpfs", "-o", f"size={SIZE}", "scorepath-faults", str(self.disk))
        self.project = new_project(self.disk / "study")

    @staticmethod
    def _mount(*arguments: str) -> bool:
        with contextlib.suppress(FileNotFoundError):
            return subprocess.run(["mount", *arguments], capture_output=True, check=False).returncode == 0
        return False

    def path(self, name: str) -> Path:
        return self.project.path(name)

    @staticmethod
    def _require(mounted: bool) -> None:
        if not mounted:
            raise RuntimeError("the file system of the study cannot be changed")

    def resize(self, size: int) -> None:
        self._require(self._mount("-o", f"remount,size={size}", str(self.disk)))

    def fill(self, room: int) -> None:
        """Leave this many bytes of room, as the blocks allow."""
        while not self._mount("-o", f"remount,size={shutil.disk_usage(self.disk).used + room}", str(self.disk)):
            room += 4096  # the study goes on writing meanwhile

    @contextlib.contextmanager
    def read_only(self) -> Iterator[None]:
        """Make the whole project read-only: it must not be at work."""
        self._require(self._mount("-o", "remount,ro", str(self.disk)))
        try:
            yield
        finally:
            self._require(self._mount("-o", "remount,rw", str(self.disk)))

    @contextlib.contextmanager
    def read_only_results(self) -> Iterator[None]:
        """Lay a read-only view over results/ and reports/: it works while files in there are open for writing."""
        # an empty one is left out: Snakemake removes it, and a place of mounting can't be removed
        folders = [self.path(name) for name in ("results", "reports")]
        places = [str(folder) for folder in folders if folder.is_dir() and any(folder.iterdir())]
        for place in places:
            self._require(self._mount("--bind", place, place))
            self._require(self._mount("-o", "remount,bind,ro", place))
        try:
            yield
        finally:
            for place in places:
                subprocess.run(["umount", "-l", place], check=True)

    def start(self) -> subprocess.Popen[bytes]:
        """The command of the README, as the leader of a process group."""
        # ignored where this runs in the background of a script, and handed on to the study
        signal.signal(signal.SIGINT, signal.default_int_handler)
        with self.log.open("wb") as output:
            return subprocess.Popen(
                [str(BIN / "scorepath"), "run", "--cores", "2"],
                cwd=self.project.folder, env=self.environment, stdin=subprocess.DEVNULL, stdout=output,
                stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip

    @property
    def environment(self) -> dict[str, str]:
        return self.project.environment | {MARK: str(self.disk)}

    def output(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")

    def locked(self) -> bool:
        locks = self.path(".snakemake/locks")
        return locks.is_dir() and any(locks.iterdir())

    def processes(self) -> dict[int, list[str]]:
        """All processes of the study, with their command lines."""
        found = {}
        wanted = f"{MARK}={self.disk}".encode()
        for folder in Path("/proc").iterdir():
            if folder.name.isdigit():
                with contextlib.suppress(OSError):
                    if wanted in (folder / "environ").read_bytes().split(b"\0"):
                        line = (folder / "cmdline").read_bytes().decode(errors="replace").split("\0")
                        found[int(folder.name)] = line
        return found

    def workers(self) -> list[int]:
        return [
            pid
            for pid, line in self.processes().items()
            if "scorepath.running.worker" in line and not self._forked(pid)
        ]

    def hands(self) -> list[int]:
        return [
            pid for pid, line in self.processes().items() if "scorepath.running.worker" in line and self._forked(pid)
        ]

    def jobs_without_worker(self) -> list[int]:
        """Jobs as a shell starts them where there is no worker; not the shells around them."""
        return [
            pid
            for pid, line in self.processes().items()
            if len(line) > 2 and line[1].endswith("/scorepath") and line[2] != "run"
        ]

    def _forked(self, pid: int) -> bool:
        """Whether a process of the worker's has the worker for a parent."""
        with contextlib.suppress(OSError):
            parent = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
            return b"scorepath.running.worker" in Path(f"/proc/{parent}/cmdline").read_bytes()
        return False

    def clear(self) -> None:
        for name in ("results", "reports", ".snakemake"):
            shutil.rmtree(self.path(name), ignore_errors=True)

    def close(self) -> None:
        for pid in self.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if self.mounted:
            subprocess.run(["umount", "-l", str(self.disk)], check=False)


def results_in(project: Project) -> dict[str, bytes | None]:
    """All files under results/ and reports/ but records, logs and hidden ones; None for what is no file."""
    found: dict[str, bytes | None] = {}
    for top in ("results", "reports"):
        for path in sorted(project.path(top).rglob("*")):
            name = path.relative_to(project.folder).as_posix()
            if name.startswith(("results/logs", "results/records")) or path.name.startswith("."):
                continue
            if path.is_file():
                found[name] = path.read_bytes()
            elif path.suffix in (".csv", ".npz", ".svg", ".html", ".json", ".zip"):
                found[name] = None
    return found


@dataclass(frozen=True)
class Reference:
    """A run left alone: what it wrote and when, in seconds since its start."""

    results: dict[str, bytes]
    times: dict[str, float]

    @property
    def duration(self) -> float:
        return max(self.times.values())

    def reached(self, study: Study) -> float:
        """How far a study is: the moment at which the run left alone had as many results."""
        return sorted([0.0, *self.times.values()])[self._done(study)]

    def wait(self, study: Study, process: Running, moment: float) -> bool:
        """Wait until a running study is where the run left alone was at a moment; False if it ended before."""
        earlier = [written for written in self.times.values() if written <= moment]
        while self._done(study) < len(earlier) and process.poll() is None:
            time.sleep(0.03)
        struck = time.monotonic() + moment - max(earlier, default=0.0)
        # or when the next result is there, which on a busy machine may be earlier
        while time.monotonic() < struck and self._done(study) <= len(earlier) and process.poll() is None:
            time.sleep(0.03)
        return process.poll() is None

    def set_back(self, study: Study, moment: float) -> None:
        """Delete what the run left alone did not yet have at a moment."""
        for name, written in self.times.items():
            if written > moment and study.path(name).is_file():
                study.path(name).unlink()

    def _done(self, study: Study) -> int:
        return sum(study.path(name).exists() for name in self.times)


def left_alone(study: Study) -> Reference:
    """Run the study from nothing."""
    study.clear()
    process = study.start()
    if process.wait(LONGEST):
        raise RuntimeError(f"the study does not even run when left alone:\n{study.output()}")
    return reference_of(study.project)


def reference_of(project: Project) -> Reference:
    """A finished study as a reference."""
    results = {name: data for name, data in results_in(project).items() if data is not None}
    written = {name: project.path(name).stat().st_mtime for name in results}
    began = min(written.values()) - PLANNING
    return Reference(results, {name: moment - began for name, moment in written.items()})


# --- the faults -------------------------------------------------------------------------------------------------------

Running = subprocess.Popen[bytes]
Strike = Callable[[Study, Running, random.Random], str | None]
"""Makes the fault and waits until the command ends; what it did, or None where there was nothing to strike."""


def ended(process: subprocess.Popen[bytes]) -> int:
    try:
        return process.wait(LONGEST)
    except subprocess.TimeoutExpired:
        raise Failed(f"the command has not ended after {LONGEST:.0f} s") from None


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


GOES_ON = ("the same command goes on", "the same command runs what is missing", "Complete log")
REPAIR = ("scorepath repair", "cannot be read", "is damaged", *GOES_ON)
KINDS: dict[str, Kind] = {
    "SIGINT to Snakemake": Kind(send(signal.SIGINT, group=False), GOES_ON),
    "SIGINT to the process group (Ctrl-C)": Kind(send(signal.SIGINT, group=True), GOES_ON),
    "SIGTERM to Snakemake": Kind(send(signal.SIGTERM, group=False), GOES_ON),
    "SIGTERM to the process group": Kind(send(signal.SIGTERM, group=True), GOES_ON),
    "kill -9 of Snakemake": Kind(send(signal.SIGKILL, group=False)),
    "kill -9 of a job, or of the worker's process for the next": Kind(kill(Study.hands), GOES_ON),
    "kill -9 of the worker": Kind(kill(Study.workers), GOES_ON),
    "kill -9 of the worker, then of a job without it": Kind(kill(Study.workers, Study.jobs_without_worker), GOES_ON),
    "full disk": Kind(fill_disk, ("No space left on device",), needs_mount=True),
    "read-only output folder": Kind(read_only, ("Read-only file system",), needs_mount=True),
    "damaged result": Kind(damage_one(with_records), REPAIR),
    "damaged record": Kind(damage_one(some_records), REPAIR),
    "unreadable checkpoint": Kind(damage_one(checkpoints), REPAIR),
    "damaged bookkeeping or log": Kind(damage_one(bookkeeping), GOES_ON),
    "read-only project": Kind(before_the_start, ("Read-only file system",), needs_mount=True),
}


# --- what must be true ------------------------------------------------------------------------------------------------


def check_files(study: Study, reference: Reference) -> None:
    """Every file that a reader would take is whole: as a run left alone wrote it, or not to be told from it."""
    with contextlib.chdir(study.project.folder):
        for name, data in results_in(study.project).items():
            if name not in reference.results:
                raise Failed(f"{name} is no result of this study")
            whole = data is not None and (
                same_shape(data, reference.results[name]) if name in TIMED else data == reference.results[name]
            )
            if not whole and data is not None and accepted(Path(name)):
                raise Failed(f"{name} is not what a run left alone wrote, and a reader would take it")


def accepted(result: Path) -> bool:
    try:
        require_intact(result)
    except ValueError:
        return False
    return True


def same_shape(data: bytes, other: bytes) -> bool:
    """Whether two files with different seconds in them are equally whole."""
    if other.startswith(b"PK"):
        return zipfile.is_zipfile(io.BytesIO(data))
    return data[-7:] == other[-7:] if other.startswith(b"<") else data.count(b"\n") == other.count(b"\n")


def check_processes(study: Study) -> float:
    """Nothing runs on; the seconds until that was so."""
    began = time.monotonic()
    while left := study.processes():
        if time.monotonic() - began > PATIENCE:
            raise Failed(f"still running after {PATIENCE:.0f} s: {left}")
        time.sleep(0.05)
    return time.monotonic() - began


def check_words(study: Study, answers: tuple[str, ...], came_through: bool) -> None:
    """A sentence, and no traceback, on the screen and in the logs of jobs."""
    output = study.output()
    logs = [path for path in study.path("results/logs").rglob("*.log") if b"Traceback" in path.read_bytes()]
    # Python itself says this of Ctrl-C, where it has not yet come to our code; on the screen it is "stopped"
    logs = [path for path in logs if not path.read_bytes().rstrip().endswith(b"KeyboardInterrupt")]
    if "Traceback" in output:
        raise Failed(f"the answer is a traceback:\n{output}")
    if logs:
        raise Failed(f"{logs[0].relative_to(study.project.folder)} holds a traceback:\n{logs[0].read_text()}")
    if answers and not came_through and not any(answer in output for answer in answers):
        raise Failed(f"the output says none of {answers}")


def check_end(study: Study, reference: Reference) -> None:
    """All results are there, and equal those of the run left alone."""
    check_files(study, reference)
    found = results_in(study.project)
    for name, data in reference.results.items():
        if name not in found:
            raise Failed(f"{name} is missing")
        if name not in TIMED and found[name] != data:
            raise Failed(f"{name} differs from that of a run left alone")
    partial = [path for top in ("results", "reports") for path in study.path(top).rglob(".*")]
    if partial:
        raise Failed(f"{partial[0]} was left behind")


# --- rounds -----------------------------------------------------------------------------------------------------------


@dataclass
class Tally:
    """What came of one kind."""

    done: int = 0
    identical: int = 0
    """Times that the study was completed and equal in the end."""
    came_through: int = 0
    """The struck command itself ended well."""
    locks: int = 0
    """A lock was left, named with its remedy, and removed."""
    seconds: float = 0.0
    """From the fault to the end of the struck command."""
    slowest_end: float = 0.0
    """The longest time until nothing ran any more."""


@dataclass
class Harness:
    study: Study
    reference: Reference
    tallies: dict[str, Tally] = field(default_factory=lambda: defaultdict(Tally))
    story: list[str] = field(default_factory=list)
    """What was done in this round, for the report of a failure."""
    last: str = ""
    """The kind of the last fault."""

    def round(self, kinds: list[str], rng: random.Random) -> None:
        """From nothing to a complete study, through these faults."""
        self.study.clear()
        self.story = []
        moments = sorted(rng.uniform(0, self.reference.duration) for _ in kinds)
        for kind, moment in zip(kinds, moments, strict=True):
            self.interrupt(kind, moment, rng)
        self.unlock()
        self.tell("left alone to its end")
        status = ended(self.study.start())
        check_words(self.study, (), True)
        check_processes(self.study)
        if status:
            raise Failed(f"the same command did not complete the study (status {status})")
        check_end(self.study, self.reference)
        for kind in kinds:
            self.tallies[kind].identical += 1

    def interrupt(self, kind: str, moment: float, rng: random.Random) -> None:
        """One fault of this kind, at that moment of the run; where it finds nothing to strike, a little earlier."""
        before = moment
        struck: str | None = None
        while struck is None:
            if self.reference.reached(self.study) > before:
                before = max(0.0, before - rng.uniform(0, 5))
                self.reference.set_back(self.study, before)
            self.unlock()
            if KINDS[kind].strike is before_the_start:
                with self.study.read_only():
                    process, began, struck = self.study.start(), time.monotonic(), "before the start"
                    ended(process)
                continue
            process = self.study.start()
            if self.reference.wait(self.study, process, moment):
                began = time.monotonic()
                struck = KINDS[kind].strike(self.study, process, rng)
            ended(process)
            if struck is None:
                moment = before = rng.uniform(0, moment)
        self.last = kind
        tally = self.tallies[kind]
        said = self.study.output().splitlines()[-1:]
        self.tell(f"{kind} at {moment:.1f} s: {struck}; status {process.returncode}; {' '.join(said)[:150]}")
        tally.seconds += time.monotonic() - began
        came_through = process.returncode == 0
        check_words(self.study, KINDS[kind].answers, came_through)
        tally.slowest_end = max(tally.slowest_end, check_processes(self.study))
        check_files(self.study, self.reference)
        tally.done += 1
        tally.came_through += came_through

    def unlock(self) -> None:
        """If a lock was left: the command must say how to remove it, and that must do."""
        if not self.study.locked():
            return
        ended(self.study.start())
        if "--unlock" not in self.study.output():
            raise Failed("a lock was left, and the output doesn't say how to remove it")
        check_words(self.study, (), True)
        unlocked = self.study.project.execute(str(BIN / "snakemake"), "--unlock")
        if unlocked.status or self.study.locked():
            raise Failed(f"the lock cannot be removed: {unlocked.output}")
        self.tell("the lock was removed as the output says")
        self.tallies[self.last].locks += 1

    def tell(self, what: str) -> None:
        self.story.append(what)


def deck(kinds: list[str], seed: int) -> Iterator[str]:
    """All kinds in random order, again and again."""
    rng = random.Random(seed)
    while True:
        yield from rng.sample(kinds, len(kinds))


def table(tallies: dict[str, Tally], missing: list[str]) -> str:
    """What came of each kind, as a table in Markdown."""
    heads = ["kind", "times", "complete and identical", "run ended well by itself", "lock left, named, removed"]
    rows = [[*heads, "seconds until the command ended (mean)", "until no process was left (worst)"]]
    rows.append(["---"] * len(rows[0]))
    for kind in KINDS:
        if kind in missing:
            rows.append([kind, "not run: `mount` needs root", *[""] * 5])
        elif t := tallies.get(kind):
            seconds = [f"{t.seconds / max(1, t.done):.1f}", f"{t.slowest_end:.1f}"]
            rows.append([kind, *map(str, (t.done, t.identical, t.came_through, t.locks)), *seconds])
    counts = ("done", "identical", "came_through", "locks")
    totals = [sum(getattr(t, count) for t in tallies.values()) for count in counts]
    rows.append(["all", *map(str, totals), "", ""])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def main() -> int:
    """The long run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--interruptions", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--round", type=int, help="only this round of the seed, to repeat a failure")
    parser.add_argument("--keep", type=Path, default=Path(tempfile.gettempdir()), help="where a failed study is kept")
    arguments = parser.parse_args()

    folder = Path(tempfile.mkdtemp(prefix="scorepath-faults-"))
    study = Study(folder / "study")
    missing = [kind for kind in KINDS if KINDS[kind].needs_mount and not study.mounted]
    kinds = deck([kind for kind in KINDS if kind not in missing], arguments.seed)
    began = time.monotonic()
    number, failed = 0, False
    try:
        harness = Harness(study, left_alone(study))
        print(f"A run left alone takes {harness.reference.duration:.0f} s.", flush=True)
        left = arguments.interruptions
        try:
            while left > 0:
                number += 1
                chosen = [next(kinds) for _ in range(min(FAULTS_PER_ROUND, left))]
                left -= len(chosen)
                if arguments.round in (None, number):
                    failed |= not one_round(harness, chosen, arguments.seed, number, arguments.keep)
        except KeyboardInterrupt:
            print(f"Stopped in round {number}; until then:")
    finally:
        study.close()
        shutil.rmtree(folder, ignore_errors=True)
    print(f"\n{table(harness.tallies, missing)}\n\n{(time.monotonic() - began) / 60:.0f} minutes.")
    return int(failed)


def one_round(harness: Harness, kinds: list[str], seed: int, number: int, keep: Path) -> bool:
    """Whether a round went well; a failed one is told, and its project kept."""
    try:
        harness.round(kinds, random.Random(f"{seed}/{number}"))
    except Failed as failure:
        kept = keep / f"scorepath-faults-seed-{seed}-round-{number}"
        shutil.rmtree(kept, ignore_errors=True)
        shutil.copytree(harness.study.project.folder, kept, symlinks=True)
        told = "\n  ".join(harness.story)
        print(f"round {number} FAILED: {failure}\n  {told}\nThe command's last output:\n{harness.study.output()}")
        print(f"Kept: {kept}. Again: python -m tests.faults.harness --seed {seed} --round {number}", flush=True)
        return False
    print(f"round {number}: complete and identical after {'; '.join(harness.story)}", flush=True)
    return True


if __name__ == "__main__":
    sys.exit(main())
