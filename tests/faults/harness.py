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
import random
import shutil
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.faults.checks import check_end, check_files, check_processes, check_words
from tests.faults.reference import Reference, left_alone
from tests.faults.strikes import KINDS, before_the_start
from tests.faults.study import Failed, Study, ended
from tests.helpers.project import BIN

FAULTS_PER_ROUND = 5


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
            said = self.study.output()
            raise Failed(f"the same command did not complete the study (status {status}); it said:\n{said}")
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
