"""README's answer from finished default studies, of several seeds or machines: every measured number of it.

    python -m benchmarks.answer results/tables other/results/tables            writes it into README.md
    python -m benchmarks.answer --widen results/tables                         adds them to what it says
    python -m benchmarks.answer --check results/tables other/results/tables    names what README says otherwise

The words are those of answer.md beside this file, the numbers stand there as names in braces. Of several studies a
number is a range or, where a count has no meaning without another, each study's own. A single study is checked for
lying within what README says, but for what hangs on timings.
"""

from __future__ import annotations

import argparse
import re
import sys
import textwrap
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from scorepath.figures.wording import label
from scorepath.reporting import rule
from scorepath.reporting.answer import CRITERIA, boundaries, compared
from scorepath.reporting.crossings import exact_crossings
from scorepath.reporting.every_cell import every_cell
from scorepath.reporting.summaries import BEST, BEST_OF_ALL, counted
from scorepath.store.tables import Tables

README = Path(__file__).resolve().parents[1] / "README.md"
TEMPLATE = Path(__file__).with_name("answer.md")
BEGIN, END = "<!-- the answer: benchmarks/answer.py, from benchmarks/answer.md -->\n", "<!-- end of the answer -->"
VERDICTS = {"pathwise": "pathwise better", "score_function": "score function better", "undecided": "undecided"}
NUMBERS = ["no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"]
CHAOS = "angle_doubling: second moments"
STIFF = "push_stiff"
WIDTH = 125
OTHER_WORDS = "README.md's answer has other words than benchmarks/answer.md: change them there, and write it anew"


@dataclass(frozen=True)
class Number:
    """A number of the answer, as each study has it."""

    values: tuple[str, ...]
    kind: str = "range"
    """`range`; `each`: all that differ, in the studies' order; `least` or `most` of them."""

    @property
    def text(self) -> str:
        """As README has it."""
        if self.kind == "each":
            return " and ".join(dict.fromkeys(self.values))
        ends = sorted(self.values, key=_size)
        if self.kind != "range":
            return ends[0 if self.kind == "least" else -1]
        return ends[0] if ends[0] == ends[-1] else f"{ends[0]} to {ends[-1]}"

    def and_what(self, said: str) -> Number:
        """With that of the studies behind what README says."""
        return Number((*said.split(" and " if self.kind == "each" else " to "), *self.values), self.kind)

    def lies_within(self, said: str) -> bool:
        """Whether what README says covers every study."""
        if self.kind == "each":
            return set(self.values) <= set(said.split(" and "))
        ends = [_size(end) for end in said.split(" to ")]
        least, most = (
            float("-inf") if self.kind == "most" else ends[0],
            float("inf") if self.kind == "least" else ends[-1],
        )
        return all(least <= _size(value) <= most for value in self.values)


def _size(text: str) -> float:
    return float(NUMBERS.index(text)) if text in NUMBERS else float(text)


def _words(number: int) -> str:
    """Small numbers as words."""
    return NUMBERS[number] if number < len(NUMBERS) else str(number)


def numbers(folders: Sequence[Path]) -> dict[str, Number]:
    """Every number of the answer, by its name in the template; in the table of counts that is `criterion, verdict`.

    Raises:
        ValueError: naming a folder that lacks what the answer speaks of.
    """
    parts = []
    for folder in folders:
        try:
            parts.append(_of_study(Tables(folder)))
        except (IndexError, KeyError, ValueError) as error:
            raise ValueError(f"{folder} holds no finished default study: {error!r}") from error
    kinds = {"smooth": "each", "rough": "each", "chaos_measured": "each", "mixture": "each", "often": "each",
             "mixed_low": "least", "mixed_high": "most", "share_low": "least", "share_high": "most"}  # fmt: skip
    return {name: Number(tuple(part[name] for part in parts), kinds.get(name, "range")) for name in parts[0]}


