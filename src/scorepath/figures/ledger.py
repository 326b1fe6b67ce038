"""The ledger drawn: each row's interval, in units of what was predicted."""

from __future__ import annotations

import textwrap
from pathlib import Path

import numpy as np
import pandas as pd

from scorepath.figures import style
from scorepath.figures.sheet import read
from scorepath.figures.wording import interval, number
from scorepath.store.tables import Tables

TITLE = "The ledger: what was measured, in units of what was predicted"
COLOURS = {"within": "#0072B2", "undecided": "#8a8a8a", "outside": "#D55E00"}
FRAME = (0.4, 1.6)
"""What is beyond is drawn at the edge."""


def draw(tables: Tables, output: Path) -> None:
    """Draw all rows whose prediction is a number."""
    draw_rows(tables.read("claims"), output, TITLE)


def draw_rows(rows: pd.DataFrame, output: Path, title: str) -> None:
    """Draw these rows; those whose prediction is a range or 0 have no unit, and are written out alone."""
    if rows.empty:
        style.empty(output, title)
        return
    with style.style():
        figure, (axes,) = style.grid(1, 1, 0.2 + 0.24 * len(rows), top=0.5, bottom=0.68, left=6.4)
        axes.axvline(1, color=style.INK, lw=0.8, zorder=1)
        axes.set_label("in units of the prediction")
        for place, row in enumerate(rows.itertuples()):
            colour = COLOURS.get(str(row.tolerance), style.QUIET)
            unit = float(row.predicted)
            if np.isfinite(unit) and unit != 0 and np.isfinite(row.measured):
                ends = sorted((row.measured_low / unit, row.measured_high / unit))
                low, high = np.clip(ends, *FRAME)
                axes.plot([low, high], [place, place], color=colour, lw=1.4, zorder=2)
                at = float(np.clip(row.measured / unit, *FRAME))
                axes.plot(at, place, "o", color=colour, ms=4, zorder=3)
            else:
                at = 1.02
                words = interval(row.measured, row.measured_low, row.measured_high)
                axes.text(at, place, words, color=colour, va="center", fontsize=8)
            told = f"measured {interval(row.measured, row.measured_low, row.measured_high, 4)}"
            told += f", predicted {number(row.predicted, 4)}" * bool(np.isfinite(unit))
            read(axes, row.claim, [at], [place], [row.prediction], [f"{told}; tolerance: {row.tolerance}"])
        labels = [f"{row.claim}: {row.prediction}" for row in rows.itertuples()]
        axes.set_yticks(range(len(rows)), [textwrap.shorten(text, 92, placeholder=" …") for text in labels])
        axes.set_ylim(len(rows) - 0.4, -0.6)
        axes.set_xlim(*FRAME)
        style.heading(figure, title)
        style.note(
            figure, "Bars: 95 %. Blue: within the tolerance; grey: undecided; orange: outside it. " + summary(rows)
        )
        figure.save(output, title, summary(rows))


def summary(rows: pd.DataFrame) -> str:
    """How the rows come out, in a sentence."""
    counts = [f"{(rows['tolerance'] == word).sum()} {word}" for word in COLOURS]
    consistent = (rows["consistency"] == "consistent").sum()
    return f"Of {len(rows)} rows {consistent} are consistent with their prediction; tolerance: {', '.join(counts)}."
