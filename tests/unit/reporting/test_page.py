"""The report says what the tables say: nothing is left unescaped, gaps are shown."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import asdict
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from tests.helpers.runs import records_of_a_run
from tests.helpers.small_tables import write_tables

from scorepath.figures import FIGURES
from scorepath.figures.identity import describe, projections
from scorepath.figures.wording import number
from scorepath.references.monte_carlo import UNNOTICED
from scorepath.references.witnesses import POWER
from scorepath.reporting.bibliography import WORKS
from scorepath.reporting.page import absent, render_report
from scorepath.reporting.rows import identity_rows, judged_by
from scorepath.stages.plan import make_plan
from scorepath.store import paths
from scorepath.store.records import record_path
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
    links = [attributes["href"] or "" for attributes in page.all("a")]
    assert {link[1:] for link in links if link.startswith("#")} <= set(ids)
    assert all(attributes.get("alt") for attributes in page.all("img"))
    assert all(attributes.get("scope") for attributes in page.all("th"))
    assert {"header", "nav", "main", "footer", "math", "caption"} <= {tag for tag, _ in page.tags}
    for _, attributes in page.tags:
        for key in ("src", "href"):
            target = attributes.get(key) or ""
            if target in {work.link for work in WORKS}:
                continue  # it is followed, not fetched
            assert not re.match(r"(?i)(https?:|//|/|file:)", target), target
    assert "@import" not in text
    assert 'download="verdicts.csv.gz"' in text


def test_hostile_text_is_escaped(tmp_path: Path) -> None:
    hostile = '"><script>alert(1)</script><img src=x onerror=alert(1)>'
    tables = write_tables(tmp_path / "tables", (hostile, "edge"), status="failed", reason=hostile)
    text = render(tables, figures=True, config={"name": hostile})
    assert "<script>alert" not in text
    assert "<img src=x" not in text
    assert "<b>abc</b>" not in text
    assert len(Page(text).all("script")) == 2, "the data and the code"


def test_the_ledger_stands_on_the_page_if_there_is_one(tmp_path: Path) -> None:
    tables = write_tables(tmp_path / "tables")
    text = render(tables)
    assert 'id="claims"' in text
    assert "slope −2" in text
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


def test_the_methods_name_all_conditions_of_a_certificate(tmp_path: Path) -> None:
    text = render(write_tables(tmp_path / "tables"))
    assert UNNOTICED == 0.5
    assert f"would have shown a bias of half the gradient’s length with probability {POWER:g}" in text
    assert "the standard error is within the stated budget" in text


@pytest.mark.parametrize("proved", [False, True])
def test_samples_that_are_all_zero_say_nothing_if_the_mean_is_proved_not_to_be(tmp_path: Path, proved: bool) -> None:
    """Where pathwise misses a jump its mean is what was seen; elsewhere nothing was. The figure says so of as many."""
    folder = write_tables(tmp_path / "tables")
    statistics = pd.read_csv(folder / "gradient_statistics.csv")
    statistics.loc[statistics["environment"] == "edge", "proved_unbiased"] = proved
    statistics.to_csv(folder / "gradient_statistics.csv", index=False)
    rows = identity_rows(Tables(folder))
    blind = [row["environment"] for row in rows if row["pathwise"]["blind"]]
    assert set(blind) == ({"edge"} if proved else set())
    agree = sum(row["pathwise"]["agrees"] for row in rows)
    said = describe(projections(Tables(folder)), "reinforce", "pathwise")
    assert f"pathwise contains 1 in {agree} of {len(rows) - len(blind)} points" in said
    assert (f"; {len(blind)} more, in which every sample was zero, say nothing of its mean." in said) == proved


def test_what_gradients_are_judged_by_is_what_the_references_are(tmp_path: Path) -> None:
    tables = write_tables(tmp_path / "tables")
    assert judged_by(Tables(tables)) == ", judged against exact gradients"
    references = pd.read_csv(tables / "references.csv")
    edge = references["environment"] == "edge"
    references.loc[edge, "reference_class"] = "certified_monte_carlo"
    references.loc[edge & (references["sigma"] == 1), "reference_class"] = "uncertified_monte_carlo"
    references.to_csv(tables / "references.csv", index=False)
    assert judged_by(Tables(tables)) == (
        ", judged against exact gradients in 1 of 2 environments and, in the others, against Monte Carlo estimates,"
        " 2 of 6 of them not certified"
    )


def test_equal_input_gives_equal_bytes(tmp_path: Path) -> None:
    tables = write_tables(tmp_path / "tables")
    assert render(tables, figures=True) == render(tables, figures=True)


def test_the_step_shows_its_boundary_term(tmp_path: Path) -> None:
    text = render(write_tables(tmp_path / "tables"))
    table = text[text.index('id="boundary-caption"') :]
    table = table[: table.index("</table>")]
    assert "edge" in table
    assert "smooth" not in table
    assert "100 <small>[99.9, 100]</small>" in table


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, "–"), (math.nan, "–"), (math.inf, "∞"), (0.0, "0"), (-1.23456, "−1.23"), (4096, "4,100"),
        (1234567.0, "1.23×10⁶"), (0.00001234, "1.23×10⁻⁵"),
    ],
)  # fmt: skip
def test_numbers(value: float | None, words: str) -> None:
    assert number(value) == words


def test_the_report_shows_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for made in records_of_a_run():
        file = Path(made.file)
        file.parent.mkdir(parents=True, exist_ok=True)
        if file.parts[1] != "tables":  # the report would read them
            file.write_text('<svg xmlns="http://www.w3.org/2000/svg"/>' if file.suffix == ".svg" else "")
        path = record_path(file)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(asdict(made)))
    render_report(Tables(paths.TABLES), paths.FIGURES, None, paths.REPORT, {})
    page = Path("reports/report.html").read_text(encoding="utf-8")
    assert "from 2026-01-02 03:00:10 to 03:00:20 UTC" in page
    assert "<strong>55 % went into numerical work</strong>" in page, "11 of 20: there are no tables yet"
    assert 'idle cores</th><td>no</td><td class="n">–</td><td class="n">7.0</td><td class="n">35.0 %</td>' in page
    assert "ran earlier or by hand" not in page


def test_points_and_claims_without_a_result_make_a_report_partial(tmp_path: Path) -> None:
    """The small tables have four points of the sweep `small` and none of the claim."""
    sweep = {"name": "small", "family": "soft_step", "axes": {"sigma": [0.1, 0.3, 0.5], "width": [0.5, 1.0]}}
    config = {"noise_levels": [0.1], "environments": ["cosine"], "estimators": ["reinforce", "pathwise"]}
    plan = make_plan({**config, "sweeps": [sweep], "claims": ["wrong_sign"]})
    tables = Tables(write_tables(tmp_path / "tables"))
    assert absent(tables, plan) == ["2 of 6 points of the sweep small", "the claim wrong_sign"]
    render_report(tables, tmp_path / "none", plan, tmp_path / "report.html", {})
    assert "2 of 6 points of the sweep small; the claim wrong_sign" in (tmp_path / "report.html").read_text()
    whole = make_plan({**config, "sweeps": [{**sweep, "axes": {"sigma": [0.1, 0.3], "width": [0.5, 1.0]}}]})
    assert absent(tables, whole) == []
