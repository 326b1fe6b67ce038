"""Figures: tables in, one SVG out.

`FIGURES` names them all, each with the tables that it reads; a figure's module, and with it matplotlib, is imported
only when the figure is drawn. Equal tables give equal bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from scorepath.store.tables import Tables


@dataclass(frozen=True)
class Figure:
    """A function `(tables, output) -> None` of the study's tables and of the file to write."""

    module: str
    reads: tuple[str, ...]
    """The tables that it reads, and so what it is drawn anew for; the last one is that which holds its points."""
    function: str = "draw"

    def draw(self, tables: Tables, output: Path) -> None:
        """Draw the figure into the SVG file `output`."""
        getattr(import_module(f"scorepath.figures.{self.module}"), self.function)(tables, output)


BIAS = ("references", "gradient_statistics")
"""What says whose bias is seen where."""

FIGURES = {
    "headline": Figure("headline", ("cells", "wins")),
    "verdict_map": Figure("verdict_map", ("cells", "verdicts_compute", "verdicts")),
    "estimator_map": Figure("estimator_map", ("cells", *BIAS)),
    "one_step": Figure("one_step", ("student_figure",)),
    "identity": Figure("identity", ("cells", *BIAS)),
    "zero_noise_limit": Figure("noise_sweep", ("cells", *BIAS), "draw_zero_noise_limit"),
    "variance": Figure("noise_sweep", ("cells", "exact_curves", *BIAS), "draw_variance"),
    "nsr": Figure("noise_sweep", ("cells", *BIAS), "draw_nsr"),
    "bias": Figure("bias", ("cells", *BIAS)),
    "learning_curves": Figure("learning", ("cells", *BIAS, "training"), "draw_steps"),
    "learning_curves_seconds": Figure("learning", ("cells", *BIAS, "costs", "training"), "draw_seconds"),
    "profiles": Figure("profiles", ("cells", *BIAS, "costs", "training")),
    "why": Figure("why", ("cells", "roughness", "mechanisms")),
    "ledger": Figure("ledger", ("claims",)),
    "cost": Figure("cost", ("cells", *BIAS, "costs")),
}