def _of_study(tables: Tables) -> dict[str, str]:
    every, against_all = compared(tables), compared(tables, BEST_OF_ALL)
    samples = every[(every["criterion"] == "equal_samples") & (every["verdict"] != "not_applicable")]
    verdicts = Counter(samples["verdict"])
    trained = Counter(every.loc[every["criterion"] == "training", "verdict"])
    changes = [boundaries(own) for _, own in samples.groupby("environment")]
    to_score = [
        own for own in changes if any(each.winner_low == "pathwise" for group in own.values() for each in group)
    ]
    crossings = [f"{crossing.sigma:.3g}" for crossing in exact_crossings(tables)[STIFF]]
    every_share = _row(tables.read("wins"), comparison=BEST, criterion="equal_samples", by="all")
    found = {
        **_of_rule(tables),
        "budget": f"{samples['budget'].dropna().iloc[0]:.0f}", "environments": str(samples["environment"].nunique()),
        "levels": _words(samples["sigma"].nunique()), "checkpoints": _words(samples["checkpoint"].nunique()),
        "silent": str(verdicts["no_signal"]), "useless": str(verdicts["neither_usable"]),
        "tailed": str(verdicts["not_measurable"]),
        "often": label(against_all.loc[against_all["criterion"] == "equal_samples", "rival"].mode().iloc[0]),
        "all_samples": _won(against_all, "equal_samples"), "all_steps": _won(against_all, "equal_steps"),
        "trained": str(trained.total() - trained["not_applicable"]), "trained_won": _words(trained["pathwise"]),
        "trained_lost": _words(trained["score_function"]), "trained_open": _words(trained["undecided"]),
        "trained_equal": _words(trained["equivalent"]),
        **_of_chaos(tables), "changes": str(len(to_score)), "push_first": crossings[0], "push_second": crossings[1],
        "share_low": f"{100 * every_share['share_low']:.0f}", "share_high": f"{100 * every_share['share_high']:.0f}",
    }  # fmt: skip
    for criterion in CRITERIA:
        row = Counter(every.loc[every["criterion"] == criterion, "verdict"])
        found |= {f"{criterion}, {verdict}": str(row[verdict]) for verdict in VERDICTS}
    return found


def _of_rule(tables: Tables) -> dict[str, str]:
    """The three lines, and what to do in doubt."""
    places = rule.classified(tables)
    smooth, rough = (rule.count(places[places["line"] == line]) for line in (rule.SMOOTH, rule.ROUGH))
    cells = every_cell(tables)
    own = cells[(cells["estimator"] == tables.called("pathwise")) & (cells["sigma"] > 0) & (cells["counted"] > 0)]
    missed = 100 * max(0.0, own.loc[own["bias_low"].idxmax(), "bias"]) ** 0.5
    regrets = tables.read("regrets")
    regrets = regrets[(regrets["comparison"] == BEST) & (regrets["criterion"] == "equal_samples")]
    first = regrets[regrets["rule"] != "pathwise_below_threshold"].sort_values("regret").iloc[0]
    return {
        "smooth": f"{smooth.pathwise} of {smooth.decided}", "rough": f"{rough.rival} of {rough.decided}",
        "missed": f"{missed:.0f}", "mixture": label(first["rule"]), "mixed": f"{first['over_simple']:.2f}",
        "mixed_low": f"{first['over_simple_low']:.2f}", "mixed_high": f"{first['over_simple_high']:.2f}",
    }  # fmt: skip


def _of_chaos(tables: Tables) -> dict[str, str]:
    claims = tables.read("claims")
    row = claims[claims["prediction"].str.startswith(CHAOS)].iloc[0]
    measured = f"{row['measured']:.3g} [{row['measured_low']:.3g}, {row['measured_high']:.3g}]"
    return {"chaos_predicted": f"{row['predicted']:.3g}", "chaos_measured": measured}


