"""How often intervals hold the truth and verdicts are wrong: measured, by kind of tail, through the library's own code.

    python -m benchmarks.calibration

Three parts. Simulated samples whose moments are known, from normal to hopeless, each class against itself and against
normal ones, at equal true error; real cells whose variance and gradient are known exactly, over many seeds; and the
tail gate at other numbers of samples. Two processes, some minutes. It writes the data that the report shows, and
docs/calibration.md from them; `--page` writes that page alone. `--repeats` and `--seeds` make it shorter, and its
tables coarser.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import torch
from benchmarks.calibration.cells import CELLS, ONE_STEP, SIGMAS, Cells, exact_cells, summed
from benchmarks.calibration.counts import Count
from benchmarks.calibration.gate import NAMES, WITHOUT, let_through
from benchmarks.calibration.simulated import CART_POLE, CLASSES, Rates, simulate

from scorepath.reporting import calibration

ROOT = Path(__file__).parents[2]
DATA = ROOT / "src/scorepath/reporting" / calibration.FILE
PAGE = ROOT / "docs/calibration.md"
SPOT = "Student's t, 3 degrees of freedom", 20
"""Class and repetitions of a spot check: counts that the code of the release has to give again, exactly."""


def page(data: Mapping[str, Any]) -> Iterator[str]:
    """docs/calibration.md."""
    yield from INTRODUCTION.format(**data).strip().splitlines()
    for table in calibration.tables(data):
        yield from ("", f"## {table.title}", "", "| " + " | ".join(table.head) + " |", "|" + "---|" * len(table.head))
        for row in table.rows:
            yield "| " + " | ".join(f"**{text}**" if missed else text for text, missed in row) + " |"


def spot_check() -> dict[str, int]:
    """How many of the first repetitions of a class each interval covers."""
    found = simulate(*SPOT)
    counts = {"passed": found.passed, "variance": found.variance, "mean": found.mean, "biased": found.biased}
    return {name: count.hits for name, count in counts.items()}


def recorded(
    classes: list[Rates], cells: list[Cells], gate: Mapping[str, Mapping[int, Count]], repeats: int, seeds: int
) -> dict[str, Any]:
    """What is kept of the counts."""
    return {
        "repeats": repeats, "seeds": seeds, "spot_check": spot_check(),
        "simulated": [
            {"name": each.name}
            | {name: getattr(each, name).recorded()
               for name in ("passed", "variance", "bare", "limit", "mean", "unbiased", "biased")}
            | {f"{kind}_{rival}": count.recorded()
               for kind in ("ratio", "wrong") for rival, count in getattr(each, kind).items()}
            for each in classes
        ],
        "cells": [
            {"name": each.name, "cells": each.cells, "decided": each.wrong.of}
            | {name: getattr(each, name).recorded()
               for name in ("passed", "variance", "bias", "projection", "ratio", "undecided", "wrong")}
            for each in cells
        ],
        "gate": [
            {"name": name, "variance": name not in {each.name for each in WITHOUT},
             "passed": {str(number): count.recorded() for number, count in counts.items()}}
            for name, counts in gate.items()
        ],
    }  # fmt: skip


INTRODUCTION = """
# Calibration

<!-- made by `python -m benchmarks.calibration` -->

How often the 95 % intervals hold the truth, and how often a verdict is wrong, measured through the code that the study
uses: 64 batches of 64 samples. The aims are 93 to 97 % wherever the tail gate lets a number through; at most 5 % of
verdicts that name a winner where both errors are truly equal; fewer than 1 % wrong ones among decided signs. Numbers
are per cent with their standard error; **bold** ones miss their aim by more than two of these. The report has the same
tables.

