"""One figure, drawn from the tables."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from scorepath.figures import FIGURES
from scorepath.store.paths import FIGURE, TABLES
from scorepath.store.tables import Tables

if TYPE_CHECKING:
    from scorepath.study.cells import Plan


def figure(plan: Plan, figure: str) -> None:
    """Draw one figure from the tables.

    Raises:
        LookupError: naming the figures that there are.
    """
    if figure not in FIGURES:
        raise LookupError(f"there is no figure {figure!r}; the figures are {', '.join(FIGURES)}")
    FIGURES[figure].draw(Tables(TABLES, plan.methods), Path(FIGURE.format(figure=figure)))
