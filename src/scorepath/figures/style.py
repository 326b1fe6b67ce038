"""One look for all figures: a colour per estimator family, a shade and a marker per estimator, and a small SVG.

Colours follow the palette of Okabe and Ito, which stays distinct under the common forms of colour blindness.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Collection, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.colors import Colormap, Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, NullLocator

from scorepath.figures.sheet import Sheet, hide
from scorepath.figures.wording import NO_DATA, in_order, interval, label, ten_to
from scorepath.store.paths import sigma_token
from scorepath.store.tables import Tables

WIDTH = 10.0  # inches; 960 CSS pixels, the report's column
SMALLEST = 8.0  # points; 11 CSS pixels where the page shows a figure at its narrowest
MOST_CHARACTERS = 150  # of small print in a line of that width
INK = "#222222"
QUIET = "#5a5a5a"
GRID = "#e3e3e3"
NOT_APPLICABLE = "#ececec"

# one colour for each family of estimators; its members differ by tone, mark and dash
FAMILIES: dict[str, tuple[str, ...]] = {
    "score_function": ("#D55E00", "#8F3F00", "#EE9A5B"),
    "pathwise": ("#0072B2", "#004A75", "#6DB3E0"),
    "measure_valued": ("#009E73", "#00664A", "#66C5A9"),
    "parameter_space": ("#6B6B6B", "#3F3F3F", "#A6A6A6"),
    "mixture": ("#AA4499", "#6F2A63", "#D38AC7"),
}
OTHER_FAMILY = ("#1A1A1A",)
PROTAGONISTS = ("reinforce", "pathwise")
"""Methods that every figure shows."""
MOST_LINES = 5
"""In a panel at first sight; the rest is drawn, but shown on demand."""
MARKERS = "osDXP*hp"
DAGGER = " †"
"""Behind the name of an estimator whose bias was seen."""
DAGGER_WORDS = " †: a bias was seen in some environment."
DASHES = ("-", (0, (5, 1.2)), (0, (2.2, 1)), (0, (6, 1.2, 1.5, 1.2)))


@dataclass(frozen=True)
class EstimatorStyle:
    """How an estimator looks in every figure."""

    family: str
    colour: str
    marker: str
    dash: str | tuple[float, tuple[float, ...]]
    protagonist: bool


def estimator_styles(tables: Tables) -> dict[str, EstimatorStyle]:
    """A style for every estimator of the study, the same in all figures because it comes from the table of cells."""
    cells = tables.read("cells")
    families = dict(zip(cells["estimator"], cells["family"], strict=True))
    names = in_order(cells, "estimator")
    protagonists = set(map(tables.called, PROTAGONISTS))
    count: dict[str, int] = {}
    styles = {}
    for name in sorted(names, key=lambda name: name not in protagonists):  # these two keep the pure colours
        family = families.get(name, "")
        index = count[family] = count.get(family, -1) + 1
        tones = FAMILIES.get(family, OTHER_FAMILY)
        first = [*FAMILIES, family].index(family)
        styles[name] = EstimatorStyle(
            family,
            tones[index % len(tones)],
            MARKERS[(first + index) % len(MARKERS)],
            DASHES[index % len(DASHES)],
            name in protagonists,
        )
    return {name: styles[name] for name in names}


def featured(styles: dict[str, EstimatorStyle], present: Collection[str]) -> list[str]:
    """The estimators that a panel shows at first: both protagonists, the first of each other family, then the first.

    First is who stands first in the study's list.
    """
    names = [name for name in styles if name in present]
    chosen = [name for name in names if styles[name].protagonist]
    for name in names:
        if styles[name].family not in {styles[other].family for other in chosen}:
            chosen.append(name)
    kept = list(dict.fromkeys([*chosen, *names]))[:MOST_LINES]
    return [name for name in names if name in kept]


def the_rest(sheet: Sheet, styles: dict[str, EstimatorStyle], present: Collection[str]) -> dict[str, int | None]:
    """What a panel draws: the featured estimators (None) and behind them, hidden at first, all others by number."""
    first = featured(styles, present)
    others = [name for name in styles if name in present and name not in first]
    sheet.rest = [label(name) for name in others]
    return dict.fromkeys(first) | {name: place for place, name in enumerate(others)}


def left_out(drawn: dict[str, int | None]) -> str:
    """What a note says of the estimators that are drawn but hidden at first."""
    hidden = sum(rest is not None for rest in drawn.values())
    return f" {hidden} more can be chosen under the figure." if hidden else ""


def style() -> AbstractContextManager[None]:
    """The settings every figure is made under."""
    settings = dict(sns.axes_style("whitegrid")) | dict(sns.plotting_context("paper"))
    settings |= {
        "svg.hashsalt": "scorepath",
        "svg.fonttype": "none",  # text stays text: small, searchable, sharp
        "text.parse_math": False,  # a name with a dollar sign is a name
        "font.family": ["sans-serif"],
        "font.sans-serif": ["DejaVu Sans", "Verdana", "Arial", "Helvetica", "sans-serif"],
        "font.size": 9.0,
        "axes.titlesize": 9.0,
        "axes.labelsize": 9.0,
        "xtick.labelsize": SMALLEST,
        "ytick.labelsize": SMALLEST,
        "legend.fontsize": 9.0,
        "text.color": INK,
        "axes.labelcolor": INK,
        "axes.edgecolor": "#9a9a9a",
        "axes.linewidth": 0.7,
        "grid.color": GRID,
        "grid.linewidth": 0.6,
        "figure.facecolor": "white",
    }
    return mpl.rc_context(settings)


def grid(
    facets: int, columns: int, height: float, *, top: float = 0.95, bottom: float = 0.85, left: float = 0.75,
    wspace: float = 0.32, hspace: float = 0.45, sharex: bool = False,
) -> tuple[Sheet, list[Axes]]:  # fmt: skip
    """A figure of `WIDTH` with `facets` axes of `height` inches each; the surplus axes of the last row are removed."""
    columns = max(1, min(columns, facets))
    rows = max(1, math.ceil(facets / columns))
    total = top + bottom + rows * height + (rows - 1) * height * hspace
    figure = Sheet(WIDTH, total)
    axes = figure.subplots(rows, columns, squeeze=False, sharex=sharex).ravel().tolist()
    figure.subplots_adjust(
        left=left / WIDTH, right=1 - 0.12 / WIDTH, top=1 - top / total, bottom=bottom / total,
        wspace=wspace, hspace=hspace,
    )  # fmt: skip
    for surplus in axes[facets:]:
        surplus.remove()
    return figure, axes[:facets]


def heading(figure: Figure, title: str) -> None:
    """The title, top left."""
    inches = figure.get_size_inches()[1]
    figure.text(0.006, 1 - 0.08 / inches, title, ha="left", va="top", fontsize=10.5, fontweight="bold")


def note(figure: Figure, text: str) -> None:
    """Small print at the foot: n, the interval, what is clipped. Lines that are too long for the figure are wrapped."""
    inches = figure.get_size_inches()[1]
    text = "\n".join(part for line in text.splitlines() for part in textwrap.wrap(line, MOST_CHARACTERS))
    figure.text(0.006, 0.06 / inches, text, ha="left", va="bottom", fontsize=8, color=QUIET, linespacing=1.35)


def legend(figure: Figure, handles: Sequence[Line2D], columns: int = 5) -> None:
    """A legend under the title, in rows."""
    if handles:
        inches = figure.get_size_inches()[1]
        figure.legend(
            handles=list(handles), loc="upper left", bbox_to_anchor=(0.0, 1 - 0.27 / inches), ncols=columns,
            frameon=False, handlelength=1.8, columnspacing=1.4, handletextpad=0.5, borderaxespad=0.2,
        )  # fmt: skip


def estimator_handles(
    names: Iterable[str], styles: dict[str, EstimatorStyle], *, lines: bool = False, biased: Collection[str] = (),
) -> list[Line2D]:  # fmt: skip
    """Keys of a legend: markers, or for curves of many points lines with their dashes; a dagger for the biased."""
    return [
        Line2D(
            [], [], color=styles[name].colour, label=label(name) + DAGGER * (name in biased), lw=1.6,
            ls=styles[name].dash if lines else "-", marker="" if lines else styles[name].marker, markersize=4.5,
        )
        for name in names
    ]  # fmt: skip


def points(
    axes: Axes, x: np.ndarray, y: np.ndarray, lengths: np.ndarray, look: EstimatorStyle, *, line: bool = True,
    horizontal: bool = False, size: float = 3.8, biased: np.ndarray | None = None, rest: int | None = None,
) -> None:  # fmt: skip
    """Points with error bars, all bars of a series in one path; `lengths` is (2, points): downwards and upwards.

    Hollow marks stand where the estimator is `biased`.
    """
    value, other = (x, y) if horizontal else (y, x)
    ends = np.stack([value - lengths[0], value + lengths[1], np.full(len(x), np.nan)]).T.ravel()
    stems = np.repeat(np.asarray(other, float), 3)
    drawn = axes.plot(*((ends, stems) if horizontal else (stems, ends)), color=look.colour, lw=1.0, zorder=3)
    if line:
        drawn += axes.plot(x, y, color=look.colour, lw=1.2, zorder=3.1)
    hollow = np.zeros(len(x), bool) if biased is None else biased
    for own, face, edge, width in ((~hollow, look.colour, "white", 0.4), (hollow, "white", look.colour, 1.0)):
        if own.any():
            drawn += axes.plot(
                x[own], y[own], ls="", marker=look.marker, markersize=size, markerfacecolor=face,
                markeredgecolor=edge, markeredgewidth=width, zorder=3.2,
            )  # fmt: skip
    hide(drawn, rest)


def at_edge(
    axes: Axes, x: np.ndarray, place: float, marker: str, look: EstimatorStyle, biased: np.ndarray,
    rest: int | None = None,
) -> None:  # fmt: skip
    """Triangles at the edge of a panel, for points beyond it; hollow where the estimator is `biased`."""
    for own, face in ((~biased, look.colour), (biased, "white")):
        if own.any():
            drawn = axes.plot(
                x[own], np.full(own.sum(), place), ls="", marker=marker, mfc=face, mec=look.colour, ms=4.6, zorder=4,
                clip_on=False,
            )  # fmt: skip
            hide(drawn, rest)


def panel_title(axes: Axes, text: str, name: str = "", pad: float = 4) -> None:
    """The title of a panel; `name` is the environment that it is of, where there is one, as the study calls it."""
    axes.set_label(name or text)
    axes.set_title(text, loc="left", fontweight="bold", pad=pad)


def colour_bar(
    figure: Figure, place: tuple[float, float, float, float], colours: Colormap, low: float, high: float
) -> Axes:
    """A horizontal key of colours from `low` to `high` at (left, bottom, width, height), drawn without a bitmap."""
    bar = figure.add_axes(place)
    edges = np.linspace(low, high, 49)
    bar.add_collection(
        PolyCollection(
            [[(left, 0), (right, 0), (right, 1), (left, 1)] for left, right in pairwise(edges)],
            facecolors=colours(Normalize(low, high)((edges[:-1] + edges[1:]) / 2)), edgecolors="face", linewidths=0.3,
        )
    )  # fmt: skip
    bar.set_xlim(low, high)
    bar.set_ylim(0, 1)
    bar.set_yticks([])
    return bar


def power_of_ten(value: float, _position: int | None = None) -> str:
    """A tick on a logarithmic axis: 0.01, 1, 100, 10⁴ ..."""
    if value <= 0:
        return ""
    exponent = round(math.log10(value))
    if abs(exponent) <= 2:
        return format(10.0**exponent, "g")
    return ten_to(exponent)


def log_axis(axis: mpl.axis.Axis, low: float, high: float, *, dense: bool = False) -> None:
    """At most five decade ticks, or 1-2-5 ticks on a short or `dense` axis, and no minor ones."""
    decades = math.log10(high / low)
    if decades < 2.5 or dense:
        axis.set_major_locator(LogLocator(base=10.0, subs=(1.0, 2.0, 5.0), numticks=12))
        axis.set_major_formatter(FuncFormatter(short_number))
    else:
        step = math.ceil((math.floor(math.log10(high)) - math.ceil(math.log10(low)) + 1) / 5)
        axis.set_major_locator(LogLocator(base=10.0**step, numticks=8))
        axis.set_major_formatter(FuncFormatter(power_of_ten))
    axis.set_minor_formatter(NullFormatter())
    axis.set_minor_locator(NullLocator())


def short_number(value: float, _position: int | None = None) -> str:
    """A tick on a linear axis: 0.5, 3,200, 40k, 5×10⁻⁵."""
    if value == 0:
        return "0"
    if abs(value) >= 1e4:
        return f"{value / 1e3:g}k".replace("-", "−") if abs(value) < 1e6 else f"{value / 1e6:g}M".replace("-", "−")
    if abs(value) < 1e-3:
        exponent = math.floor(math.log10(abs(value)))
        text = f"{value / 10.0**exponent:.3g}".replace("-", "−")
        return f"{text}×{ten_to(exponent)}"
    return f"{value:g}".replace("-", "−")


def sigma_positions(sigmas: Sequence[float]) -> dict[float, float]:
    """Where each noise level stands on a logarithmic axis; 0 stands one step left of the smallest."""
    levels = sorted({float(sigma) for sigma in sigmas if not math.isnan(sigma)})
    positive = [level for level in levels if level > 0]
    if not positive:
        return dict.fromkeys(levels, 1.0)
    ratio = (positive[-1] / positive[0]) ** (1 / (len(positive) - 1)) if len(positive) > 1 else 3.0
    return {level: level if level > 0 else positive[0] / max(ratio, 2.0) for level in levels}


def sigma_axis(axes: Axes, positions: dict[float, float]) -> None:
    """A logarithmic axis of noise levels with the study's own levels as ticks."""
    axes.set_xscale("log")
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticks(list(positions.values()), [sigma_token(level) for level in positions])
    if positions:
        low, high = min(positions.values()), max(positions.values())
        axes.set_xlim(low / 1.6, high * 1.6)


