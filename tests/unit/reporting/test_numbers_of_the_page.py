"""Fifty numbers of the page, drawn at random, are recomputed from the CSV tables by code that is not the report's.

The tables' numbers are shaken first, each by a factor of its own, so that no two agree by chance.
"""

from __future__ import annotations

import csv
import json
import math
import random
import re
from collections import Counter
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
from tests.helpers.small_tables import write_tables

from scorepath.reporting.page import render_report
from scorepath.store.tables import Tables

Row = dict[str, str]
Number = tuple[str, float, float]
"""Where a number stands, as it is shown, as it is recomputed."""
BEST = "pathwise_vs_best_score_function"
SHAKEN = {
    "crossings": ("predicted", "exact", "measured", "measured_low", "measured_high"),
    "claims": ("predicted", "measured", "measured_low", "measured_high"),
    "regrets": ("regret", "regret_low", "regret_high"),
    "references": ("gradient_norm",),
    "gradient_statistics": ("variance", "variance_low", "variance_high", "squared_bias", "squared_bias_low",
                            "squared_bias_high", "nsr", "cosine_similarity"),
    "verdicts": ("value", "value_low", "value_high"),
    "training": ("return_stochastic",),
}  # fmt: skip


class Texts(HTMLParser):
    """The tables of a page by their captions' ids, as rows of texts; its paragraphs and list items; its data."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tables: dict[str, list[list[str]]] = {}
        self.words: list[str] = []
        self.data = ""
        self._table, self._into = "", ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "script":
            self._into = "data" if given.get("type") == "application/json" else ""
        elif tag == "span" and (given.get("id") or "").endswith("-caption"):
            self._table = (given["id"] or "").removesuffix("-caption")
            self.tables[self._table] = []
        elif tag == "tr" and self._table:
            self.tables[self._table].append([])
        elif tag in ("td", "th") and self._table:
            self.tables[self._table][-1].append("")
            self._into = "cell"
        elif tag in ("p", "li"):
            self.words.append("")
            self._into = "words"

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "th", "p", "li", "script"):
            self._into = ""
        if tag == "table":
            self._table = ""

    def handle_data(self, data: str) -> None:
        if self._into == "cell":
            self.tables[self._table][-1][-1] += data
        elif self._into == "words":
            self.words[-1] += data
        elif self._into == "data":
            self.data += data


def numbers(text: str) -> list[float]:
    """The numbers in a text: a value, and its limits if there are any."""
    powers = str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")
    text = re.sub("×10([⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+)", lambda found: "e" + found[1].translate(powers), text.replace("−", "-"))
    return [float(found) for found in re.findall(r"-?\d+(?:\.\d+)?(?:e-?\d+)?", re.sub(r"(?<=\d),(?=\d{3})", "", text))]


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_tables(tmp_path_factory.mktemp("study") / "tables")
    draw = random.Random(3)
    for name, columns in SHAKEN.items():
        rows = read(folder, name)
        for row in rows:
            for column in columns:
                if row[column]:
                    row[column] = f"{float(row[column]) * draw.uniform(0.6, 1.6):.9g}"
            if name == "gradient_statistics":  # an error is its bias that counts, and variance by budget
                counted = 0.0 if row["proved_unbiased"] == "True" else float(row["squared_bias"])
                row["mse_equal_samples"] = repr(counted + float(row["variance"]) / float(row["budget"]))
        with (folder / f"{name}.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    return folder


def read(folder: Path, name: str) -> list[Row]:
    with (folder / f"{name}.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def page(tables: Path) -> Texts:
    render_report(Tables(tables), tables / "none", None, tables.parent / "report.html", {})
    return Texts((tables.parent / "report.html").read_text(encoding="utf-8"))


def candidates(folder: Path, page: Texts) -> Iterator[Number]:
    """What may be drawn."""
    for shown, row in zip(page.tables["crossings"][1:], read(folder, "crossings"), strict=True):
        expected = [float(row[name]) for name in ("predicted", "exact", "measured", "measured_low", "measured_high")]
        for one, other in zip(numbers(" ".join(shown[4:])), expected, strict=True):
            yield f"crossings {shown[3]}", one, other
    for shown, row in zip(page.tables["claims"][1:], read(folder, "claims"), strict=True):
        found = numbers(" ".join(shown[3:5]))
        for one, name in zip(found, ("predicted", "measured", "measured_low", "measured_high"), strict=True):
            yield f"claims {name}", one, float(row[name])
    cheapest = sorted(read(folder, "regrets"), key=lambda row: float(row["regret"]))
    for shown, row in zip(page.tables["regrets"][1:], cheapest, strict=True):
        yield f"regrets {row['rule']}", numbers(shown[1])[0], float(row["regret"])
    norms = {place(row): float(row["gradient_norm"]) for row in read(folder, "references")}
    for shown in page.tables["references"][1:]:
        own = [norm for (environment, *_), norm in norms.items() if environment == shown[0]]
        for one, norm in zip(numbers(shown[3]), (min(own), max(own)), strict=True):
            yield f"references {shown[0]}", one, norm
    yield from of_cells(folder, page, norms)
    yield from of_verdicts(folder, page)


def of_decided(verdicts: Counter[str]) -> tuple[int, int]:
    """Pathwise's wins, and how many comparisons are decided."""
    return verdicts["pathwise"], verdicts["pathwise"] + verdicts["score_function"]