def _won(verdicts: pd.DataFrame, criterion: str) -> str:
    """The per cent of the decided comparisons that pathwise wins."""
    wins, losses, _ = counted(verdicts[verdicts["criterion"] == criterion])
    return f"{100 * wins / (wins + losses):.0f}"


def _row(table: pd.DataFrame, **values: str) -> pd.Series:
    for name, value in values.items():
        table = table[table[name] == value]
    return table.iloc[0]


# --- README -----------------------------------------------------------------------------------------------------------


def template() -> str:
    """The answer with names for its numbers, the table of counts written out."""
    lines = [f"| | {' | '.join(VERDICTS.values())} |", f"|---|{'---|' * len(VERDICTS)}"]
    for criterion, words in CRITERIA.items():
        cells = [f"{{{criterion}, {verdict}}}" for verdict in VERDICTS]
        lines.append(f"| at {words} | {' | '.join(cells)} |".replace("at training", "in training"))
    return TEMPLATE.read_text(encoding="utf-8").replace("{counts}", "\n".join(lines) + "\n")


NAMES = re.compile(r"\{([\w, ]+)\}")


def render(found: Mapping[str, Number]) -> str:
    """The answer as README has it."""
    text = NAMES.sub(lambda name: found[name[1]].text, template())
    return "\n".join(map(_wrapped, re.split(r"\n(?=\n|[-|!]|\d\. |$)", text)))


def _wrapped(paragraph: str) -> str:
    """A paragraph or an item of a list in lines of README's length; a blank line before it stays."""
    words = paragraph.lstrip("\n")
    if not words or words[0] in "|!":
        return paragraph
    indent = " " * len(re.match(r"- |\d\. |", words)[0])  # type: ignore[index]
    before = paragraph[: len(paragraph) - len(words)]
    return before + textwrap.fill(" ".join(words.split()), WIDTH, subsequent_indent=indent, break_on_hyphens=False)


def parse(readme: str) -> dict[str, str] | None:
    """What a README says for every name; None if its words are not the template's, line ends aside."""
    block = readme[readme.index(BEGIN) + len(BEGIN) : readme.index(END)]
    parts = NAMES.split(" ".join(template().split()))
    pattern = "".join(re.escape(part) if place % 2 == 0 else "(.+?)" for place, part in enumerate(parts))
    found = re.fullmatch(pattern, " ".join(block.split()))
    return dict(zip(parts[1::2], found.groups(), strict=True)) if found else None


def disagreements(readme: str, found: Mapping[str, Number]) -> list[str]:
    """What README says and the studies do not; of one study, what it has outside of what README says."""
    said = parse(readme)
    if said is None:
        return [OTHER_WORDS]
    if len(next(iter(found.values())).values) > 1:
        wrong = [name for name in said if found[name].text != said[name]]
    else:
        steady = [name for name in said if not name.startswith("equal_compute")]
        wrong = [name for name in steady if not found[name].lies_within(said[name])]
    return [f"{name}: the studies have {found[name].text}, README.md {said[name]}" for name in wrong]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", nargs="+", type=Path, help="results/tables of finished default studies")
    parser.add_argument("--check", action="store_true", help="compare with README.md; 1 if it says otherwise")
    parser.add_argument("--widen", action="store_true", help="keep the studies that README.md speaks of, and add these")
    options = parser.parse_args(arguments)
    found, readme = numbers(options.folders), README.read_text(encoding="utf-8")
    if options.check:
        wrong = disagreements(readme, found)
        print("\n".join(wrong) or "README.md says what these studies say.")
        return int(bool(wrong))
    if options.widen:
        if (said := parse(readme)) is None:
            print(OTHER_WORDS, file=sys.stderr)
            return 1
        found = {name: number.and_what(said[name]) if name in said else number for name, number in found.items()}
    start, end = readme.index(BEGIN) + len(BEGIN), readme.index(END)
    README.write_text(readme[:start] + render(found) + readme[end:], encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
