"""A reward that turns and jumps, and both estimates of its gradient: what the interactive figure shows at its start."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from scorepath.figures import style
from scorepath.figures.wording import NO_DATA, label
from scorepath.store.tables import Tables

TITLE = "One decision whose reward jumps: REINFORCE follows the gradient, pathwise what is smooth of it"
SIDES = {"reinforce": style.FAMILIES["score_function"][0], "pathwise": style.FAMILIES["pathwise"][0]}
BOUNDARY = style.FAMILIES["measure_valued"][0]
QUANTILES = ("quantile_5", "quantile_25", "quantile_50", "quantile_75", "quantile_95")


def draw(tables: Tables, output: Path) -> None:
    """Draw a column for each height of the jump: the reward, single samples, the means and what they consist of."""
    rows = tables.read("student_figure")
    if rows.empty:
        style.empty(output, TITLE, NO_DATA)
        return
    heights = rows["height"].drop_duplicates().tolist()
    with style.style():
        figure, axes = style.grid(2 * len(heights), len(heights), 1.5, top=0.65, bottom=0.85, left=1.15, wspace=0.1)
        for column, height in enumerate(heights):
            own = rows[rows["height"] == height].set_index("estimator")
            _reward(axes[column], own.iloc[0], rows["height"].max())
            _gradients(axes[len(heights) + column], own)
            if column:
                for each in (axes[column], axes[len(heights) + column]):
                    each.tick_params(labelleft=False)
        _share_limits(axes[len(heights) :])
        axes[0].set_ylabel("reward f(a)")
        style.heading(figure, TITLE)
        first = rows.iloc[0]
        style.note(
            figure,
            f"f(a) = cos({first.frequency:g} a) + h for a > {first.edge:g}; the action is normal around"
            f" {first.mean_action:g} with σ = {first.sigma:g} (its density in grey). Thin bars: single samples, 5 to"
            f" 95 % and quartiles; points: means of {first.samples:,.0f} samples with 95 % limits; upright line:"
            " the exact gradient.",
        )
        figure.save(output, TITLE, describe(rows))


def _reward(axes: Axes, row: pd.Series, highest: float) -> None:
    actions = np.linspace(row["mean_action"] - 3.2 * row["sigma"], row["mean_action"] + 3.2 * row["sigma"], 161)
    density = np.exp(-0.5 * ((actions - row["mean_action"]) / row["sigma"]) ** 2)
    axes.fill_between(actions, -1.1, density * 0.9 - 1.1, color="#d7dadd", lw=0, zorder=1)
    for part in (actions <= row["edge"], actions > row["edge"]):
        reward = np.cos(row["frequency"] * actions[part]) + row["height"] * (actions[part] > row["edge"])
        axes.plot(actions[part], reward, color=style.INK, lw=1.4, zorder=2)
    axes.set_ylim(-1.1, highest + 1.2)
    axes.set_title(f"jump of height {row['height']:g}", loc="left", fontweight="bold")
    axes.set_xlabel("action a", labelpad=1)


def _gradients(axes: Axes, own: pd.DataFrame) -> None:
    truth = own["gradient"].iloc[0]
    axes.axvline(0, color="#9a9a9a", lw=0.6, zorder=1)
    axes.axvline(truth, color=style.INK, lw=0.9, zorder=1)
    for place, (name, colour) in enumerate(SIDES.items()):
        row = own.loc[name]
        low, lower, _, upper, high = row[list(QUANTILES)]
        axes.plot([low, high], [place, place], color=colour, lw=0.8, zorder=2)
        axes.plot([lower, upper], [place, place], color=colour, lw=4, alpha=0.35, solid_capstyle="butt", zorder=2)
        axes.plot([row["mean_low"], row["mean_high"]], [place, place], color=colour, lw=2.2, zorder=3)
        axes.plot(row["mean"], place, "o", color=colour, mec="white", ms=5, zorder=4)
    boundary = own["boundary_term"].iloc[0]
    axes.barh(2, boundary, height=0.5, color=BOUNDARY, lw=0, zorder=2)
    axes.set_yticks([0, 1, 2], [*(label(name) for name in SIDES), "boundary term"])
    axes.set_ylim(2.6, -0.6)
    axes.set_title(f"exact gradient {truth:.2f}".replace("-", "−"), loc="left", color=style.QUIET)
    axes.set_xlabel("gradient by the mean action", labelpad=1)


def _share_limits(facets: list[Axes]) -> None:
    low = min(axes.get_xlim()[0] for axes in facets)
    high = max(axes.get_xlim()[1] for axes in facets)
    for axes in facets:
        axes.set_xlim(low, high)


def describe(rows: pd.DataFrame) -> str:
    """First whose mean is right where, then every column in a sentence."""
    inside = (rows["mean_low"] <= rows["gradient"]) & (rows["gradient"] <= rows["mean_high"])
    held = [
        f"{label(name)}’s in {inside[rows['estimator'] == name].sum()}"
        + ("" if place else f" of {rows['height'].nunique()} worlds")
        for place, name in enumerate(SIDES)
    ]
    parts = [f"95 % limits of the mean hold the exact gradient: {', '.join(held)}."]
    for height, group in rows.groupby("height"):
        own = group.set_index("estimator")
        means = "; ".join(
            f"{label(name)} {row['mean']:.2f} [{row['mean_low']:.2f}, {row['mean_high']:.2f}]"
            for name, row in own.iterrows()
        )
        first = own.iloc[0]
        parts.append(
            f"Jump of height {height:g}: exact gradient {first['gradient']:.2f}, of which the boundary term is"
            f" {first['boundary_term']:.2f}; means of {first['samples']:,.0f} samples: {means}."
        )
    return " ".join(parts).replace("-", "−")
