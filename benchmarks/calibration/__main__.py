"""How often intervals hold the truth and verdicts are wrong: measured, by kind of tail, through the library's own code.

    python -m benchmarks.calibration > docs/calibration.md

Two parts. Simulated samples whose moments are known, from normal to hopeless, each class against itself and against
normal ones, at equal true error; and real cells whose variance and gradient are known exactly, over many seeds. Two
processes, some minutes. `--repeats` and `--seeds` make it shorter, and its tables coarser.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial

import torch
from benchmarks.calibration.cells import CELLS, ONE_STEP, SIGMAS, Cells, exact_cells, summed
from benchmarks.calibration.counts import COVERAGE, WRONG, WRONG_SIGNS
from benchmarks.calibration.simulated import CART_POLE, CLASSES, Rates, simulate


def table(head: list[str], rows: list[list[str]]) -> Iterator[str]:
    yield "| " + " | ".join(head) + " |"
    yield "|" + "---|" * len(head)
    yield from ("| " + " | ".join(row) + " |" for row in rows)


def page(classes: list[Rates], cells: list[Cells], repeats: int, seeds: int) -> Iterator[str]:
    """docs/calibration.md."""
    low, high = COVERAGE
    yield from INTRODUCTION.format(repeats=repeats, seeds=seeds).strip().splitlines()
    yield from ("", "## Simulated samples", "")
    head = ["samples", "let through, %", "variance", "ratio to a normal rival", "ratio to its like", "mean",
            "squared bias 0", "squared bias of three standard errors"]  # fmt: skip
    yield from table(head, [
        [rates.name, f"{100 * rates.passed.share:.0f}",
         *(each.judged(low, high) for each in (
             rates.variance, rates.ratio["normal"], rates.ratio["itself"], rates.mean, rates.unbiased, rates.biased))]
        for rates in classes
    ])  # fmt: skip
    yield from ("", "Verdicts at equal true error that name a winner, per cent of all repetitions:", "")
    yield from table(["samples", "against normal ones", "against its like"], [
        [rates.name, *(rates.wrong[rival].judged(0, WRONG) for rival in ("normal", "itself"))] for rates in classes
    ])  # fmt: skip
    yield from ("", "## Cells whose truth is known", "")
    head = ["environment", "cells", "let through, %", "variance", "squared bias", "projection", "ratio of errors",
            "undecided, %", "decided signs that are wrong, %"]  # fmt: skip
    yield from table(head, [
        [each.name, str(each.cells), f"{100 * each.passed.share:.0f}",
         *(count.judged(low, high) for count in (each.variance, each.bias, each.projection, each.ratio)),
         f"{100 * each.undecided.share:.0f}", f"{each.wrong.judged(0, WRONG_SIGNS)} of {each.wrong.of}"]
        for each in cells
    ])  # fmt: skip


INTRODUCTION = """
# Calibration

<!-- made by `python -m benchmarks.calibration > docs/calibration.md` -->

How often the 95 % intervals hold the truth, and how often a verdict is wrong, measured through the code that the study
uses: 64 batches of 64 samples. The aims are 93 to 97 % wherever the tail gate lets a number through; at most 5 % of
verdicts that name a winner where both errors are truly equal; fewer than 1 % wrong ones among decided signs. Numbers
are per cent with their standard error; **bold** ones miss their aim by more than two of these.

The gate (`scorepath.tails`) lets no variance through that rests on fewer than 8 samples, or where the squared
deviations' Hill index, of their largest hundredth, is 1 or less. What it lets through it widens: a Pareto tail of index
α holds, beyond its largest sample, 1 / (α − 1) times what that one holds. Two limits remain. From 4096 samples nobody
can tell a variance that is dominated by what has not been seen from one that is known: Student's t with three degrees
of freedom looks like the cube of a normal, so that the first falls a little short and the other, and ratios of such
variances, cover more than they need to. And where a gate seldom opens, what comes through has been lucky: of events
expected four times, eight that happened mislead. Squared biases have no gate; skewness shortens their intervals where
few events make the mean.

{repeats} repetitions of each class, {seeds} seeds of each cell.
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=1000)
    parser.add_argument("--seeds", type=int, default=60)
    options = parser.parse_args()
    names = [*(each.name for each in CLASSES), CART_POLE]
    with ProcessPoolExecutor(2, initializer=partial(torch.set_num_threads, 1)) as pool:
        slow = pool.submit(simulate, CART_POLE, options.repeats)
        cells = {
            (name, sigma): pool.submit(exact_cells, name, sigma, range(options.seeds))
            for name in CELLS for sigma in SIGMAS
        }  # fmt: skip
        simulated = {name: pool.submit(simulate, name, options.repeats) for name in names[:-1]}
        classes = [*(simulated[name].result() for name in names[:-1]), slow.result()]
        by_name = [summed(name, [cells[name, sigma].result() for sigma in SIGMAS]) for name in CELLS]
        one_step = [each for each in by_name if each.name in ONE_STEP]
    by_name.append(summed("all one-step cells", one_step))
    print("\n".join(page(classes, by_name, options.repeats, options.seeds)))


if __name__ == "__main__":
    main()
