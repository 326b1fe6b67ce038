"""Gradient statistics against JAX, torch.func, Storchastic, Stable-Baselines3, and PyTorch's passes alone.

    python benchmarks/run.py gradients [--quick] [--threads 1 2]

Contestants are separate processes on the same cores. In every case they first have to agree, then they take turns,
one at a time, so that what disturbs the machine disturbs all of them; see benchmarks/README.md.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import tempfile
import time
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from benchmarks.common import BATCH, ROOT, Failure
from benchmarks.gradients.inputs import Results, errors, reference, write_inputs
from benchmarks.gradients.protocol import Case, Contestant
from benchmarks.gradients.results import LABELS, OURS, Row, draw, summary, told, write_table

OUTPUT = ROOT / "results" / "benchmarks"
ENVIRONMENTS = ("pendulum", "cartpole")
ESTIMATORS = ("reinforce", "state_value_baseline", "pathwise")
HORIZONS = (50, 200)
SAMPLES = (256, 1024, 4096, 16384)

LONGEST_CALL = 60.0
"""Seconds; a contestant that would need more is skipped."""
MEMORY_SHARE = 0.7
"""Of the available memory; a contestant that would need more is skipped."""
REST = 0.02
"""Seconds between turns: by then the last contestant's idle threads no longer spin."""
QUARTILES = (0.25, 0.5, 0.75)
TOLERANCE = 1e-3
"""How far results may lie from Scorepath's in float64, relative; README.md says how it was chosen."""


@dataclass(frozen=True)
class Repeats:
    """At least `least` timed calls, then more until `seconds` are spent or `most` calls are made."""

    least: int = 5
    most: int = 15
    seconds: float = 1.0

    def enough(self, times: Collection[float]) -> bool:
        return len(times) >= self.least and (len(times) >= self.most or sum(times) >= self.seconds)


@dataclass
class Entrant:
    """A contestant's process within one group of cases of growing N, and its last case in the group."""

    name: str
    process: Contestant
    samples: int = 0
    seconds: list[float] = field(default_factory=list)
    memory: int = 0
    out: str = ""
    """Why it takes no further part in the group."""

    def reason_to_skip(self, samples: int) -> str:
        """What its last case promises for this many samples: "" or why it is not asked to try."""
        if self.out or not self.seconds:
            return self.out
        growth = samples / self.samples
        if (seconds := growth * float(np.median(self.seconds))) > LONGEST_CALL:
            return f"would take about {seconds:.0f} s a call"
        if (memory := growth * self.memory) > MEMORY_SHARE * available_memory():
            return f"would need about {memory / 2**30:.0f} GiB"
        return ""

    def enter(self, case: Case, exact: Results, found: Path, row: Row, tolerance: float) -> None:
        """Prepare a case, run it once to warm up, and compare with the others.

        Raises:
            Failure: if it cannot, or if its results are not those of the others.
        """
        self.samples, self.seconds, self.memory = case.samples, [], 0
        row.work = self.process.prepare(case)
        self.process.run()
        self.process.save(found)
        with np.load(found) as results:
            distances = errors(results, exact, case.batches)
        for name, distance in distances.items():
            setattr(row, name, distance)
        row.tolerance = tolerance if distances else None
        if not all(distance <= tolerance for distance in distances.values()):
            raise Failure(f"results differ by more than {tolerance:g}")

    def failed(self, failure: Failure) -> str:
        """What to note; a process that died takes no part in larger cases."""
        if not self.process.alive:
            self.out = f"ended with {self.samples} samples"
        return str(failure)

    def take_turn(self) -> None:
        time.sleep(REST)
        seconds, memory = self.process.run()
        self.seconds.append(seconds)
        self.memory = max(self.memory, memory)


def available_memory() -> int:
    """Bytes that processes may still take."""
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    raise OSError("this kernel reports no MemAvailable; the benchmarks need Linux")


