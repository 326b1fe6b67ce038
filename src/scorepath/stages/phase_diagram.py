"""One sweep's phase diagram, drawn from the tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scorepath.figures.phase_diagram import draw
from scorepath.store.paths import TABLES, sweep_figure_path
from scorepath.store.tables import Tables

if TYPE_CHECKING:
    from scorepath.study.cells import Plan


def phase_diagram(plan: Plan, sweep: str) -> None:
    """Draw a sweep's phase diagram from the tables.

    Raises:
        LookupError: if the study has no such sweep.
    """
    if sweep not in plan.study.sweeps:
        raise LookupError(f"the study has no sweep {sweep}; `sweeps` in its configuration says which it has")
    draw(Tables(TABLES, plan.methods), sweep, sweep_figure_path(sweep))
