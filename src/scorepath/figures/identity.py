"""The two sides of the identity: both mean gradients, measured along the exact gradient and in units of its length.

1 means that an estimator's mean is the exact gradient (along its own direction); where the return jumps, the pathwise
side misses the boundary term.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from scorepath.figures import style
from scorepath.figures.bias import places_seen_biased
from scorepath.figures.sheet import read
from scorepath.figures.wording import in_order, label, why_empty
from scorepath.store.tables import Tables

TITLE = "Both sides of the identity: mean gradient along the exact gradient, in units of its length"
SIDES = ("reinforce", "pathwise")
"""Methods."""
LIMITS = (-0.6, 2.6)
COLUMNS = 5
NEITHER_SIDE = "neither side has been measured at a noise level above 0 along an exact gradient that is not zero"


def projections(tables: Tables) -> pd.DataFrame:
    """Rows of REINFORCE and pathwise at the start with `ratio`, `ratio_low`, `ratio_high` and the reference's facts.

    One `agrees` where its interval contains the exact value, that one's error considered. It is `blind` where all its
    samples are zero although its mean is proved not to be: it has seen nothing, and [0, 0] is no interval for its mean.
    """
    statistics = tables.read("gradient_statistics")
    statistics = statistics[statistics["estimator"].isin(map(tables.called, SIDES)) & (statistics["sigma"] > 0)]
    statistics = statistics[statistics["checkpoint"] == statistics["checkpoint"].min()]
    references = tables.read("references").drop(columns=["samples"])
    rows: pd.DataFrame = statistics.merge(references, on=["environment", "sigma", "checkpoint"], how="left")
    norm = rows["gradient_norm"].where(rows["gradient_norm"] > 0)
    for suffix in ("", "_low", "_high"):
        rows[f"ratio{suffix}"] = rows[f"projection{suffix}"] / norm
    slack = 1.96 * rows["standard_error"].clip(lower=0.0).fillna(0.0)
    low, high = rows["projection_low"] - slack, rows["projection_high"] + slack
    rows["agrees"] = (low <= rows["gradient_norm"]) & (rows["gradient_norm"] <= high)
    rows["blind"] = (rows["zero_fraction"] == 1) & ~rows["agrees"] & rows["proved_unbiased"]
    return rows


def draw(tables: Tables, output: Path) -> None:
    """Draw the figure."""
    rows = projections(tables).dropna(subset=["ratio"])
    environments = in_order(rows, "environment")
    if not environments:
        style.empty(output, TITLE, why_empty(tables, NEITHER_SIDE))
        return
    styles = style.estimator_styles(tables)
    sides = list(map(tables.called, SIDES))  # a study may have only one of them
    positions = style.sigma_positions(rows["sigma"].tolist())
    biased = places_seen_biased(tables)
    with style.style():
        figure, facets = style.grid(
            len(environments), COLUMNS, 1.1, top=0.85, bottom=0.88, left=0.68, wspace=0.16, hspace=0.42
        )
        for index, (axes, name) in enumerate(zip(facets, environments, strict=True)):
            axes.axhline(1, color=style.INK, lw=0.9, zorder=1)
            axes.axhline(0, color="#9a9a9a", lw=0.6, zorder=1)
            for side, shift in zip(sides, (0.93, 1.075), strict=True):
                own = rows[(rows["environment"] == name) & (rows["estimator"] == side)].sort_values("sigma")
                if own.empty:
                    continue
                x = own["sigma"].map(positions).to_numpy(float) * shift
                y = own["ratio"].to_numpy(float)
                look = styles[side]
                seen = np.array([(name, side, sigma) in biased for sigma in own["sigma"]])
                lengths = style.error_lengths(own, "ratio")
                style.points(axes, x, y, lengths, look, line=False, size=4.4, biased=seen)
                for outside, place, marker in ((y > LIMITS[1], LIMITS[1], "^"), (y < LIMITS[0], LIMITS[0], "v")):
                    style.at_edge(axes, x[outside], place, marker, look, seen[outside])
                told = style.with_bias(style.in_words(own, "ratio"), seen)
                read(axes, label(side), x, np.clip(y, *LIMITS), style.levels_in_words(own), told)
            style.sigma_axis(axes, positions)
            axes.set_ylim(*LIMITS)
            axes.set_yticks([0, 1, 2], ["0", "1", "2"] if index % COLUMNS == 0 else ["", "", ""])
            style.panel_title(axes, label(name), name, 6)
            if index % COLUMNS == 0:
                axes.set_ylabel("projection /\n‖exact gradient‖", fontsize=8)
            if index >= len(environments) - COLUMNS:
                axes.set_xlabel("noise level σ", fontsize=8.5)
        style.heading(figure, TITLE)
        present = set(rows["estimator"])
        style.legend(figure, style.estimator_handles([side for side in sides if side in present], styles))
        style.note(
            figure,
            f"{style.count_words(rows, 'samples')} trajectories per point, start of training; bars are 95 % intervals"
            f" (cut at the frame).\nTriangles: mean outside {LIMITS[0]:g} to {LIMITS[1]:g}."
            " A point at 0 without a bar: every sample is zero. Hollow: a bias is told apart from zero.".replace(
                "-", "−"
            ),
        )
        figure.save(output, TITLE, describe(rows, *sides))


def describe(rows: pd.DataFrame, reinforce: str, pathwise: str) -> str:
    """How many intervals contain 1, for each side, and where the pathwise side is furthest from it."""
    parts = []
    for side in (reinforce, pathwise):
        own = rows[rows["estimator"] == side]
        blind, contains = own["blind"].sum(), own["agrees"].sum()
        if len(own):
            parts.append(
                f"The 95 % interval of {label(side)} contains 1 in {contains} of {len(own) - blind} points"
                + (f"; {blind} more, in which every sample was zero, say nothing of its mean." if blind else ".")
            )
    own = rows[rows["estimator"] == pathwise]
    short = own[(own["ratio_high"] < 0.9) | (own["ratio_low"] > 1.1)]
    if len(short):
        ranges = [
            f"{label(str(name))} ({group['ratio'].min():.2f} to {group['ratio'].max():.2f})"
            for name, group in short.groupby("environment", sort=False)
        ]
        parts.append(f"Pathwise is more than 10 % away from 1 in {', '.join(ranges)}.")
    return " ".join(parts).replace("-", "−")