def race(
    case: Case, exact: Results, entrants: Sequence[Entrant], threads: int, repeats: Repeats, tolerance: float
) -> list[Row]:
    """One case: who cannot take part says why; the others agree, take turns and get their times."""
    rows = {
        e.name: Row(case.environment, case.estimator, case.horizon, case.samples, threads, e.name) for e in entrants
    }
    found = Path(case.data).with_name("found.npz")
    input_bytes = sum(values.nbytes for values in case.arrays().values())
    racing: list[Entrant] = []
    for entrant in entrants:
        row = rows[entrant.name]
        row.note = entrant.reason_to_skip(case.samples)
        if not row.note:
            try:
                entrant.enter(case, exact, found, row, tolerance)
                racing.append(entrant)
            except Failure as failure:
                row.note = entrant.failed(failure)
    waiting = list(racing)
    while waiting:
        for entrant in list(racing):
            if entrant not in waiting and entrant.name != OURS:  # Scorepath takes every turn: each round has a ratio
                continue
            try:
                entrant.take_turn()
            except Failure as failure:
                rows[entrant.name].note = entrant.failed(failure)
                racing.remove(entrant)
        waiting = [entrant for entrant in waiting if entrant in racing and not repeats.enough(entrant.seconds)]
    ours = next((entrant.seconds for entrant in racing if entrant.name == OURS), [])
    for entrant in racing:
        row, seconds = rows[entrant.name], np.array(entrant.seconds)
        row.repeats, row.peak_memory_bytes = len(seconds), entrant.memory
        row.input_bytes = input_bytes
        row.seconds_low, row.seconds, row.seconds_high = np.quantile(seconds, QUARTILES).tolist()
        if len(ours) >= len(seconds):
            ratios = seconds / np.array(ours[: len(seconds)])
            row.ratio_low, row.ratio, row.ratio_high = np.quantile(ratios, QUARTILES).tolist()
    return list(rows.values())


# --- the command ----------------------------------------------------------------------------------------------------


def measure(arguments: argparse.Namespace, repeats: Repeats, path: Path) -> list[Row]:
    """All cases; the table on disk grows with every one, so that an interrupted run leaves what it has."""
    rows: list[Row] = []
    samples = sorted(arguments.samples)  # a process keeps memory: peaks must grow with N, not be left over
    groups = itertools.product(arguments.environments, arguments.horizons, arguments.estimators)
    with tempfile.TemporaryDirectory(prefix="scorepath-benchmark-") as folder:
        data = Path(folder) / "inputs.npz"
        for environment, horizon, estimator in groups:
            write_inputs(environment, horizon, samples[-1], data)
            cases = [Case(environment, estimator, horizon, count, str(data)) for count in samples]
            exact = reference(cases[-1])
            for threads in arguments.threads:
                entrants = [Entrant(name, Contestant(name, threads)) for name in arguments.contestants]
                for case in cases:
                    new = race(case, exact, entrants, threads, repeats, arguments.tolerance)
                    rows += new
                    write_table(rows, path)
                    print(*(told(row) for row in new), sep="\n", flush=True)
                for entrant in entrants:
                    entrant.process.close()
    return rows


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="small cases and few repeats: does everything work?")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--environments", nargs="+", choices=ENVIRONMENTS, default=ENVIRONMENTS)
    parser.add_argument("--estimators", nargs="+", choices=ESTIMATORS, default=ESTIMATORS)
    parser.add_argument("--contestants", nargs="+", choices=list(LABELS), default=list(LABELS))
    parser.add_argument("--horizons", type=int, nargs="+", help="default: 50 200")
    parser.add_argument("--samples", type=int, nargs="+", help="multiples of 64; default: 256 1024 4096 16384")
    parser.add_argument("--tolerance", type=float, default=TOLERANCE, help="how far results may lie apart, relative")
    parser.add_argument("--output", type=Path, default=OUTPUT, help="folder of the table and the figure")
    options = parser.parse_args(arguments)
    options.horizons = options.horizons or ([10] if options.quick else HORIZONS)
    options.samples = options.samples or ([64, 128] if options.quick else SAMPLES)
    if wrong := [count for count in options.samples if count < BATCH or count % BATCH]:
        parser.error(f"--samples must be multiples of {BATCH}, got {wrong[0]}")
    repeats = Repeats(least=2, most=3, seconds=0.1) if options.quick else Repeats()
    path = options.output / "gradients.csv"
    rows = measure(options, repeats, path)
    table = pd.DataFrame(map(asdict, rows))
    draw(table, path.with_suffix(".svg"))
    text = summary(table)
    path.with_suffix(".md").write_text(text + "\n", encoding="utf-8")
    print(f"\n{text}\n\nWritten: {path}, gradients.md and gradients.svg beside it.")


if __name__ == "__main__":
    main(sys.argv[1:])
