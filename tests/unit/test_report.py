"""The report says what the tables say: the answer follows the data, nothing is left unescaped, gaps are shown."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from tests.helpers.small_tables import write_tables

from scorepath.figures import FIGURES
from scorepath.reporting.answer import answer_sentences, boundaries, decisions, measured_reasons
from scorepath.reporting.page import number, render_report
from scorepath.store.tables import Tables
from scorepath.study.cells import Plan


class Page(HTMLParser):
    """Collects what the tests ask about: tags, ids, attributes, open elements."""

    VOID = frozenset(("meta", "link", "img", "br", "input", "mspace"))

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def render(tables: Path, *, figures: bool = False, config: Mapping[str, Any] | None = None) -> str:
    folder = tables.parent
    if figures:
        for name in ("verdict_map", "cost"):
            FIGURES[name].draw(Tables(tables), folder / "figures" / f"{name}.svg")
    plan, provenance = Plan("", config or {"seed": 7}, ()), {"commit": "<b>abc</b>"}
    render_report(Tables(tables), folder / "figures", plan, folder / "report.html", provenance)
    return (folder / "report.html").read_text(encoding="utf-8")


def test_page_is_well_formed_accessible_and_offline(tmp_path: Path) -> None:
    text = render(write_tables(tmp_path / "tables"), figures=True)
    assert text.startswith("<!DOCTYPE html>")
    page = Page(text)
    assert page.open == []
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert {
        attributes["href"][1:] for attributes in page.all("a") if (attributes["href"] or "").startswith("#")
    } <= set(ids)
    assert all(attributes.get("alt") for attributes in page.all("img"))
    assert all(attributes.get("scope") for attributes in page.all("th"))
    assert {"header", "nav", "main", "footer", "math", "caption"} <= {tag for tag, _ in page.tags}
    for _, attributes in page.tags:
        for key in ("src", "href"):
            target = attributes.get(key) or ""
            assert not re.match(r"(?i)(https?:|//|/|file:)", target), target
    assert "@import" not in text
    assert 'href="tables/verdicts.csv"' in text


def test_hostile_text_is_escaped(tmp_path: Path) -> None:
    hostile = '"><script>alert(1)</script><img src=x onerror=alert(1)>'
    tables = write_tables(tmp_path / "tables", (hostile, "edge"), status="failed", reason=hostile)
    text = render(tables, figures=True, config={"name": hostile})
    assert "<script>alert" not in text
    assert "<img src=x" not in text
    assert "<b>abc</b>" not in text
    assert len(Page(text).all("script")) == 1


def test_the_ledger_stands_on_the_page_if_there_is_one(tmp_path: Path) -> None:
    tables = write_tables(tmp_path / "tables")
    text = render(tables)
    assert 'id="claims"' in text
    assert "slope -2" in text
    (tables / "claims.csv").unlink()
    assert 'id="claims"' not in render(tables)


def test_unfinished_cells_are_announced_with_their_logs(tmp_path: Path) -> None:
    assert "This report is partial" not in render(write_tables(tmp_path / "whole" / "tables"))
    for status in ("failed", "missing"):
        text = render(write_tables(tmp_path / status / "tables", status=status, reason="its job failed"))
        banner = text[text.index("This report is partial") : text.index("<nav")]
        assert "1 cell has no result" in banner
        assert "results/logs/smooth.log" in banner


def test_no_tables_at_all_still_give_a_report(tmp_path: Path) -> None:
    (tmp_path / "tables").mkdir()
    text = render(tmp_path / "tables")
    assert "No comparison has been computed yet" in text
    assert Page(text).open == []
    render_report(Tables(tmp_path / "tables"), tmp_path / "none", None, tmp_path / "out" / "report.html", {})
    assert Page((tmp_path / "out" / "report.html").read_text(encoding="utf-8")).open == []


def test_equal_input_gives_equal_bytes(tmp_path: Path) -> None:
    tables = write_tables(tmp_path / "tables")
    assert render(tables, figures=True) == render(tables, figures=True)


def test_answer_follows_the_data(tmp_path: Path) -> None:
    first, where, flips = answer_sentences(Tables(write_tables(tmp_path / "one")))
    assert "in 4 of 8 decided comparisons" in first
    assert "2 environments, 0 undecided" in first
    assert where == (
        "It wins every decided comparison in smooth. "
        "It loses where it is biased (up to 100 % of the gradient, in edge) every one in edge."
    )
    assert flips == "In no environment does the winner change with the noise level."
    first, where, _ = answer_sentences(Tables(write_tables(tmp_path / "two", losers=())))
    assert "in 8 of 8 decided comparisons" in first
    assert where == "It wins every decided comparison in smooth and edge."
    assert "in 0 of 4 decided" in answer_sentences(Tables(write_tables(tmp_path / "three", ("edge",))))[0]


def lose_edge_at_large_noise(tables: Path) -> None:
    verdicts = pd.read_csv(tables / "verdicts.csv", keep_default_na=False)
    changed = (verdicts["environment"] == "edge") & (verdicts["sigma"].astype(float) == 1.0)
    verdicts.loc[changed & verdicts["criterion"].str.startswith("equal"), "verdict"] = "score_function"
    verdicts.to_csv(tables / "verdicts.csv", index=False)


def test_answer_names_where_the_winner_changes(tmp_path: Path) -> None:
    tables = write_tables(tmp_path / "tables", losers=())
    lose_edge_at_large_noise(tables)
    _, where, flips = answer_sentences(Tables(tables))
    assert flips == (
        "The winner changes with the noise level in 1 environment, always from pathwise at the smaller to the score "
        "function at the larger noise: between σ = 0.1 and 1."
    )
    assert where == "It wins every decided comparison in smooth. It loses some in edge."
    rows, columns = decisions(Tables(tables))
    edge = next(row for row in rows if row.environment == "edge")
    assert edge.boundary == ("0.1 P → 1 S",)
    assert [mark.code for mark in edge.marks["equal_samples"]] == ["P", "S"]
    assert columns["equal_samples"] == ["0.1", "1"]
    assert "equal_steps" not in columns  # the same verdicts as at equal samples


@pytest.mark.parametrize(("variance", "words"), [(5.0, {"edge": "variance up to 1.2 times its rival’s"}), (4.5, {})])
def test_a_larger_variance_is_told_only_where_the_intervals_are_apart(
    tmp_path: Path, variance: float, words: dict[str, str]
) -> None:
    """At sigma = 1 the rival's variance is 4; the intervals reach a tenth to both sides."""
    tables = write_tables(tmp_path / "tables", losers=())
    statistics = pd.read_csv(tables / "gradient_statistics.csv")
    changed = statistics.eval("environment == 'edge' and estimator == 'pathwise' and sigma == 1")
    for name, share in (("variance", 1.0), ("variance_low", 0.9), ("variance_high", 1.1)):
        statistics.loc[changed, name] = share * variance
    statistics.to_csv(tables / "gradient_statistics.csv", index=False)
    assert {name: str(reason) for name, reason in measured_reasons(Tables(tables)).items()} == words
    lose_edge_at_large_noise(tables)
    told = "where its variance is the larger (up to 1.2 times its rival’s, in edge) some in edge."
    assert (told in answer_sentences(Tables(tables))[1]) == bool(words)


