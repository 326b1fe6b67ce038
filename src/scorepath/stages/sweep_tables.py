"""The gather of all sweeps: two tables of what each of them has found."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from scorepath.stages._measurements import read_rows
from scorepath.store.paths import diagram_path, sweep_crossings_path
from scorepath.store.tables import COLUMNS, save

if TYPE_CHECKING:
    from scorepath.study.cells import Plan


def sweep_tables(plan: Plan) -> None:
    """Gather all sweeps into the phase_diagrams and crossings tables."""
    parts: dict[str, Callable[[str], Path]] = {"phase_diagrams": diagram_path, "crossings": sweep_crossings_path}
    for table, path in parts.items():
        found = [read_rows(path(name), may_be_empty=True) for name in plan.study.sweeps if path(name).exists()]
        found = [part for part in found if len(part)]
        save(table, pd.concat(found, ignore_index=True) if found else pd.DataFrame(columns=COLUMNS[table]))
