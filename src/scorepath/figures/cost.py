"""What one sample costs: seconds per trajectory and its gradient, by environment and estimator.

Left as a training step takes it, one batch at a time; right with as many at a time as fill the processor.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from scorepath.figures import style
from scorepath.figures.bias import places_seen_biased
from scorepath.figures.sheet import read
from scorepath.figures.wording import in_order, interval, label, number, why_empty
from scorepath.store.tables import Tables

TITLE = "Time for one sample (one trajectory and its gradient), one thread"


def draw(tables: Tables, output: Path) -> None:
    """Draw the figure."""
    costs = tables.read("costs")
    costs = costs[costs["seconds_per_sample"] > 0]
    environments = in_order(costs, "environment")
    if not environments:
        style.empty(output, TITLE, why_empty(tables, "no estimator runs at a noise level above 0"))
        return
    styles = style.estimator_styles(tables)
    present = set(costs["estimator"])
    estimators = style.featured(styles, present)
    biased = {estimator for _, estimator, _ in places_seen_biased(tables)}
    place = {name: index for index, name in enumerate(environments)}
    with style.style():
        rows = -(-len(estimators) // 5)
        sizes = sorted(costs["samples_at_once"].unique())
        figure, panels = style.grid(
            len(sizes), len(sizes), 0.36 * len(environments) + 0.2, top=0.68 + 0.19 * rows, bottom=0.9, left=1.35,
            wspace=0.06,
        )  # fmt: skip
        drawn = style.the_rest(figure, styles, present)
        low, high = (costs["seconds_per_sample"].agg(["min", "max"]) * 1e6 * [1 / 1.5, 1.5]).tolist()
        for axes, size in zip(panels, sizes, strict=True):
            for name, rest in drawn.items():
                own = costs[(costs["estimator"] == name) & (costs["samples_at_once"] == size)]
                index = estimators.index(name) if rest is None else len(estimators)
                y = own["environment"].map(place).to_numpy(float) + 0.14 * (index - (len(estimators) - 1) / 2)
                x = own["seconds_per_sample"].to_numpy(float) * 1e6
                lengths = style.error_lengths(own, "seconds_per_sample") * 1e6
                style.points(axes, x, y, lengths, styles[name], line=False, horizontal=True, size=4.6, rest=rest)
                limits = 1e6 * own[[f"seconds_per_sample{end}" for end in ("", "_low", "_high")]].to_numpy(float)
                told = [f"{interval(*row)} µs" for row in limits]
                read(axes, label(name), x, y, [label(each) for each in own["environment"]], told, rest)
            for line in np.arange(len(environments) - 1) + 0.5:
                axes.axhline(line, color=style.GRID, lw=0.6)
            axes.set_xscale("log")
            axes.set_xlim(low, high)
            style.log_axis(axes.xaxis, low, high, dense=len(sizes) == 1)
            axes.set_ylim(len(environments) - 0.5, -0.5)
            names = [label(name) for name in environments] if axes is panels[0] else []
            axes.set_yticks(range(len(names)), names, fontsize=9)
            axes.grid(False, axis="y")
            axes.set_title(f"{size:,.0f} samples at a time", pad=4)
            axes.set_label(f"{size:,.0f} samples at a time")
            axes.set_xlabel("microseconds per sample (logarithmic)")
        style.heading(figure, TITLE)
        style.legend(figure, style.estimator_handles(estimators, styles, biased=biased))
        style.note(
            figure,
            "After warm-up, estimators interleaved; bars are 95 % intervals. Without the pilot of fitted values."
            + style.left_out(drawn) + style.DAGGER_WORDS,
        )  # fmt: skip
        figure.save(output, TITLE, describe(costs, *map(tables.called, style.PROTAGONISTS)))


def describe(costs: pd.DataFrame, reinforce: str, pathwise: str) -> str:
    """The price of a pathwise sample in REINFORCE samples, per environment."""
    costs = costs[costs["samples_at_once"] == costs["samples_at_once"].min()]
    wide = costs.pivot_table(index="environment", columns="estimator", values="seconds_per_sample", sort=False)
    if not {pathwise, reinforce} <= set(wide.columns):
        return f"Seconds per sample in {len(wide)} environments."
    ratio = (wide[pathwise] / wide[reinforce]).dropna()
    parts = [f"{label(str(name))} {number(value, 2)}" for name, value in ratio.items()]
    lead = (
        f"A pathwise sample takes {number(ratio.min(), 2)} to {number(ratio.max(), 2)} times the seconds of one of"
        f" REINFORCE (median {number(ratio.median(), 2)}), one batch at a time. "
        if len(ratio) else ""
    )  # fmt: skip
    return f"{lead}By environment: {', '.join(parts)}."
