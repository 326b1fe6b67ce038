"""What a study's own data say against the declarations it rests on: said in the report and at the end of a run.

Read from the table of references, without pandas, which Snakemake's process does not import.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

from scorepath.store.paths import TABLES


def refuted(folder: Path = TABLES) -> dict[str, str]:
    """By environment, what refutes its declared continuity; nothing of a table that is not there."""
    found: dict[str, str] = {}
    try:
        with (Path(folder) / "references.csv").open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                if row.get("finding"):
                    found.setdefault(row["environment"], row["finding"])
    except (OSError, UnicodeDecodeError, csv.Error):
        return {}
    return found


def sentences(folder: Path = TABLES) -> list[str]:
    """The same in words."""
    return [
        f"{name} is {finding}. Verdicts on its pathwise gradients are withheld."
        for name, finding in refuted(folder).items()
    ]


def print_findings() -> None:
    """Say at the end of a run what its data refute."""
    for sentence in sentences():
        print(sentence, file=sys.stderr)