def empty(output: Path, title: str, why: str = NO_DATA) -> None:
    """What a figure is where there is nothing to draw: its title and the reason."""
    with style():
        figure = Sheet(WIDTH, 1.2)
        heading(figure, title)
        figure.text(0.5, 0.4, why, ha="center", color=QUIET)
        figure.save(output, title, f"{why[0].upper()}{why[1:]}.")


def in_words(frame: pd.DataFrame, column: str) -> list[str]:
    """Every row's value with its limits, as readers are told it."""
    return [interval(*row) for row in frame[[column, f"{column}_low", f"{column}_high"]].to_numpy(float)]


def with_bias(words: list[str], biased: np.ndarray) -> list[str]:
    """The words of each point, and that its estimator is biased there."""
    return [text + ", biased here" * bool(seen) for text, seen in zip(words, biased, strict=True)]


def levels_in_words(frame: pd.DataFrame) -> list[str]:
    """Every row's noise level."""
    return [f"σ = {sigma_token(sigma)}" for sigma in frame["sigma"]]


def error_lengths(frame: pd.DataFrame, column: str) -> np.ndarray:
    """Distances (2, rows) from a value down to its lower and up to its upper limit; 0 where there is none."""
    value = frame[column].to_numpy(float)
    with np.errstate(invalid="ignore"):  # an infinite value has infinite limits
        low = value - frame[f"{column}_low"].to_numpy(float)
        high = frame[f"{column}_high"].to_numpy(float) - value
    return np.asarray(np.nan_to_num(np.clip(np.stack([low, high]), 0, None), nan=0.0, posinf=0.0))


def count_words(frame: pd.DataFrame, column: str) -> str:
    """The smallest and largest count in a column of a frame, as words: `n = 4,096`."""
    values = sorted(frame[column].dropna().unique().astype(int).tolist())
    if not values:
        return "n not stated"
    return f"n = {values[0]:,}" if len(values) == 1 else f"n = {values[0]:,} to {values[-1]:,}"
