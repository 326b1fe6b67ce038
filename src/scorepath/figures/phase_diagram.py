"""A phase diagram: who is better along two axes, exact boundaries over measured tiles, measured crossings with bars."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.colors import Normalize
from matplotlib.lines import Line2D

from scorepath.figures import style
from scorepath.figures.wording import label
from scorepath.store.tables import Tables

COLOURS = sns.blend_palette(["#D55E00", "#f3d9c3", "#f7f7f7", "#c9dfee", "#0072B2"], as_cmap=True)
"""Orange where the rival is better, blue where pathwise is."""
COLUMNS = 3
EXACT, PREDICTED, MEASURED = "#222222", "#8a1c7c", "#111111"
MOST = 1.5
"""Where colours end."""
QUANTITIES = {"variance": "variance", "second_moment": "second moment", "flat_batches": "flat batches"}


def draw(tables: Tables, sweep: str, output: Path) -> None:
    """Draw the diagram of a sweep: a panel for each rival, or lines where there is one axis."""
    rows, crossings = (tables.read(name) for name in ("phase_diagrams", "crossings"))
    rows, crossings = (table[table["sweep"] == sweep] for table in (rows, crossings))
    title = f"Phase diagram {label(sweep)}"
    if rows.empty:
        style.empty(output, title)
        return
    rivals = list(dict.fromkeys(rows["rival"]))
    two = bool(rows["y_axis"].iloc[0])
    with style.style():
        figure, panels = style.grid(
            len(rivals), COLUMNS, 2.5 if len(rivals) > 1 else 3.2, top=0.85, bottom=0.95, wspace=0.3
        )
        for axes, rival in zip(panels, rivals, strict=True):
            own, there = rows[rows["rival"] == rival], crossings[crossings["rival"] == rival]
            (_plane if two else _line)(axes, own, there)
            axes.set_title(_against(rival), loc="left", fontweight="bold", pad=6)
            axes.set_xscale("log")
            axes.set_xlabel(label(rows["x_axis"].iloc[0]))
        style.heading(figure, title)
        style.legend(figure, _handles())
        style.note(figure, f"{sentence(rows, crossings)} {_reading(rows['quantity'].iloc[0])}")
        style.save(figure, output, title, sentence(rows, crossings))


def sentence(rows: pd.DataFrame, crossings: pd.DataFrame) -> str:
    """What a sweep found, in a sentence that is computed from its rows."""
    measured = crossings.dropna(subset=["measured"])
    exact = measured["exact"].fillna(measured["predicted"])
    judged = measured[exact.notna()]
    if measured.empty:
        surely = rows[(rows["kind"] == "measured")]
        one = (surely["value_low"] > 0).all() or (surely["value_high"] < 0).all()
        return "No crossing was measured" + (": one side is surely better at every point." if one else ".")
    exact = exact[judged.index]
    inside = ((judged["measured_low"] <= exact) & (exact <= judged["measured_high"])).sum()
    error = (judged["measured"] / exact).apply(lambda ratio: abs(math.log(ratio)))
    words = f"{len(measured)} crossings were measured"
    if len(judged):
        words += (
            f"; the 95 % interval of {inside} of {len(judged)} contains the exact one, "
            f"and the median distance is {100 * math.expm1(error.median()):.2g} %"
        )
    return words + "."


def _reading(quantity: str) -> str:
    if quantity == "flat_batches":
        return "Colour: share of batches in which every pathwise sample is zero, less a half."
    return f"Colour: log10 of the ratio of {QUANTITIES.get(quantity, quantity)}s; blue: pathwise has the smaller one."


def _against(rival: str) -> str:
    return f"pathwise against {label(rival)}" if rival else "pathwise"


def _plane(axes: Axes, rows: pd.DataFrame, crossings: pd.DataFrame) -> None:
    """Measured points as tiles of the plane, boundaries as lines over them."""
    measured = rows[rows["kind"] == "measured"]
    logarithmic = bool((rows["y"] > 0).all())
    x, y = (sorted(measured[axis].unique()) for axis in ("x", "y"))
    across, up = _edges(x, True), _edges(y, logarithmic)
    most = 0.5 if rows["quantity"].iloc[0] == "flat_batches" else MOST
    corners, values = [], []
    for place, height, value in measured[["x", "y", "value"]].to_numpy():
        i, j = x.index(place), y.index(height)
        (left, right), (low, high) = across[i : i + 2], up[j : j + 2]
        corners.append([(left, low), (right, low), (right, high), (left, high)])
        values.append(value)
    colours = COLOURS(Normalize(-most, most)(np.array(values)))
    axes.add_collection(PolyCollection(corners, facecolors=colours, edgecolors="white", linewidths=0.4, zorder=1))
    for column, colour, dash in (("exact", EXACT, "-"), ("predicted", PREDICTED, (0, (4, 2)))):
        for line in _branches(crossings, column):
            axes.plot(line[column], line["y"], color=colour, lw=1.6 if dash == "-" else 1.3, ls=dash, zorder=3)
    found = crossings.dropna(subset=["measured"])
    lengths = np.stack([found["measured"] - found["measured_low"], found["measured_high"] - found["measured"]])
    axes.errorbar(
        found["measured"], found["y"], xerr=np.nan_to_num(lengths.clip(0), posinf=0.0), fmt="o", color=MEASURED, ms=3.6,
        mfc="white", mew=1.0, elinewidth=1.0, zorder=4,
    )  # fmt: skip
    axes.set_xlim(across[0], across[-1])
    if logarithmic:
        axes.set_yscale("log")
    axes.set_ylim(up[0], up[-1])
    axes.set_ylabel(label(rows["y_axis"].iloc[0]))
    axes.grid(False)


def _line(axes: Axes, rows: pd.DataFrame, crossings: pd.DataFrame) -> None:
    """A single axis: the measured contrast with its bars, the exact one as a line."""
    exact, measured = (rows[rows["kind"] == kind].sort_values("x") for kind in ("exact", "measured"))
    axes.axhline(0, color="#9a9a9a", lw=0.8)
    axes.plot(exact["x"], exact["value"], color=EXACT, lw=1.4)
    lengths = style.error_lengths(measured, "value")
    axes.errorbar(
        measured["x"], measured["value"], yerr=lengths, fmt="o", color=MEASURED, ms=3.6, mfc="white", zorder=3
    )
    for place in crossings["predicted"].dropna():
        axes.axvline(place, color=PREDICTED, lw=1.2, ls=(0, (4, 2)))
    axes.set_ylabel("log10 rival / pathwise")


def _branches(crossings: pd.DataFrame, column: str) -> list[pd.DataFrame]:
    """The lines of a boundary: the first crossing of every line of the diagram, the second, and so on."""
    there = crossings.dropna(subset=[column]).sort_values(["y", column])
    number = there.groupby("y").cumcount()
    return [own for _, own in there.groupby(number)]


def _edges(values: list[float], logarithmic: bool) -> list[float]:
    """Where tiles end: half way between neighbours."""
    places = np.log(values) if logarithmic else np.array(values, dtype=float)
    if len(places) == 1:
        ends = np.array([places[0] - 0.5, places[0] + 0.5])
    else:
        middle = (places[1:] + places[:-1]) / 2
        ends = np.concatenate([[2 * places[0] - middle[0]], middle, [2 * places[-1] - middle[-1]]])
    edges: list[float] = (np.exp(ends) if logarithmic else ends).tolist()
    return edges


def _handles() -> list[Line2D]:
    return [
        Line2D([], [], color=EXACT, lw=1.6, label="exact"),
        Line2D([], [], color=PREDICTED, lw=1.3, ls=(0, (4, 2)), label="predicted by a formula"),
        Line2D([], [], color=MEASURED, marker="o", mfc="white", ms=3.6, ls="-", label="measured, 95 % interval"),
    ]
