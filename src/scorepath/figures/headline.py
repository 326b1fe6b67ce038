"""The headline: how often pathwise wins, of the decided comparisons, by noise level, with limits over environments."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.lines import Line2D

from scorepath.figures import style
from scorepath.figures.sheet import read
from scorepath.figures.wording import interval, why_empty
from scorepath.store.tables import Tables

TITLE = "How often the pathwise gradient wins"
NOTHING_DECIDED = "no comparison is decided at any noise level"
SERIES = (
    ("pathwise_vs_best_score_function", "equal_samples", "best score function at equal samples",
     style.FAMILIES["score_function"][0], "o"),
    ("pathwise_vs_best_derivative_free", "equal_steps", "best derivative-free estimator at equal environment steps",
     style.INK, "D"),
)  # fmt: skip
"""Comparison and criterion, their words, colour and marker."""


def draw(tables: Tables, output: Path) -> None:
    """Draw the figure."""
    nothing, wins = why_empty(tables, NOTHING_DECIDED), tables.read("wins")
    wins = wins[(wins["by"] == "sigma") & wins["share"].notna()]
    shown = [(wins[(wins["comparison"] == one) & (wins["criterion"] == other)], *look) for one, other, *look in SERIES]
    shown = [entry for entry in shown if len(entry[0])]
    if not shown:
        style.empty(output, TITLE, nothing)
        return
    levels = sorted({float(level) for own, *_ in shown for level in own["level"]})
    positions = style.sigma_positions(levels)
    with style.style():
        figure, (axes,) = style.grid(1, 1, 2.6, top=0.62, bottom=0.62)
        axes.set_label("won by pathwise")
        for index, (own, words, colour, marker) in enumerate(shown):
            own = own.assign(sigma=own["level"].astype(float)).sort_values("sigma")
            x = own["sigma"].map(positions).to_numpy() * (1 / 1.06 if index else 1.06)
            y = 100 * own["share"].to_numpy()
            lengths = np.stack([y - 100 * own["share_low"].to_numpy(), 100 * own["share_high"].to_numpy() - y])
            look = style.EstimatorStyle("", colour, marker, "-", False)
            style.points(axes, x, y, lengths, look, size=6)
            shares = (100 * own[["share", "share_low", "share_high"]]).to_numpy()
            counts = [
                f"{row.pathwise_wins:.0f} of {row.pathwise_wins + row.rival_wins:.0f}" for row in own.itertuples()
            ]
            told = [f"{count} decided, {interval(*share)} %" for count, share in zip(counts, shares, strict=True)]
            read(axes, f"against the {words}", x, y, style.levels_in_words(own), told)
            for place, height, count in zip(x, y, counts, strict=True):
                axes.annotate(
                    count, (place, height), xytext=(-6, -12) if index else (6, 5), textcoords="offset points",
                    fontsize=8, ha="right" if index else "left", color=colour,
                )  # fmt: skip
        axes.axhline(50, color=style.QUIET, lw=0.8, ls=(0, (4, 3)))
        style.sigma_axis(axes, positions)
        axes.set_ylim(-2, 108)
        axes.set_yticks(range(0, 101, 25), [f"{share} %" for share in range(0, 101, 25)])
        axes.set_xlabel("noise level σ")
        axes.set_ylabel("won by pathwise")
        style.heading(figure, TITLE)
        style.legend(figure, [
            Line2D([], [], color=colour, marker=marker, ms=6, lw=1.2, label=f"against the {words}")
            for _, words, colour, marker in shown
        ], 2)  # fmt: skip
        figure.save(output, TITLE, describe(shown[0][0], shown[0][1]))


def describe(rows: pd.DataFrame, words: str) -> str:
    """The first series in a sentence: shares with limits, and counts where there are too few environments for any."""
    bare = rows["share_low"].isna()
    parts = [
        f"{row.pathwise_wins:.0f} of {row.pathwise_wins + row.rival_wins:.0f} at σ = {row.level}"
        if math.isnan(row.share_low)
        else f"{100 * row.share:.0f} % [{100 * row.share_low:.0f}, {100 * row.share_high:.0f}] at σ = {row.level}"
        for row in rows.assign(sigma=rows["level"].astype(float)).sort_values("sigma").itertuples()
    ]
    few = f"; too few environments for limits{'' if bare.all() else ' where none stand'}" if bare.any() else ""
    return f"Against the {words}, pathwise wins of the decided comparisons {', '.join(parts)}{few}."
