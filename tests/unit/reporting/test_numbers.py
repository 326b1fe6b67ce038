"""Numbers on the page are as people write them, whatever text they come in."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pandas as pd
import pytest
from tests.helpers.small_tables import write_tables

from scorepath.reporting.answer import answer_sentences
from scorepath.reporting.numbers import readable, readable_page
from scorepath.reporting.page import render_report
from scorepath.store.tables import Tables

PRINTED = re.compile(r"\d(\.\d+)?e[+-]?\d\d")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("5.7e+06 by its own noise, 110000 by the curvature", "5.7×10⁶ by its own noise, 110000 by the curvature"),
        ("a bias below 1.4e+02 % of the gradient", "a bias below 140 % of the gradient"),
        ("(within 1e-12)", "(within 10⁻¹²)"),
        ("-2.50e-05, 4.65e+140", "−2.50×10⁻⁵, 4.65×10¹⁴⁰"),
        ("commit 80e1234, 1e5 of them, v1.2e+3", "commit 80e1234, 1e5 of them, v1.2e+3"),
    ],
)
def test_a_number_with_an_exponent_is_put_into_words(text: str, words: str) -> None:
    assert readable(text) == words


def test_tags_code_and_scripts_stay_as_they_are() -> None:
    page = (
        '<p title="2e-07">2e-07 <code>f 2e-07 <b>1e-05</b></code> 2e-07</p><script>x = "<p>2e-07"; 2e-07</script>2e-07'
    )
    expected = page.replace('">2e-07', '">2×10⁻⁷').replace("</code> 2e-07", "</code> 2×10⁻⁷")
    assert readable_page(page) == expected.replace("</script>2e-07", "</script>2×10⁻⁷")


def test_no_text_of_the_page_has_a_programs_number(tmp_path: Path) -> None:
    """Planted in every column of text that a sentence or a reason stands in."""
    folder = write_tables(tmp_path / "tables")
    for name in ("references", "claims", "mechanisms", "verdicts", "cells", "gradient_statistics"):
        table = pd.read_csv(folder / f"{name}.csv", dtype=str, keep_default_na=False)
        for column in {"certified_by", "prediction", "why", "sentence", "reason", "not_measurable"} & set(table):
            table[column] = "it is 5.7e+06 times that"
        table.to_csv(folder / f"{name}.csv", index=False)
    render_report(Tables(folder), tmp_path / "none", None, tmp_path / "report.html", {"Slack": "1e-07"})
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    shown = re.sub(r"<(code|pre|style|script)\b.*?</\1>", "", page, flags=re.DOTALL)
    texts = re.sub(r"<[^>]*>", " ", shown)
    assert "5.7×10⁶ times" in texts
    assert "10⁻⁷" in texts
    assert not PRINTED.search(texts)
    data = json.loads(re.findall(r'id="study">(.*?)</script>', page, re.DOTALL)[0])
    reasons = [*data["map"]["verdicts"]["reason"]["names"], *data["cells"]["reason"]["names"]]
    assert any("5.7×10⁶" in reason for reason in reasons)
    assert not any(PRINTED.search(reason) for reason in reasons)
    assert not any(PRINTED.search(line) for line in answer_sentences(Tables(folder)))
