"""Every figure of a study that lacks something: drawn from what is there, or with the reason why there is nothing."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pandas as pd
import pytest
from tests.helpers.cut_tables import ABSENT, tables_without
from tests.helpers.small_tables import write_tables

from scorepath.figures import FIGURES
from scorepath.figures.why import NOT_PREDICTED, TOO_FEW
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


def changed(tables: Path, name: str, **columns: object) -> None:
    pd.read_csv(tables / f"{name}.csv").assign(**columns).to_csv(tables / f"{name}.csv", index=False)


def test_counts_stand_where_there_are_too_few_environments_for_limits(tmp_path: Path) -> None:
    tables = write_tables(tmp_path / "tables")
    few = "4 of 5 at σ = 0.1, 4 of 5 at σ = 1; too few environments for limits."
    changed(tables, "wins", level=["", "0.1", "1"], share_low=math.nan, share_high=math.nan)
    assert drawn("headline", tables, tmp_path / "out.svg")[0].endswith(f"wins of the decided comparisons {few}")
    limits = {"share_low": [0.3, math.nan, 0.3], "share_high": [0.99, math.nan, 0.99]}
    changed(tables, "wins", level=["", "0.1", "1"], **limits)
    some = "4 of 5 at σ = 0.1, 80 % [30, 99] at σ = 1; too few environments for limits where none stand."
    assert drawn("headline", tables, tmp_path / "out.svg")[0].endswith(some)


def test_too_few_places_to_choose_a_number_are_no_lack_of_signals(tmp_path: Path) -> None:
    tables = write_tables(tmp_path / "tables")
    changed(tables, "mechanisms", mean_degree=1.0, predicted=math.nan, predicted_second=math.nan)
    changed(tables, "roughness", choice=math.nan)
    assert drawn("why", tables, tmp_path / "out.svg")[0].startswith(TOO_FEW[0].upper() + TOO_FEW[1:])
    changed(tables, "mechanisms", mean_degree=math.nan)
    assert drawn("why", tables, tmp_path / "out.svg")[0].startswith(NOT_PREDICTED[0].upper() + NOT_PREDICTED[1:])


def test_no_best_estimator_is_named_where_one_without_a_known_error_may_be_better(tmp_path: Path) -> None:
    tables = write_tables(tmp_path / "tables", losers=())
    assert "edge: pathwise" in drawn("estimator_map", tables, tmp_path / "out.svg")[0]
    statistics = pd.read_csv(tables / "gradient_statistics.csv")
    own = (statistics["environment"] == "edge") & (statistics["estimator"] == "pathwise")
    error = statistics["mse_equal_steps"].mask(own)
    changed(tables, "gradient_statistics", mse_equal_steps=error)
    words, _ = drawn("estimator_map", tables, tmp_path / "out.svg")
    assert "edge:" not in words
    assert "pathwise in 1 of 1" in words
    # a variance that is the larger, or not to be measured, says nothing for it
    for variance in (1e9, math.nan):
        changed(tables, "gradient_statistics", variance=statistics["variance"].mask(own, variance))
        assert "edge: measure valued" in drawn("estimator_map", tables, tmp_path / "out.svg")[0]
