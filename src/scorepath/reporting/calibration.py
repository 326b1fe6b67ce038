"""How often intervals hold the truth and verdicts err: tables of the shipped data that a benchmark records.

`python -m benchmarks.calibration` measures this release's code, and writes the data and docs/calibration.md. Page and
report show the same tables, made here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.resources import files
from typing import Any, NamedTuple

FILE = "calibration.json"
COVERAGE = 0.93, 0.97
LIMIT = 0.95, 1.0
WRONG = 0.0, 0.05
WRONG_SIGNS = 0.0, 0.01
NO_VARIANCE = 0.0, 0.05
"""The aims: shares of intervals, and of single limits, that hold the truth; of verdicts at equal error, and of decided
signs, that are wrong; of samples without a variance that are let through."""


class Entry(NamedTuple):
    """What stands in a field of a table."""

    text: str
    missed: bool = False
    """Its aim is missed by more than two standard errors."""


class Table(NamedTuple):
    """A table of shares in per cent."""

    title: str
    head: list[str]
    rows: list[list[Entry]]


def recorded() -> Mapping[str, Any]:
    """Shares with their standard errors, by class of samples and by environment; null where nothing was counted."""
    found: Mapping[str, Any] = json.loads(files(__package__).joinpath(FILE).read_text(encoding="utf-8"))
    return found


def tables(data: Mapping[str, Any]) -> list[Table]:
    """The four tables of such data."""
    aims = {"limit": LIMIT, "bare": (0.0, 1.0)}
    coverage = {
        "variance": "variance", "bare": "variance, nothing allowed for",
        "ratio_normal": "ratio to a normal rival", "ratio_itself": "ratio to its like",
        "ratio_heavy": "ratio to Student's t, 3 degrees of freedom", "limit": "limit of a ratio, the gate being closed",
        "mean": "mean", "unbiased": "squared bias 0", "biased": "squared bias of three standard errors",
    }  # fmt: skip
    wrong = {
        "wrong_normal": "against normal ones", "wrong_itself": "against its like",
        "wrong_heavy": "against Student's t, 3 degrees of freedom",
    }  # fmt: skip
    of_cells = {"variance": "variance", "bias": "squared bias", "projection": "projection", "ratio": "ratio of errors"}
    samples, cells, gate = data["simulated"], data["cells"], data["gate"]
    return [
        Table(
            "Simulated samples: how often 95 % intervals hold the truth",
            ["samples", "let through, %", *coverage.values()],
            [[Entry(row["name"]), _share(row["passed"]),
              *(_judged(row[name], aims.get(name, COVERAGE)) for name in coverage)]
             for row in samples],
        ),
        Table(
            "Simulated samples of equal true error: verdicts that name a winner, per cent of all repetitions",
            ["samples", *wrong.values()],
            [[Entry(row["name"]), *(_judged(row[name], WRONG) for name in wrong)] for row in samples],
        ),
        Table(
            "Cells whose truth is known",
            ["environment", "cells", "let through, %", *of_cells.values(), "undecided, %",
             "decided signs that are wrong, %"],
            [[Entry(row["name"]), Entry(str(row["cells"])), _share(row["passed"]),
              *(_judged(row[name], COVERAGE) for name in of_cells), _share(row["undecided"]),
              _judged(row["wrong"], WRONG_SIGNS, f" of {row['decided']}")]
             for row in cells],
        ),
        Table(
            "Simulated samples: how often the gate lets them through, per cent, by how many there are",
            ["samples", *(f"{int(number):,}" for number in gate[0]["passed"])],
            [[Entry(row["name"]),
              *(_share(found) if row["variance"] else _judged(found, NO_VARIANCE) for found in row["passed"].values())]
             for row in gate],
        ),
    ]  # fmt: skip


def _share(found: list[float] | None) -> Entry:
    return Entry(f"{100 * found[0]:.0f}" if found else "–")


def _judged(found: list[float] | None, aim: tuple[float, float], more: str = "") -> Entry:
    if not found:
        return Entry("–")
    share, error = found
    missed = not aim[0] - 2 * error <= share <= aim[1] + 2 * error
    return Entry(f"{100 * share:.1f} ± {100 * error:.1f}{more}", missed)
