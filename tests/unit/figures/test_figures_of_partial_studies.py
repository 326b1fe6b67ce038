"""Every figure of a study that lacks something: drawn from what is there, or with the reason why there is nothing."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pandas as pd
import pytest
from tests.helpers.cut_tables import ABSENT, tables_without
from tests.helpers.small_tables import write_tables

from scorepath.figures import FIGURES
from scorepath.figures.wording import NO_DATA, NOTHING_MEASURED, NOTHING_TRAINED
from scorepath.store.tables import Tables

SVG = "{http://www.w3.org/2000/svg}"


def drawn(name: str, tables: Path, output: Path) -> tuple[str, list[str]]:
    """A figure's description, and the texts in it."""
    FIGURES[name].draw(Tables(tables), output)
    root = ElementTree.fromstring(output.read_text(encoding="utf-8"))
    return root.findtext(f"{SVG}desc") or "", [node.text or "" for node in root.iter(f"{SVG}text")]


@pytest.mark.parametrize("name", FIGURES)
@pytest.mark.parametrize("absent", ABSENT)
def test_whatever_a_study_lacks_its_figures_are_drawn(absent: str, name: str, tmp_path: Path) -> None:
    words, texts = drawn(name, tables_without(absent, tmp_path / "tables"), tmp_path / "out.svg")
    assert words
    assert NO_DATA not in texts, "a study that is complete has no data yet to come"
    assert not words.rstrip(".").endswith((":", "by environment"))


@pytest.mark.parametrize(("absent", "there"), [("reinforce", "pathwise"), ("pathwise", "REINFORCE")])
def test_the_identity_of_one_side_shows_that_side_alone(absent: str, there: str, tmp_path: Path) -> None:
    words, texts = drawn("identity", tables_without(absent, tmp_path / "tables"), tmp_path / "out.svg")
    assert f"interval of {there} contains 1" in words
    assert texts.count(there) == 1  # in the legend
    assert {"REINFORCE", "pathwise"} & set(texts) == {there}
    assert "smooth" in texts


@pytest.mark.parametrize(
    ("name", "absent", "reason"),
    [
        ("identity", "both sides", "neither side has been measured"),
        ("identity", "noise", "neither side has been measured"),
        ("estimator_map", "noise", "no error has been measured at a noise level above 0"),
        ("zero_noise_limit", "reinforce", "REINFORCE has no noise-to-signal ratio here"),
        ("bias", "pathwise", "no estimator's bias has been told apart from zero"),
        ("variance", "everything", NOTHING_MEASURED),
        ("cost", "everything", NOTHING_MEASURED),
        ("learning_curves", "everything", NOTHING_TRAINED),
    ],
)
def test_an_empty_figure_says_why(name: str, absent: str, reason: str, tmp_path: Path) -> None:
    words, texts = drawn(name, tables_without(absent, tmp_path / "tables"), tmp_path / "out.svg")
    assert any(text.startswith(reason) for text in texts), texts
    assert words.startswith(reason[0].upper() + reason[1:])


def test_results_that_are_still_missing_are_no_reason(tmp_path: Path) -> None:
    tables = write_tables(tmp_path / "tables", training=False)
    cells = pd.read_csv(tables / "cells.csv")
    cells.assign(stage="training", status="failed").to_csv(tables / "cells.csv", index=False)
    for name in ("learning_curves", "learning_curves_seconds"):
        assert NO_DATA in drawn(name, tables, tmp_path / "out.svg")[1]


def test_a_comparison_that_meets_nowhere_is_told_so(tmp_path: Path) -> None:
    """Both are measured, but in different environments."""
    tables = write_tables(tmp_path / "tables", losers=())
    rows = pd.read_csv(tables / "gradient_statistics.csv")
    side = rows["environment"].map({"smooth": "pathwise", "edge": "reinforce"})
    rows[rows["estimator"] == side].to_csv(tables / "gradient_statistics.csv", index=False)
    words, _ = drawn("variance", tables, tmp_path / "out.svg")
    assert words == "2 environments; pathwise and REINFORCE meet in none of them."
