"""Phase diagrams: equal bytes, a sentence that is computed, and nothing to show."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
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


def rewritten(folder: Path, **columns: object) -> Tables:
    """The small study's tables with other numbers in both tables of the sweep."""
    write_tables(folder, ("cosine", "edge"))
    for name in ("phase_diagrams", "crossings"):
        table = pd.read_csv(folder / f"{name}.csv")
        own = {column: value for column, value in columns.items() if column in table}
        table.assign(**own).to_csv(folder / f"{name}.csv", index=False)
    return Tables(folder)


def texts(svg: Path) -> list[str]:
    return re.findall(r"<text[^>]*>([^<]*)</text>", svg.read_text())


def test_ticks_are_the_values_of_the_sweep_in_plain_numbers(tmp_path: Path) -> None:
    draw(Tables(write_tables(tmp_path / "tables", ("cosine", "edge"))), "small", tmp_path / "a.svg")
    found = texts(tmp_path / "a.svg")
    assert {"0.1", "0.3", "0.5", "1", "noise level σ", "width"} <= set(found)
    assert not [text for text in found if "$" in text]
    assert "pathwise better ≥32×" in found


@pytest.mark.parametrize("y_axis", ["width", None])
def test_an_axis_may_begin_at_zero(y_axis: str | None, tmp_path: Path) -> None:
    """It is then no logarithmic one, and distances are not relative."""
    tables = rewritten(
        tmp_path / "tables", x=[0.0, 0.0, 0.0, 0.0, 0.3, 0.3, 0.3, 0.3], x_axis="checkpoint", y_axis=y_axis or np.nan
    )
    draw(tables, "small", tmp_path / "a.svg")
    assert {"0", "0.3", "checkpoint"} <= set(texts(tmp_path / "a.svg"))
    assert "the median distance is 0.01" in (tmp_path / "a.svg").read_text()


def test_a_diagram_whose_points_are_all_missing_is_empty(tmp_path: Path) -> None:
    draw(rewritten(tmp_path / "tables", kind="exact"), "small", tmp_path / "a.svg")
    assert "no data yet" in (tmp_path / "a.svg").read_text()
