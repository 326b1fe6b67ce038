"""Every estimator in every environment: how far each one's mean squared error is from the best one's there."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, Normalize

from scorepath.figures import style
from scorepath.figures.bias import FLOOR, relative_bias
from scorepath.figures.sheet import Sheet, read
from scorepath.figures.wording import in_order, label, number, why_empty
from scorepath.store.tables import Tables

TITLE = "Every estimator everywhere: mean squared error against the best one's, at equal environment steps"
PLACE = ["environment", "sigma", "checkpoint"]
CLIP = 3.0
COLOURS = LinearSegmentedColormap.from_list("distance", ["#FFFFFF", "#F3DDB3", "#D98F4E", "#9A3B26", "#3D0F1B"])


def distances(tables: Tables) -> pd.DataFrame:
    """`distance`, the median of log10(error / best error there), and `biased`, by estimator and environment.

    The median is over noise levels above 0 and checkpoints. Errors below 1e-12 of the largest one of their place, that
    of an exact estimator among them, count as that. A place has no best error where a smaller one may be among those
    that are not known.
    """
    rows = relative_bias(tables)
    rows = rows[rows["sigma"] > 0]
    rows = rows[np.isfinite(rows["mse_equal_steps"]) & ~_open(rows)]
    places = rows.groupby(PLACE)["mse_equal_steps"]
    error = np.maximum(rows["mse_equal_steps"], 1e-12 * places.transform("max"))
    best = np.maximum(places.transform("min"), 1e-12 * places.transform("max"))
    rows = rows.assign(
        distance=np.log10(error.where(best > 0) / best.where(best > 0)),
        biased=((rows["relative_low"] > FLOOR) & ~rows["proved_unbiased"]).astype(float),
    ).dropna(subset=["distance"])
    medians: pd.DataFrame = rows.groupby(["estimator", "environment"])[["distance", "biased"]].median()
    return medians


def _open(rows: pd.DataFrame) -> pd.Series:
    """Whether an estimator whose error is not known, for want of a certified reference, has a smaller variance than the
    best of the others there has an error."""
    price = rows["environment_steps_per_sample"] / rows.groupby(PLACE)["environment_steps_per_sample"].transform("min")
    least = (rows["variance"] * price / rows["budget"]).where(rows["mse_equal_steps"].isna())
    places = [rows[name] for name in PLACE]
    return least.groupby(places).transform("min") < rows["mse_equal_steps"].groupby(places).transform("min")


def draw(tables: Tables, output: Path) -> None:
    """Draw the figure."""
    found = distances(tables)
    if found.empty:
        style.empty(output, TITLE, why_empty(tables, "no error has been measured at a noise level above 0"))
        return
    styles = style.estimator_styles(tables)
    families = list(style.FAMILIES)
    names = set(found.index.get_level_values("estimator"))
    estimators = sorted(
        (name for name in styles if name in names),
        key=lambda name: families.index(styles[name].family) if styles[name].family in families else len(families),
    )
    present = set(found.index.get_level_values("environment"))
    environments = [name for name in in_order(tables.read("gradient_statistics"), "environment") if name in present]
    places = pd.MultiIndex.from_product([estimators, environments])
    table = found.reindex(places)
    shape = len(estimators), len(environments)
    distance, biased = (table[column].to_numpy(float).reshape(shape) for column in ("distance", "biased"))
    with style.style():
        top, bottom = 1.6, 0.62
        height = 0.2 * len(estimators) + top + bottom
        figure = Sheet(style.WIDTH, height)
        axes = figure.add_axes((0.2, bottom / height, 0.75, 1 - (top + bottom) / height))
        axes.pcolormesh(
            np.ma.masked_invalid(distance), cmap=COLOURS, norm=Normalize(0, CLIP), edgecolors="white", linewidth=0.6
        )
        axes.set_facecolor(style.NOT_APPLICABLE)
        axes.set_label("")
        _tell(axes, estimators, environments, distance, biased)
        row, column = np.nonzero(biased >= 0.5)
        colours = ["white" if distance[place] > 0.6 * CLIP else style.INK for place in zip(row, column, strict=True)]
        axes.scatter(column + 0.5, row + 0.5, s=5, c=colours, linewidths=0)
        axes.set_xlim(0, shape[1])
        axes.set_ylim(shape[0], 0)
        axes.set_xticks(
            np.arange(shape[1]) + 0.5, [label(name) for name in environments], rotation=40, ha="left", fontsize=8
        )
        axes.xaxis.tick_top()
        axes.set_yticks(np.arange(shape[0]) + 0.5, [label(name) for name in estimators], fontsize=8)
        for tick, name in zip(axes.get_yticklabels(), estimators, strict=True):
            tick.set_color(style.FAMILIES.get(styles[name].family, style.OTHER_FAMILY)[0])
        axes.grid(False)
        axes.tick_params(length=0, pad=2)
        bar = style.colour_bar(figure, (0.03, 1 - 0.55 / height, 0.2, 0.1 / height), COLOURS, 0, CLIP)
        bar.set_xticks(range(4), ["best", "×10", "×100", "×1000"], fontsize=8)
        style.heading(figure, TITLE)
        style.note(
            figure,
            "Median over noise levels and checkpoints. A dot: biased at half of them or more (95 % interval above 0),"
            " unless unbiasedness is proved."
            " Grey: not applicable, identical to another, or not known.\nNames in the colour of their family: "
            + ", ".join(family.replace("_", " ") for family in families) + ".",
        )  # fmt: skip
        figure.save(output, TITLE, describe(found))


def _tell(axes: Axes, estimators: list[str], environments: list[str], distance: np.ndarray, biased: np.ndarray) -> None:
    """Every tile in words, a row of tiles a series."""
    for row, estimator in enumerate(estimators):
        known = np.flatnonzero(np.isfinite(distance[row]))
        told = [
            ("the best here" if factor == 1 else f"{number(factor)} times the best error")
            for factor in 10 ** distance[row][known]
        ]
        told = style.with_bias(told, biased[row][known] >= 0.5)
        where = [label(environments[column]) for column in known]
        read(axes, label(estimator), known + 0.5, np.full(len(known), row + 0.5), where, told)


def describe(found: pd.DataFrame) -> str:
    """The best estimator of each environment."""
    best = found["distance"].groupby(level="environment", sort=False).idxmin()
    parts = [f"{label(str(environment))}: {label(str(name))}" for environment, (name, _) in best.items()]
    often = Counter(str(name) for _, (name, _) in best.items()).most_common(3)
    lead = ", ".join(f"{label(name)} in {number}" for name, number in often)
    return f"Nearest to the best, by the median, most often: {lead} of {len(best)}. By environment: {'; '.join(parts)}."
