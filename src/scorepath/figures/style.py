"""One look for all figures: a colour per estimator family, a shade and a marker per estimator, and a small SVG.

Colours follow the palette of Okabe and Ito, which stays distinct under the common forms of colour blindness.
"""

from __future__ import annotations

import io
import math
import re
import textwrap
from collections import Counter
from collections.abc import Collection, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from xml.sax.saxutils import escape

import matplotlib as mpl
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.collections import PolyCollection
from matplotlib.colors import Colormap, Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, NullLocator

from scorepath.figures.wording import NO_DATA, in_order, label
from scorepath.store.files import atomic_write
from scorepath.store.paths import sigma_token
from scorepath.store.tables import Tables

WIDTH = 10.0  # inches; 960 CSS pixels, the report's column
MOST_CHARACTERS = 150  # of small print in a line of that width
INK = "#222222"
QUIET = "#5a5a5a"
GRID = "#e3e3e3"
NOT_APPLICABLE = "#ececec"

# shades of each family of estimators, first the family's own colour
FAMILIES: dict[str, tuple[str, ...]] = {
    "score_function": ("#D55E00", "#7A2E00", "#F0A500", "#F4A582", "#5C4A0C", "#B8860B"),
    "pathwise": ("#0072B2", "#56B4E9", "#00405F", "#86A8CC", "#2F8F9D"),
    "measure_valued": ("#009E73", "#66C2A5", "#005A41"),
    "parameter_space": ("#6B6B6B", "#A3A3A3", "#3C3C3C"),
    "mixture": ("#AA4499", "#CC79A7", "#661D5C"),
}
OTHER_FAMILY = ("#1A1A1A",)
PROTAGONISTS = ("reinforce", "pathwise")
"""Methods that every figure shows."""
MOST_LINES = 10
MARKERS = "osD^vPX<>*"
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
        shades = FAMILIES.get(family, OTHER_FAMILY)
        styles[name] = EstimatorStyle(
            family,
            shades[index % len(shades)],
            MARKERS[index % len(MARKERS)],
            DASHES[index % len(DASHES)],
            name in protagonists,
        )
    return {name: styles[name] for name in names}


def featured(styles: dict[str, EstimatorStyle], present: Collection[str]) -> list[str]:
    """The estimators that a figure of lines can hold: both protagonists, then those that the study lists first."""
    order = sorted((name for name in styles if name in present), key=lambda name: not styles[name].protagonist)
    chosen = set(order[:MOST_LINES])
    return [name for name in styles if name in chosen]


def left_out(shown: Sequence[str], present: Collection[str]) -> str:
    """What a note says of the estimators that `featured` left out."""
    missing = len(set(present) - set(shown))
    return f" {missing} more estimators stand in the map of all estimators." if missing else ""


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
        "xtick.labelsize": 8.0,
        "ytick.labelsize": 8.0,
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
) -> tuple[Figure, list[Axes]]:  # fmt: skip
    """A figure of `WIDTH` with `facets` axes of `height` inches each; the surplus axes of the last row are removed."""
    columns = max(1, min(columns, facets))
    rows = max(1, math.ceil(facets / columns))
    total = top + bottom + rows * height + (rows - 1) * height * hspace
    figure = Figure(figsize=(WIDTH, total))
    FigureCanvasSVG(figure)
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


def estimator_handles(names: Sequence[str], styles: dict[str, EstimatorStyle], *, lines: bool = False) -> list[Line2D]:
    """Keys of a legend: markers, or for curves of many points lines with their dashes."""
    return [
        Line2D(
            [], [], color=styles[name].colour, label=label(name), lw=1.6, ls=styles[name].dash if lines else "-",
            marker="" if lines else styles[name].marker, markersize=4.5,
        )
        for name in names
    ]  # fmt: skip


def points(
    axes: Axes, x: np.ndarray, y: np.ndarray, lengths: np.ndarray, look: EstimatorStyle, *, line: bool = True,
    horizontal: bool = False, size: float = 3.8,
) -> None:  # fmt: skip
    """Points with error bars, all bars of a series in one path; `lengths` is (2, points): downwards and upwards."""
    value, other = (x, y) if horizontal else (y, x)
    ends = np.stack([value - lengths[0], value + lengths[1], np.full(len(x), np.nan)]).T.ravel()
    stems = np.repeat(np.asarray(other, float), 3)
    axes.plot(*((ends, stems) if horizontal else (stems, ends)), color=look.colour, lw=1.0, zorder=3)
    axes.plot(
        x, y, color=look.colour, lw=1.2, ls="-" if line else "", marker=look.marker, markersize=size,
        markeredgewidth=0.4, markeredgecolor="white", zorder=3.1,
    )  # fmt: skip


_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


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
    return "10" + str(exponent).translate(_SUPERSCRIPTS)


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
        return f"{text}×10{str(exponent).translate(_SUPERSCRIPTS)}"
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
        figure = Figure(figsize=(WIDTH, 1.2))
        FigureCanvasSVG(figure)
        heading(figure, title)
        figure.text(0.5, 0.4, why, ha="center", color=QUIET)
        save(figure, output, title, f"{why[0].upper()}{why[1:]}.")


def save(figure: Figure, output: Path, title: str, description: str) -> None:
    """Write the figure as SVG with a title and a description for those who cannot see it; equal input, equal bytes."""
    buffer = io.StringIO()
    nothing = {"Date": None, "Creator": None, "Format": None, "Type": None}
    figure.savefig(buffer, format="svg", metadata=nothing)
    text = re.sub(r"\s*<metadata>.*?</metadata>", "", buffer.getvalue(), flags=re.DOTALL)
    text = re.sub(r' (d|x|y)="([^"]*)"', _rounded, text)
    text = re.sub(r' transform="rotate\(-?0 [^"]*\)"', "", text)
    text = re.sub(r"<!--.*?-->|<!DOCTYPE[^>]*>\n?", "", text, flags=re.DOTALL)
    text = _classed(re.sub(r"\n\s+", "\n", text))
    words = (
        f'<title id="scorepath-title">{escape(title)}</title>\n<desc id="scorepath-desc">{escape(description)}</desc>'
    )
    text = re.sub(
        r"(<svg\b)([^>]*>)",
        lambda match: f'{match[1]} role="img" aria-labelledby="scorepath-title scorepath-desc"{match[2]}\n{words}',
        text,
        count=1,
    )
    with atomic_write(output) as file:
        file.write(text)


def _classed(text: str) -> str:
    """Looks that recur become classes: half of a figure's bytes is the same few attributes."""
    counts = Counter(re.findall(r' style="([^"]*)"', text))
    names = {look: f"s{index}" for index, look in enumerate(look for look, number in counts.items() if number > 1)}
    text = re.sub(
        r' style="([^"]*)"', lambda found: f' class="{names[found[1]]}"' if found[1] in names else found[0], text
    )
    rules = "".join(f".{name}{{{look}}}" for look, name in names.items())
    return text.replace("</style>", f"{rules}</style>", 1)


def _rounded(match: re.Match[str]) -> str:
    numbers = re.sub(r"-?\d+\.\d+", lambda number: format(round(float(number[0]), 2), "g"), match[2])
    return f' {match[1]}="{" ".join(numbers.split())}"'


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