def test_undecided_is_said_as_such(tmp_path: Path) -> None:
    tables = write_tables(tmp_path / "tables", ("smooth",), losers=(), training=False)
    for name in ("verdicts", "verdicts_compute"):
        table = pd.read_csv(tables / f"{name}.csv", keep_default_na=False)
        table.loc[table["verdict"] == "pathwise", "verdict"] = "undecided"
        table.to_csv(tables / f"{name}.csv", index=False)
    sentences = answer_sentences(Tables(tables))
    assert "none of the 4 comparisons" in sentences[0]
    assert not any("wins" in sentence for sentence in sentences)


def test_boundaries_skip_undecided_levels() -> None:
    rows = pd.DataFrame(
        {
            "sigma": [0.01, 0.1, 1.0],
            "checkpoint": [0.0, 0.0, 0.0],
            "verdict": ["pathwise", "undecided", "score_function"],
        }
    )
    assert [str(boundary) for boundary in boundaries(rows)[0.0]] == ["0.01 P → 1 S"]


def test_the_step_shows_its_boundary_term(tmp_path: Path) -> None:
    text = render(write_tables(tmp_path / "tables"))
    table = text[text.index('id="boundary-caption"') :]
    table = table[: table.index("</table>")]
    assert "edge" in table
    assert "smooth" not in table
    assert "100 %" in table


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, "–"), (math.nan, "–"), (math.inf, "∞"), (0.0, "0"), (-1.23456, "−1.23"), (4096, "4,100"),
        (1234567.0, "1.23×10⁶"), (0.00001234, "1.23×10⁻⁵"),
    ],
)  # fmt: skip
def test_numbers(value: float | None, words: str) -> None:
    assert number(value) == words
