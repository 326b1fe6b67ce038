"""Tables as they are read."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.helpers.results import flip, make

from scorepath.store.paths import TABLES
from scorepath.store.tables import COLUMNS, Tables

pytestmark = pytest.mark.usefixtures("folder")


def test_a_table_keeps_its_columns_and_types_when_it_is_empty(tmp_path: Path) -> None:
    (tmp_path / "verdicts.csv").write_text("", encoding="utf-8")
    table = Tables(tmp_path).read("verdicts")
    assert list(table.columns) == COLUMNS["verdicts"]
    assert table["value"].dtype == float


def test_a_changed_table_is_refused() -> None:
    make(Path("results/tables/cells.csv"))
    flip(Path("results/tables/cells.csv"))
    with pytest.raises(ValueError, match=r"cells.csv is damaged"):
        Tables(TABLES).read("cells")
