"""What a study's own data say against what it rests on: said in the report, in the answer and at the end of a run.

Read from two tables, without pandas, which Snakemake's process does not import. A jump refutes the continuity of its
environment; a ramp that trajectories do not fall on is as good as one at its own place. Samples that are not finite
refute that there is anything to measure.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

from scorepath.store.paths import TABLES


def found(folder: Path = TABLES) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """By environment, its jumps and its ramps, in words; nothing of a table that is not there."""
    jumps: dict[str, list[str]] = {}
    ramps: dict[str, list[str]] = {}
    for row in _rows(folder, "references"):
        if row.get("finding"):
            kind = jumps if (row.get("jump_share") or "0") == "0" else ramps
            kind.setdefault(row["environment"], []).append(row["finding"])
    return jumps, ramps


def not_finite(folder: Path = TABLES) -> dict[str, float]:
    """By environment, the largest share of an estimator's samples that are not finite, where there are any."""
    shares: dict[str, float] = {}
    for row in _rows(folder, "gradient_statistics"):
        try:
            share = float(row.get("nonfinite_fraction") or 0)
        except ValueError:
            continue
        if share > 0:
            shares[row["environment"]] = max(share, shares.get(row["environment"], 0.0))
    return shares


def _rows(folder: Path, name: str) -> list[dict[str, str]]:
    """Those of a table; none of one that is not there or cannot be read."""
    try:
        with (Path(folder) / f"{name}.csv").open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error):
        return []


def sentences(folder: Path = TABLES) -> list[str]:
    """The same as a sentence per environment: its first jump; else its first ramp, and how many places have one.

    Then one for each whose samples are not finite.
    """
    jumps, ramps = found(folder)
    told = [f"{name} is {own[0]}. Verdicts on its pathwise gradients are withheld." for name, own in jumps.items()]
    for name, own in ramps.items():
        if name not in jumps:
            others = f" and at {len(own) - 1} more (table references)" if len(own) > 1 else ""
            told.append(f"{name}: {own[0]}. Verdicts on its pathwise gradients are withheld there{others}.")
    for name, share in not_finite(folder).items():
        told.append(
            f"{name}: up to {max(100 * share, 0.001):.3g} % of an estimator's samples are not finite, where it wins"
            " nothing. `scorepath check` on the environment's file says where nan or an overflow comes from."
        )
    return told


def print_findings() -> None:
    """Say at the end of a run what its data refute."""
    for sentence in sentences():
        print(sentence, file=sys.stderr)
