"""Phase diagrams: equal bytes, a sentence that is computed, and nothing to show."""

from __future__ import annotations

from pathlib import Path

from tests.helpers.small_tables import write_tables

from scorepath.figures.phase_diagram import draw
from scorepath.store.tables import Tables


def test_a_diagram_says_what_was_found_and_is_the_same_twice(tmp_path: Path) -> None:
    tables = Tables(write_tables(tmp_path / "tables", ("cosine", "edge")))
    first, second = tmp_path / "a.svg", tmp_path / "b.svg"
    for output in (first, second):
        draw(tables, "small", output)
    text = first.read_text()
    assert text == second.read_text()
    assert "2 crossings were measured; the 95 % interval of 2 of 2 contains the exact one" in text
    assert "5.9 %" in text


def test_a_sweep_without_points_is_said_to_have_none(tmp_path: Path) -> None:
    draw(Tables(write_tables(tmp_path / "tables", ("cosine", "edge"))), "other", tmp_path / "a.svg")
    assert "no data yet" in (tmp_path / "a.svg").read_text()
