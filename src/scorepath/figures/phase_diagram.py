"""A phase diagram: who is better along two axes, exact boundaries over measured tiles, measured crossings with bars."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.collections import PolyCollection
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullLocator

from scorepath.figures import style
from scorepath.figures.sheet import read
from scorepath.figures.wording import interval, label, number
from scorepath.store.tables import Tables

COLOURS = sns.blend_palette(["#D55E00", "#f3d9c3", "#f7f7f7", "#c9dfee", "#0072B2"], as_cmap=True)
"""Orange where the rival is better, blue where pathwise is."""
COLUMNS = 3
EXACT, PREDICTED, MEASURED = "#222222", "#8a1c7c", "#111111"
MOST = 1.5
"""Where colours end: at a factor of 32."""
QUANTITIES = {"variance": "variance", "second_moment": "second moment", "squared_error": "mean squared error"}


def draw(tables: Tables, sweep: str, output: Path) -> None:
    """Draw the diagram of a sweep: a panel for each rival, or lines where there is one axis."""
    rows, crossings = (tables.read(name) for name in ("phase_diagrams", "crossings"))
    rows, crossings = (table[table["sweep"] == sweep] for table in (rows, crossings))
    title = f"Phase diagram: {label(sweep)}"
    if not (rows["kind"] == "measured").any():
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
            style.panel_title(axes, _against(rival), pad=6)
            axes.set_xlabel(_axis_name(rows["x_axis"].iloc[0]))
        style.heading(figure, title)
        style.legend(figure, _handles())
        if two:
            _key(figure, rows["quantity"].iloc[0])
        style.note(figure, _reading(rows["quantity"].iloc[0], two))
        figure.save(output, title, sentence(rows, crossings))


def sentence(rows: pd.DataFrame, crossings: pd.DataFrame) -> str:
    """What a sweep found, in a sentence that is computed from its rows."""
    measured = crossings.dropna(subset=["measured"])
    exact = measured["exact"].fillna(measured["predicted"])
    judged = measured[exact.notna()]
    if measured.empty:
        surely = rows[(rows["kind"] == "measured")]
        one = (surely["value_low"] > 0).all() or (surely["value_high"] < 0).all()
        return "No crossing was measured" + (": one side is surely better at every point measured." if one else ".")
    exact = exact[judged.index]
    inside = ((judged["measured_low"] <= exact) & (exact <= judged["measured_high"])).sum()
    words = "1 crossing was measured" if len(measured) == 1 else f"{len(measured)} crossings were measured"
    if len(judged):
        if rows["x"].min() > 0:
            errors = np.abs(np.log(judged["measured"] / exact))
            distance = f"{number(100 * math.expm1(errors.median()), 2)} %"
        else:
            distance = number(np.abs(judged["measured"] - exact).median(), 2)
        words += (
            f"; the 95 % interval of {inside} of {len(judged)} contains the exact one, "
            f"and the median distance is {distance}"
        )
    return words + "."


def _reading(quantity: str, two: bool) -> str:
    shown, good = ("Colour", "blue") if two else ("Height", "above 0")
    if quantity == "flat_batches":
        return f"{shown}: share of batches in which every pathwise sample is zero, less a half; {good}: more than half."
    return f"{shown}: log10 of the ratio of {QUANTITIES[quantity]}s; {good}: pathwise has the smaller one."


def _axis_name(axis: str) -> str:
    return "noise level σ" if axis == "sigma" else label(axis)


def _against(rival: str) -> str:
    return f"pathwise against {label(rival)}" if rival else "pathwise"


def _plane(axes: Axes, rows: pd.DataFrame, crossings: pd.DataFrame) -> None:
    """Measured points as tiles of the plane, boundaries as lines over them."""
    measured = rows[rows["kind"] == "measured"]
    x, y = (sorted(measured[axis].unique()) for axis in ("x", "y"))
    across, up = _edges(x), _edges(y)
    most = _most(rows["quantity"].iloc[0])
    corners, values = [], []
    for place, height, value in measured[["x", "y", "value"]].to_numpy():
        i, j = x.index(place), y.index(height)
        (left, right), (low, high) = across[i : i + 2], up[j : j + 2]
        corners.append([(left, low), (right, low), (right, high), (left, high)])
        values.append(value)
    where = [f"{_at(row.x_axis, row.x)}, {_at(row.y_axis, row.y)}" for row in measured.itertuples()]
    read(axes, "measured", measured["x"], measured["y"], where, [_in_words(row) for row in measured.itertuples()])
    colours = COLOURS(Normalize(-most, most)(np.array(values)))
    axes.add_collection(PolyCollection(corners, facecolors=colours, edgecolors="white", linewidths=0.4, zorder=1))
    for column, colour, dash in (("exact", EXACT, "-"), ("predicted", PREDICTED, (0, (4, 2)))):
        for line in _branches(crossings, column):
            # a boundary that one line of the diagram alone has is a point
            axes.plot(
                line[column], line["y"], color=colour, lw=1.6 if dash == "-" else 1.3, ls=dash, zorder=3,
                marker="." if len(line) == 1 else "", ms=6,
            )  # fmt: skip
    found = crossings.dropna(subset=["measured"])
    lengths = np.stack([found["measured"] - found["measured_low"], found["measured_high"] - found["measured"]])
    axes.errorbar(
        found["measured"], found["y"], xerr=np.nan_to_num(lengths.clip(0), posinf=0.0), fmt="o", color=MEASURED, ms=3.6,
        mfc="white", mew=1.0, elinewidth=1.0, zorder=4,
    )  # fmt: skip
    axis = rows["x_axis"].iloc[0]
    told = [
        f"{_axis_name(axis)} = {interval(*row)}"
        for row in found[["measured", "measured_low", "measured_high"]].to_numpy()
    ]
    read(axes, "crossing", found["measured"], found["y"], [_at(row.y_axis, row.y) for row in found.itertuples()], told)
    axes.set(xscale=_kind(x), yscale=_kind(y))
    _ticks(axes.xaxis, x, 0.14)
    axes.set_xlim(across[0], across[-1])
    _ticks(axes.yaxis, y, 0.06)
    axes.set_ylim(up[0], up[-1])
    axes.set_ylabel(_axis_name(rows["y_axis"].iloc[0]))
    axes.grid(False)


def _at(axis: str, value: float) -> str:
    """A place on an axis."""
    return f"{_axis_name(axis)} = {number(value)}"


def _in_words(row: Any) -> str:
    """A measured point of a diagram; `value` is a log10 of a ratio, or a share less a half."""
    if row.quantity == "flat_batches":
        share = interval(*(100 * (each + 0.5) for each in (row.value, row.value_low, row.value_high)))
        return f"flat in {share} % of batches"
    ratio = interval(*(10.0**each for each in (row.value, row.value_low, row.value_high)))
    return f"{QUANTITIES[row.quantity]} of the rival / pathwise = {ratio}"


def _most(quantity: str) -> float:
    """Where colours end."""
    return 0.5 if quantity == "flat_batches" else MOST


def _key(figure: Figure, quantity: str) -> None:
    """What the colours are, top right."""
    most, inches = _most(quantity), figure.get_size_inches()[1]
    bar = style.colour_bar(figure, (0.69, 1 - 0.26 / inches, 0.22, 0.1 / inches), COLOURS, -most, most)
    factor = f"better ≥{10**most:.0f}×"
    flat = quantity == "flat_batches"
    words = ("no batch", "half", "all are flat") if flat else (f"rival {factor}", "equal", f"pathwise {factor}")
    bar.set_xticks([-most, 0, most], words, fontsize=8)
    bar.tick_params(length=0, pad=2)


def _line(axes: Axes, rows: pd.DataFrame, crossings: pd.DataFrame) -> None:
    """A single axis: the measured contrast with its bars, the exact one as a line."""
    exact, measured = (rows[rows["kind"] == kind].sort_values("x") for kind in ("exact", "measured"))
    axes.axhline(0, color="#9a9a9a", lw=0.8)
    axes.plot(exact["x"], exact["value"], color=EXACT, lw=1.4)
    lengths = style.error_lengths(measured, "value")
    axes.errorbar(
        measured["x"], measured["value"], yerr=lengths, fmt="o", color=MEASURED, ms=3.6, mfc="white", zorder=3
    )
    told = [_in_words(row) for row in measured.itertuples()]
    read(
        axes,
        "measured",
        measured["x"],
        measured["value"],
        [_at(row.x_axis, row.x) for row in measured.itertuples()],
        told,
    )
    for place in crossings["predicted"].dropna():
        axes.axvline(place, color=PREDICTED, lw=1.2, ls=(0, (4, 2)))
    flat = rows["quantity"].iloc[0] == "flat_batches"
    axes.set_ylabel("flat batches - 1/2" if flat else "log10 rival / pathwise")
    x = sorted(measured["x"])
    axes.set_xscale(_kind(x))
    _ticks(axes.xaxis, x, 0.06)


def _kind(values: list[float]) -> str:
    """Of an axis: logarithmic where its values are positive."""
    return "log" if values[0] > 0 else "linear"


def _ticks(axis: Axis, values: list[float], apart: float) -> None:
    """Those of the values as ticks that lie so far apart, as a share of the axis."""
    places = np.log(values) if _kind(values) == "log" else np.array(values)
    kept = [0]
    for index, place in enumerate(places):
        if place - places[kept[-1]] >= apart * (places[-1] - places[0]) > 0:
            kept.append(index)
    axis.set_ticks([values[index] for index in kept], labels=[style.short_number(values[index]) for index in kept])
    axis.set_minor_locator(NullLocator())


def _branches(crossings: pd.DataFrame, column: str) -> list[pd.DataFrame]:
    """The lines of a boundary: the first crossing of every line of the diagram, the second, and so on.

    They end where the number of crossings changes: nothing says which of them go on.
    """
    there = crossings.dropna(subset=[column]).sort_values(["y", column])
    count = there.groupby("y")[column].transform("size")
    part = (count != count.shift()).cumsum()
    return [own for _, own in there.groupby([part, there.groupby("y").cumcount()])]


def _edges(values: list[float]) -> list[float]:
    """Where tiles end: half way between neighbours."""
    logarithmic = _kind(values) == "log"
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
