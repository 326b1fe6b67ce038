"""Squared bias against the noise level, relative to the squared length of the exact gradient.

A filled point has a lower limit above zero; where the interval reaches zero only its upper end is drawn, as a bound.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from scorepath.figures import style
from scorepath.figures.wording import BIAS_SEEN, in_order, label, why_empty
from scorepath.store.tables import Tables

TITLE = "Squared bias relative to the squared length of the exact gradient, at the start of training"
COLUMNS = 4
FLOOR, CEILING = 1e-6, 1e2
ERROR_RATE = 0.05  # probability that any unbiased estimator is drawn, over the whole figure


def relative_bias(tables: Tables) -> pd.DataFrame:
    """Rows of `gradient_statistics` with `relative`, `_low`, `_high` and `floor` (the reference's own error)."""
    statistics = tables.read("gradient_statistics")
    references = tables.read("references").drop(columns=["samples"])
    rows = statistics.merge(references, on=["environment", "sigma", "checkpoint"], how="left")
    norm = rows["gradient_norm"].where(rows["gradient_norm"] > 0) ** 2
    for suffix in ("", "_low", "_high"):
        rows[f"relative{suffix}"] = rows[f"squared_bias{suffix}"] / norm
    rows["floor"] = rows["standard_error"] ** 2 / norm
    return rows


def draw(tables: Tables, output: Path) -> None:
    """Draw the figure."""
    rows = relative_bias(tables)
    rows = rows[rows["checkpoint"] == rows["checkpoint"].min()].dropna(subset=["relative"])
    biased = seen_biased(rows)
    environments = [name for name in in_order(rows, "environment") if any(pair[0] == name for pair in biased)]
    if not environments:
        style.empty(output, TITLE, why_empty(tables, "no estimator's bias has been told apart from zero"))
        return
    styles = style.estimator_styles(tables)
    positions = style.sigma_positions(rows["sigma"].tolist())
    used = style.featured(styles, {estimator for _, estimator in biased})
    with style.style():
        figure, facets = style.grid(
            len(environments), COLUMNS, 1.35, top=0.62 + 0.19 * (1 + len(used) // 5), bottom=1.12, left=0.7,
            wspace=0.22,
        )  # fmt: skip
        for index, (axes, name) in enumerate(zip(facets, environments, strict=True)):
            own = rows[rows["environment"] == name]
            present = [estimator for estimator in used if (name, estimator) in biased]
            for place, estimator in enumerate(present):
                dodge = 1.07 ** (place - (len(present) - 1) / 2)
                _series(axes, own[own["estimator"] == estimator], styles[estimator], positions, dodge)
            floor = own.drop_duplicates("sigma").sort_values("sigma")
            floor = floor[floor["floor"] > FLOOR]
            axes.plot(floor["sigma"].map(positions), floor["floor"], color="#8a8a8a", lw=1.2, ls=":", zorder=2)
            axes.axhline(1, color=style.INK, lw=0.7, zorder=1)
            axes.set_yscale("log")
            axes.set_ylim(FLOOR, CEILING)
            style.log_axis(axes.yaxis, FLOOR, CEILING)
            style.sigma_axis(axes, positions)
            axes.set_title(label(name), loc="left", fontweight="bold", pad=3)
            axes.tick_params(labelsize=7.5)
            if index % COLUMNS == 0:
                axes.set_ylabel("bias² / ‖gradient‖²", fontsize=8)
            if index >= len(environments) - COLUMNS:
                axes.set_xlabel("noise level σ", fontsize=8.5)
        style.heading(figure, TITLE)
        floor_line = Line2D([], [], color="#8a8a8a", lw=1.2, ls=":", label="error of the reference")
        style.legend(figure, [*style.estimator_handles(used, styles), floor_line])
        drawn = BIAS_SEEN.replace(": ", ":\n")
        style.note(
            figure,
            f"{style.count_words(rows, 'samples')} trajectories per point; bars are 95 % intervals; hollow"
            f" triangle: the interval reaches 0, its upper end is shown.\nDrawn: {drawn}.\nThe"
            " line at 1: the bias is as large as the gradient. Points outside"
            f" {FLOOR:g} to {CEILING:g} stand at the edge.".replace("1e-06", "10⁻⁶"),
        )
        style.save(figure, output, TITLE, describe(rows, biased))


def seen_biased(rows: pd.DataFrame) -> set[tuple[str, str]]:
    """The environments and estimators of `relative_bias` whose bias is no chance.

    Noise levels share random numbers, so that they err together: Bonferroni's inequality holds all the same.
    """
    open_ = rows[~rows["proved_unbiased"] & rows["bias_p_value"].notna()]
    seen = open_[(open_["bias_p_value"] * len(open_) <= ERROR_RATE) & (open_["relative"] > FLOOR)]
    return set(zip(seen["environment"], seen["estimator"], strict=True))


def _series(
    axes: Axes, own: pd.DataFrame, look: style.EstimatorStyle, positions: dict[float, float], dodge: float
) -> None:
    own = own.sort_values("sigma")
    x = own["sigma"].map(positions).to_numpy(float) * dodge
    low, high = (own[f"relative_{end}"].to_numpy(float) for end in ("low", "high"))
    value = np.clip(own["relative"].to_numpy(float), FLOOR * 1.2, CEILING / 1.2)
    sure = low > 0
    if sure.any():
        lengths = np.stack([value - np.clip(low, FLOOR / 10, None), high - value])[:, sure]
        style.points(axes, x[sure], value[sure], np.clip(lengths, 0, None), look)
    if (~sure).any():
        bound = np.clip(high[~sure], FLOOR * 1.2, CEILING / 1.2)
        axes.plot(x[~sure], bound, ls="", marker="v", mfc="white", mec=look.colour, ms=4.2, zorder=3)


def describe(rows: pd.DataFrame, biased: set[tuple[str, str]]) -> str:
    """The largest relative bias of every estimator that is drawn, up to the figure's ceiling.

    Beyond it the gradient has all but vanished, and a ratio to its length says nothing of the estimator.
    """
    parts = []
    for estimator in in_order(rows, "estimator"):
        names = {environment for environment, other in biased if other == estimator}
        own = rows[(rows["estimator"] == estimator) & rows["environment"].isin(names) & (rows["relative_low"] > 0)]
        if len(own):
            worst = own.iloc[int(own["relative"].to_numpy(float).argmax())]
            share = float(np.sqrt(worst["relative"]))
            most = np.sqrt(CEILING)
            size = f"at most {100 * share:.3g} %" if share <= most else f"more than {most:g} times the length"
            parts.append(
                f"{label(estimator)} in {len(names)} environment{'' if len(names) == 1 else 's'}, {size} of the"
                f" gradient ({label(worst['environment'])}, sigma {worst['sigma']:g})"
            )
    return "Largest measured bias, relative to the length of the exact gradient: " + "; ".join(parts) + "."
