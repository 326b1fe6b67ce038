"""The verdict map describes its own counts."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from pathlib import Path

from tests.helpers.small_tables import write_tables

from scorepath.figures import FIGURES
from scorepath.store.tables import Tables

SVG = "{http://www.w3.org/2000/svg}"


def test_verdict_map_describes_its_own_counts(tmp_path: Path) -> None:
    FIGURES["verdict_map"].draw(Tables(write_tables(tmp_path / "tables")), tmp_path / "out.svg")
    words = ElementTree.fromstring((tmp_path / "out.svg").read_text(encoding="utf-8")).findtext(f"{SVG}desc") or ""
    assert "pathwise better in 4 tiles, its rival in 4, undecided 0" in words
    assert "Pathwise ahead wherever decided: smooth." in words
    assert "Score function ahead wherever decided: edge." in words
