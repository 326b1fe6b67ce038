"""README's counts of verdicts against those of finished default studies, of several seeds or machines.

    python benchmarks/answer.py results/tables [other/results/tables ...]            what README should say, as ranges
    python benchmarks/answer.py --check results/tables [other/results/tables ...]    whether README says it

The counts stand in one table of README.md, between two marks; nothing else in it counts verdicts.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from scorepath.reporting.answer import CRITERIA, compared
from scorepath.store.tables import Tables

README = Path(__file__).resolve().parents[1] / "README.md"
BEGIN, END = "<!-- counts of the default study: benchmarks/answer.py -->\n", "<!-- end of counts -->"
VERDICTS = {"pathwise": "pathwise better", "score_function": "score function better", "undecided": "undecided"}

Counts = dict[str, dict[str, tuple[int, int]]]
"""By criterion and verdict, in words, the smallest and the largest count."""


def counts(folders: Sequence[Path]) -> Counts:
    """How often each verdict was given in these folders of tables."""
    found: dict[str, dict[str, list[int]]] = {}
    for folder in folders:
        verdicts = compared(Tables(folder))
        for criterion, words in CRITERIA.items():
            number = Counter(verdicts.loc[verdicts["criterion"] == criterion, "verdict"])
            if number:
                row = found.setdefault(words, {name: [] for name in VERDICTS.values()})
                for verdict, name in VERDICTS.items():
                    row[name].append(number[verdict])
    return {words: {name: (min(values), max(values)) for name, values in row.items()} for words, row in found.items()}


def render(found: Counts) -> str:
    """The counts as README has them."""
    lines = [f"| | {' | '.join(VERDICTS.values())} |", f"|---|{'---|' * len(VERDICTS)}"]
    for words, row in found.items():
        cells = [f"{low}" if low == high else f"{low} to {high}" for low, high in row.values()]
        lines.append(f"| at {words} | {' | '.join(cells)} |".replace("at training", "in training"))
    return "\n".join(lines) + "\n"


def parse(text: str) -> Counts:
    """The counts that a README holds, as `counts` gives them."""
    block = text[text.index(BEGIN) + len(BEGIN) : text.index(END)]
    head, _, *rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in block.strip().splitlines()]
    found: Counts = {}
    for words, *cells in rows:
        limits = [[int(number) for number in cell.split(" to ")] for cell in cells]
        ranges = [(numbers[0], numbers[-1]) for numbers in limits]
        found[words.removeprefix("at ").removeprefix("in ")] = dict(zip(head[1:], ranges, strict=True))
    return found


def outside(said: Counts, found: Counts) -> list[str]:
    """What a study has counted and README does not cover."""
    wrong = []
    for words, row in found.items():
        for name, (low, high) in row.items():
            least, most = said.get(words, {}).get(name, (0, -1))
            if low < least or high > most:
                wrong.append(f"{words}, {name}: counted {low} to {high}, README says {least} to {most}")
    return wrong


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", nargs="+", type=Path, help="results/tables of finished default studies")
    parser.add_argument("--check", action="store_true", help="compare with README.md; 1 if it does not cover them")
    options = parser.parse_args(arguments)
    found = counts(options.folders)
    if not options.check:
        print(render(found), end="")
        return 0
    wrong = outside(parse(README.read_text(encoding="utf-8")), found)
    print("\n".join(wrong) or "README.md covers these studies.")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