def place(row: Row) -> tuple[str, float, float]:
    return row["environment"], float(row["sigma"]), float(row["checkpoint"] or "nan")


def decoded(columns: dict[str, object]) -> Iterator[Row]:
    """The rows of columns in the page's data, all as texts."""
    lists = {
        name: [column["names"][code] for code in column["codes"]] if isinstance(column, dict) else column
        for name, column in columns.items()
    }
    for values in zip(*lists.values(), strict=True):
        yield dict(zip(lists, ("" if value is None else str(value) for value in values), strict=True))


def of_cells(folder: Path, page: Texts, norms: dict[tuple[str, float, float], float]) -> Iterator[Number]:
    statistics = {(*place(row), row["estimator"]): row for row in read(folder, "gradient_statistics")}
    for shown in decoded(json.loads(page.data)["cells"]):
        if shown["stage"] != "gradients" or not shown["variance"]:
            continue
        row = statistics[(*place(shown), shown["estimator"])]
        where = f"cell {shown['environment']} {shown['estimator']} {shown['sigma']}"
        for name in ("variance", "variance_high", "nsr", "cosine_similarity", "mse_equal_samples"):
            if shown[name] != "∞":
                yield f"{where} {name}", float(shown[name]), float(row[name])
        for end in ("", "_low", "_high"):
            share = float(row[f"squared_bias{end}"]) / norms[place(shown)] ** 2
            yield f"{where} bias{end}", float(shown[f"bias{end}"]), share
        if shown["variance"] != "∞":
            left = float(row["mse_equal_samples"]) - float(row["variance"]) / float(row["budget"])
            yield f"{where} counted", float(shown["counted"]), left if left > 1e-9 else 0.0


def of_verdicts(folder: Path, page: Texts) -> Iterator[Number]:
    rows = read(folder, "verdicts") + read(folder, "verdicts_compute")
    known = {(*place(row)[:2], row["checkpoint"] or "", row["comparison"], row["criterion"], row["statistic"]): row
             for row in rows}  # fmt: skip
    for shown in decoded(json.loads(page.data)["map"]["verdicts"]):
        statistic = "score_difference" if shown["criterion"] == "training" else "log10_mse_ratio"
        checkpoint = shown["checkpoint"] and str(float(shown["checkpoint"]))
        row = known[(*place(shown)[:2], checkpoint, shown["comparison"], shown["criterion"], statistic)]
        if row["value"]:
            yield f"verdict {place(shown)} {shown['criterion']}", float(shown["value"]), float(row["value"])
    best = [row for row in rows if row["comparison"] == BEST]
    samples = Counter(row["verdict"] for row in best if row["criterion"] == "equal_samples")
    (who,) = [text for text in page.words if text.startswith("Averaging the same number of samples")]
    for one, other in zip(numbers(who), of_decided(samples), strict=False):
        yield "who wins", one, other
    proved = {place(row): row["proved_unbiased"] == "True" for row in read(folder, "gradient_statistics")
              if row["estimator"] == "pathwise"}  # fmt: skip
    mechanisms = [row for row in read(folder, "mechanisms") if row["comparison"] == BEST]
    smooth = Counter(row["verdict"] for row in mechanisms if proved[place(row)] and float(row["predicted"]) > 0)
    (line,) = [text for text in page.words if text.startswith("The return is smooth on the scale")]
    for one, other in zip(numbers(line), of_decided(smooth), strict=False):
        yield "the rule", one, other
    tallies = Counter((row["comparison"], row["criterion"], row["verdict"]) for row in rows)
    heads = {"REINFORCE": "pathwise_vs_reinforce", "best score-function": BEST}
    for rival, criterion, _, won, lost, *_ in page.tables["tally"][1:]:
        key = {"equal samples": "equal_samples", "equal seconds": "equal_compute"}.get(criterion)
        for text, verdict in ((won, "pathwise"), (lost, "score_function")) if key else ():
            yield f"tally {rival} {criterion} {verdict}", numbers(text)[0], tallies[heads[rival], key or "", verdict]


def test_fifty_numbers_of_the_page_are_what_the_tables_say(tables: Path, page: Texts) -> None:
    found = list(candidates(tables, page))
    assert len(found) > 300
    kinds = {where.split()[0] for where, *_ in found}
    drawn = random.Random(8).sample(found, 50)
    drawn += [next(entry for entry in found if entry[0].startswith(kind)) for kind in sorted(kinds)]
    for where, shown, expected in drawn:
        assert math.isclose(shown, expected, rel_tol=5.1e-3, abs_tol=1e-12), where


def test_a_wrong_number_would_be_noticed(tables: Path, page: Texts) -> None:
    where, shown, expected = next(entry for entry in candidates(tables, page) if entry[0].startswith("crossings"))
    assert shown != 0
    assert not math.isclose(shown * 1.02, expected, rel_tol=5.1e-3), where
