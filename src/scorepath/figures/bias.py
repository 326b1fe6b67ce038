"""Squared bias against the noise level, relative to the squared length of the exact gradient.

A filled point has a lower limit above zero; where the interval reaches zero only its upper end is drawn, as a bound.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from scorepath.figures import style
from scorepath.figures.sheet import hide, read
from scorepath.figures.wording import BIAS_SEEN, in_order, label, number, why_empty
from scorepath.store.paths import sigma_token
from scorepath.store.tables import Tables

TITLE = "Squared bias relative to the squared length of the exact gradient, at the start of training"
COLUMNS = 4
FLOOR, CEILING = 1e-6, 1e2
FRAME = FLOOR / 2.5, CEILING * 2.5
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
    rows = at_start(relative_bias(tables)).dropna(subset=["relative"])
    biased = seen_biased(rows)
    environments = [name for name in in_order(rows, "environment") if any(pair[0] == name for pair in biased)]
    if not environments:
        style.empty(output, TITLE, why_empty(tables, "no estimator's bias has been told apart from zero"))
        return
    styles = style.estimator_styles(tables)
    positions = style.sigma_positions(rows["sigma"].tolist())
    present = {estimator for _, estimator in biased}
    used = style.featured(styles, present)
    with style.style():
        figure, facets = style.grid(
            len(environments), COLUMNS, 1.35, top=0.62 + 0.19 * (1 + len(used) // 5), bottom=1.12, left=0.75,
            wspace=0.27,
        )  # fmt: skip
        drawn = style.the_rest(figure, styles, present)
        for index, (axes, name) in enumerate(zip(facets, environments, strict=True)):
            own = rows[rows["environment"] == name]
            here = [estimator for estimator in used if (name, estimator) in biased]
            for estimator in (estimator for estimator in drawn if (name, estimator) in biased):
                place = here.index(estimator) - (len(here) - 1) / 2 if estimator in here else 0.0
                series = own[own["estimator"] == estimator]
                _series(axes, series, styles[estimator], positions, 1.07**place, drawn[estimator])
            floor = own.drop_duplicates("sigma").sort_values("sigma")
            floor = floor[floor["floor"] > FLOOR]
            axes.plot(floor["sigma"].map(positions), floor["floor"], color="#8a8a8a", lw=1.2, ls=":", zorder=2)
            axes.axhline(1, color=style.INK, lw=0.7, zorder=1)
            axes.set_yscale("log")
            axes.set_ylim(*FRAME)
            style.log_axis(axes.yaxis, *FRAME)
            style.sigma_axis(axes, positions)
            style.panel_title(axes, label(name), name)
            if index % COLUMNS == 0:
                axes.set_ylabel("bias² / ‖gradient‖²", fontsize=8)
            if index >= len(environments) - COLUMNS:
                axes.set_xlabel("noise level σ", fontsize=8.5)
        style.heading(figure, TITLE)
        floor_line = Line2D([], [], color="#8a8a8a", lw=1.2, ls=":", label="error of the reference")
        style.legend(figure, [*style.estimator_handles(used, styles), floor_line])
        words = BIAS_SEEN.replace(": ", ":\n")
        style.note(
            figure,
            f"{style.count_words(rows, 'samples')} trajectories per point; bars are 95 % intervals; hollow"
            f" triangle: the interval reaches 0, its upper end is shown.\nDrawn: {words}.\nThe"
            f" line at 1: the bias is as long as the gradient. Points outside {style.power_of_ten(FLOOR)} to"
            f" {number(CEILING)} stand at the edge.{style.left_out(drawn)}",
        )
        figure.save(output, TITLE, describe(rows, biased))


def at_start(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of the first checkpoint, whatever its value."""
    first: pd.DataFrame = rows[rows["checkpoint"] == rows["checkpoint"].min()]
    return first