The gate (`scorepath.tails`) lets no variance through that rests on fewer than 8 samples, or where the squared
deviations' Hill index, of their largest hundredth, is 1 or less. What it lets through it widens. Upwards: of a Pareto
tail of index α whose k largest samples hold S of the sum, k^(1/α − 1) S lies beyond the level that one of them passes
on average, and where none does, which happens with probability 1/e, all of that is unseen. The index is taken a
standard error lower than its estimate, and less is allowed for where the largest sample stays below that level. An
interval of a variance allows for 1/α of it, what is unseen on average. A ratio allows for all of it, less what the
other's tail would hold if its index were a standard error higher, for what both lack cancels. Downwards: where a gate
seldom opens, what comes through has been lucky (of events expected four times, eight that happened mislead), so the
lower limit is one given that the gate opened. Beside a variance that cannot be measured a smaller error can still be
told, from that variance's lower limit alone: a single limit, which should hold in 95 % at least. Samples that are all
alike are not let through here, as in the study they are no signal; means and squared biases count them.

What is missed is missed for reasons of principle, and the column *variance, nothing allowed for* shows them.

1. From 4096 samples a variance that is dominated by what has not been seen cannot be told from one that is known:
   Student's t with three degrees of freedom looks like the cube of a normal, and its Hill index is no smaller. So
   what one of them needs the other is given as well, and is covered too often. Where verdicts between Student's t and a
   lighter tail are wrong, nearly all call Student's t better, of samples that lack a sixth of its variance. These look
   as if their tail were light: an allowance from their largest sample would be a third of the usual one. In 20,000
   repetitions verdicts against it are wrong in 5.2 ± 0.2 % (cube of a normal), 5.0 (lognormal, σ = 0.5), 4.7 (Student's
   t, 5) and 3.7 (normal).
2. Eight events may be a lucky eight of four or an unlucky eight of fourteen, so their lower limit is next to nothing:
   where events are rare, what comes through is covered too often, or, with nothing allowed for, far too seldom.
3. The Hill index of the largest hundredth of 4096 samples has a standard error of 16 %, so of samples that have no
   variance some are let through, and whatever finite interval they are given is wrong: the last table. A gate that
   asked for an index a standard error above 1 would let a quarter of these through or fewer, but of 256 samples, as an
   advice has them, it would close on two in three of lognormal ones with σ = 0.5.

The gate errs on the other side, too: it closes on samples that could be measured, of two scales above all, whose
largest hundredth runs from one scale to the other and looks like a tail without end. That costs decisions, and makes no
number wrong. A sum that rests on as many samples as the tail has would tell these, but also the lucky ones among
lognormal samples of σ = 1.5, which lack a third of their variance: of 10,000 repetitions it would let through 91 % and
5 %, and of these latter four in five intervals would lie below the truth with nothing allowed for.

{repeats} repetitions of each class, {seeds} seeds of each cell.
"""


def write_page() -> None:
    data = json.loads(DATA.read_text(encoding="utf-8"))
    PAGE.write_text("\n".join(page(data)) + "\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=1000)
    parser.add_argument("--seeds", type=int, default=60)
    parser.add_argument("--page", action="store_true")
    options = parser.parse_args()
    if options.page:
        write_page()
        return
    names = [*(each.name for each in CLASSES), CART_POLE]
    with ProcessPoolExecutor(2, initializer=partial(torch.set_num_threads, 1)) as pool:
        slow = pool.submit(simulate, CART_POLE, options.repeats)
        cells = {
            (name, sigma): pool.submit(exact_cells, name, sigma, range(options.seeds))
            for name in CELLS for sigma in SIGMAS
        }  # fmt: skip
        gate = {name: pool.submit(let_through, name, options.repeats) for name in NAMES}
        simulated = {name: pool.submit(simulate, name, options.repeats) for name in names[:-1]}
        classes = [*(simulated[name].result() for name in names[:-1]), slow.result()]
        by_name = [summed(name, [cells[name, sigma].result() for sigma in SIGMAS]) for name in CELLS]
        through = {name: gate[name].result() for name in NAMES}
    one_step = [each for each in by_name if each.name in ONE_STEP]
    by_name.append(summed("all one-step cells", one_step))
    data = recorded(classes, by_name, through, options.repeats, options.seeds)
    DATA.write_text(json.dumps(data, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    write_page()


if __name__ == "__main__":
    main()
