"""The report's reasons: counted from the table, and honest about a number that does not predict."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from tests.helpers.small_tables import write_tables

from scorepath.figures import FIGURES
from scorepath.reporting.why import mechanism_rows, why_sentences
from scorepath.store.tables import Tables


def test_mechanisms_are_counted_against_the_best_score_function(tmp_path: Path) -> None:
    tables = Tables(write_tables(tmp_path, ("smooth", "flat", "edge")))
    counted = why_sentences(tables)[0]
    assert "Where pathwise wins (8 places), this decides: score noise at 8." in counted
    assert "Where pathwise loses (4 places), this decides: missing boundary term at 4." in counted
    noise, jump = mechanism_rows(tables)
    assert (noise["mechanism"], noise["won"], noise["lost"], noise["open"]) == ("score noise", 8, 0, 0)
    assert noise["environments"] == "smooth, flat"
    assert (jump["won"], jump["lost"], jump["sentence"]) == (0, 4, "Because.")
    assert jump["place"] == "edge, σ = 0.1, start"


@pytest.mark.parametrize(("low", "does", "panels"), [(0.85, True, 1), (0.5, False, 2)])
def test_a_number_that_ranks_badly_is_said_not_to_do(low: float, does: bool, panels: int, tmp_path: Path) -> None:
    folder = write_tables(tmp_path / "tables")
    rows = pd.read_csv(folder / "roughness.csv")
    rows.assign(rank_correlation_low=low).to_csv(folder / "roughness.csv", index=False)
    text = " ".join(why_sentences(Tables(folder)))
    assert ("So one number does it." in text) is does
    assert ("no single number does it; the second best is mean degree, 0.70" in text) is not does
    assert "the median distance from the line is a factor of 1.6" in text
    FIGURES["why"].draw(Tables(folder), tmp_path / "why.svg")
    assert (tmp_path / "why.svg").read_text(encoding="utf-8").count("predicted log") == panels


def test_without_comparisons_there_is_no_reason(tmp_path: Path) -> None:
    assert why_sentences(Tables(tmp_path)) == []
    assert mechanism_rows(Tables(tmp_path)) == []
