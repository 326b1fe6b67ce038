"""What one sample costs: seconds per trajectory and its gradient, by environment and estimator."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from scorepath.figures import style
from scorepath.figures.wording import in_order, label, why_empty
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
    estimators = style.featured(styles, set(costs["estimator"]))
    place = {name: index for index, name in enumerate(environments)}
    with style.style():
        rows = -(-len(estimators) // 5)
        figure, [axes] = style.grid(
            1, 1, 0.36 * len(environments) + 0.2, top=0.45 + 0.19 * rows, bottom=0.72, left=1.35
        )
        for index, name in enumerate(estimators):
            own = costs[costs["estimator"] == name]
            y = own["environment"].map(place).to_numpy(float) + 0.07 * (index - (len(estimators) - 1) / 2)
            x = own["seconds_per_sample"].to_numpy(float) * 1e6
            lengths = style.error_lengths(own, "seconds_per_sample") * 1e6
            style.points(axes, x, y, lengths, styles[name], line=False, horizontal=True, size=4.6)
        for line in np.arange(len(environments) - 1) + 0.5:
            axes.axhline(line, color=style.GRID, lw=0.6)
        axes.set_xscale("log")
        low, high = (costs["seconds_per_sample"].agg(["min", "max"]) * 1e6 * [1 / 1.5, 1.5]).tolist()
        axes.set_xlim(low, high)
        style.log_axis(axes.xaxis, low, high, dense=True)
        axes.set_ylim(len(environments) - 0.5, -0.5)
        axes.set_yticks(range(len(environments)), [label(name) for name in environments], fontsize=9)
        axes.grid(False, axis="y")
        axes.set_xlabel("microseconds per sample (logarithmic)")
        style.heading(figure, TITLE)
        style.legend(figure, style.estimator_handles(estimators, styles))
        sizes = style.count_words(costs, "batch_size").replace("n = ", "")
        style.note(
            figure,
            f"Batches of {sizes}, after warm-up, estimators interleaved; bars are 95 % intervals."
            + style.left_out(estimators, set(costs["estimator"])),
        )
        style.save(figure, output, TITLE, describe(costs, *map(tables.called, style.PROTAGONISTS)))


def describe(costs: pd.DataFrame, reinforce: str, pathwise: str) -> str:
    """The price of a pathwise sample in REINFORCE samples, per environment."""
    wide = costs.pivot_table(index="environment", columns="estimator", values="seconds_per_sample", sort=False)
    if not {pathwise, reinforce} <= set(wide.columns):
        return f"Seconds per sample in {len(wide)} environments."
    ratio = (wide[pathwise] / wide[reinforce]).dropna()
    parts = [f"{label(str(name))} {value:.2g}" for name, value in ratio.items()]
    return f"Seconds of a pathwise sample divided by those of a REINFORCE sample: {', '.join(parts)}."
