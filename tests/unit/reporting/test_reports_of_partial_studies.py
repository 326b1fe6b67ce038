"""The report of a study that lacks something: a page, and a sentence that says what could not be compared and why."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from tests.helpers.cut_tables import ABSENT, WITHOUT_SIDE, tables_without
from tests.helpers.small_tables import write_tables

from scorepath.reporting.answer import answer_sentences, decisions, evidence
from scorepath.reporting.page import render_report
from scorepath.reporting.rows import identity_rows
from scorepath.store.tables import UNCERTIFIED, Tables


def rendered(tables: Path) -> str:
    render_report(Tables(tables), tables / "figures", None, tables.parent / "report.html", {})
    return (tables.parent / "report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("absent", ABSENT)
def test_whatever_a_study_lacks_it_has_a_report(absent: str, tmp_path: Path) -> None:
    tables = tables_without(absent, tmp_path / "tables")
    page = rendered(tables)
    first, *_ = evidence(Tables(tables)).values()
    assert first.startswith("This study makes no comparison" if absent in WITHOUT_SIDE else "Averaging")
    if absent in WITHOUT_SIDE:
        assert first.endswith(f": no {absent} in this study.")
    assert "No comparison has been computed yet" not in page
    assert decisions(Tables(tables))[0]


def test_a_reason_that_holds_in_some_environments_only_is_told_with_their_number(tmp_path: Path) -> None:
    tables = tables_without("pathwise", tmp_path / "tables")
    verdicts = pd.read_csv(tables / "verdicts.csv", keep_default_na=False)
    verdicts.loc[verdicts["environment"] == "edge", "reason"] = "actions are discrete"
    verdicts.to_csv(tables / "verdicts.csv", index=False)
    (sentence,) = answer_sentences(Tables(tables))
    assert "no pathwise in this study (in 1 environment); actions are discrete (in 1 environment)." in sentence


def test_nothing_trained_is_said_and_no_curves_are_shown(tmp_path: Path) -> None:
    page = rendered(write_tables(tmp_path / "tables", training=False))
    assert "Nothing is trained in this study" in page
    assert "Same optimiser" not in page
    assert "learning curves" not in page
    page = rendered(write_tables(tmp_path / "tables", training=True))
    assert "Nothing is trained" not in page
    assert "learning curves" in page


def test_a_reference_that_is_not_certified_judges_neither_side(tmp_path: Path) -> None:
    tables = write_tables(tmp_path / "tables")
    references = pd.read_csv(tables / "references.csv")
    references.loc[references["environment"] == "edge", "reference_class"] = UNCERTIFIED
    references.to_csv(tables / "references.csv", index=False)
    assert {row["environment"] for row in identity_rows(Tables(tables))} == {"smooth"}
    assert "≠" not in rendered(tables).split('id="identity-caption"')[1].split("</table>")[0].split("<tbody>")[1]