def told_apart(rows: pd.DataFrame) -> pd.Series:
    """Of rows of `relative_bias`, whether the bias is no chance.

    Noise levels share random numbers, so that they err together: Bonferroni's inequality holds all the same.
    """
    open_ = ~rows["proved_unbiased"].astype(bool) & rows["bias_p_value"].notna()
    return open_ & (rows["bias_p_value"] * open_.sum() <= ERROR_RATE) & (rows["relative"] > FLOOR)


def seen_biased(rows: pd.DataFrame) -> set[tuple[str, str]]:
    """The environments and estimators of `relative_bias` whose bias is no chance at some noise level."""
    seen = rows[told_apart(rows)]
    return set(zip(seen["environment"], seen["estimator"], strict=True))


def places_seen_biased(tables: Tables) -> set[tuple[str, str, float]]:
    """Environments, estimators and noise levels at which a bias is told apart from zero at the start of training.

    The rows are those that the figure of biases draws, so that figures agree on who is biased.
    """
    rows = at_start(relative_bias(tables)).dropna(subset=["relative"])
    seen = rows[told_apart(rows)]
    return set(zip(seen["environment"], seen["estimator"], seen["sigma"], strict=True))


def _series(
    axes: Axes, own: pd.DataFrame, look: style.EstimatorStyle, positions: dict[float, float], dodge: float,
    rest: int | None,
) -> None:  # fmt: skip
    own = own.sort_values("sigma")
    x = own["sigma"].map(positions).to_numpy(float) * dodge
    low, high = (own[f"relative_{end}"].to_numpy(float) for end in ("low", "high"))
    value = np.clip(own["relative"].to_numpy(float), FLOOR, CEILING)
    sure = low > 0
    if sure.any():
        lengths = np.stack([value - np.clip(low, FLOOR / 10, None), high - value])[:, sure]
        style.points(axes, x[sure], value[sure], np.clip(lengths, 0, None), look, rest=rest)
    bound = np.clip(high, FLOOR, CEILING)
    if (~sure).any():
        hide(axes.plot(x[~sure], bound[~sure], ls="", marker="v", mfc="white", mec=look.colour, ms=4.2, zorder=3), rest)
    series = label(str(own["estimator"].iloc[0]))
    read(
        axes, series, x, np.where(sure, value, bound), style.levels_in_words(own), style.in_words(own, "relative"), rest
    )


def describe(rows: pd.DataFrame, biased: set[tuple[str, str]]) -> str:
    """Who is seen to be biased where, then the largest relative bias of every estimator that is drawn.

    Up to the figure's ceiling: beyond it the gradient has all but vanished, and a ratio to its length says nothing of
    the estimator.
    """
    counts = Counter(estimator for _, estimator in biased)
    order = sorted(in_order(rows[rows["estimator"].isin(counts)], "estimator"), key=lambda name: -counts[name])
    places = rows["environment"].nunique()
    leaders = ", ".join(f"{label(name)} in {counts[name]}" for name in order[:4])
    more = f" and {len(order) - 4} more" if len(order) > 4 else ""
    lead = f"A bias is seen of {leaders}{more}, of {places} environment{'' if places == 1 else 's'}."
    parts = []
    for estimator in in_order(rows, "estimator"):
        names = {environment for environment, other in biased if other == estimator}
        own = rows[(rows["estimator"] == estimator) & rows["environment"].isin(names) & (rows["relative_low"] > 0)]
        if len(own):
            worst = own.iloc[int(own["relative"].to_numpy(float).argmax())]
            share = float(np.sqrt(worst["relative"]))
            most = np.sqrt(CEILING)
            size = f"at most {number(100 * share)} %" if share <= most else f"more than {number(most)} times the length"
            parts.append(
                f"{label(estimator)} in {len(names)} environment{'' if len(names) == 1 else 's'}, {size} of the"
                f" gradient ({label(worst['environment'])}, σ = {sigma_token(worst['sigma'])})"
            )
    return f"{lead} Largest measured bias, relative to the length of the exact gradient: {'; '.join(parts)}."
