"""What a study's own data say against the declarations it rests on: said in the report and at the end of a run.

Read from the table of references, without pandas, which Snakemake's process does not import. A jump refutes the
continuity of its environment; a ramp that trajectories do not fall on is as good as one at its own place.
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
    try:
        with (Path(folder) / "references.csv").open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                if row.get("finding"):
                    kind = jumps if (row.get("jump_share") or "0") == "0" else ramps
                    kind.setdefault(row["environment"], []).append(row["finding"])
    except (OSError, UnicodeDecodeError, csv.Error):
        return {}, {}
    return jumps, ramps


def sentences(folder: Path = TABLES) -> list[str]:
    """The same as a sentence per environment: its first jump; else its first ramp, and how many places have one."""
    jumps, ramps = found(folder)
    told = [f"{name} is {own[0]}. Verdicts on its pathwise gradients are withheld." for name, own in jumps.items()]
    for name, own in ramps.items():
        if name not in jumps:
            others = f" and at {len(own) - 1} more (table references)" if len(own) > 1 else ""
            told.append(f"{name}: {own[0]}. Verdicts on its pathwise gradients are withheld there{others}.")
    return told


def print_findings() -> None:
    """Say at the end of a run what its data refute."""
    for sentence in sentences():
        print(sentence, file=sys.stderr)
