"""A property of the gradient estimators against the noise level: variance, noise-to-signal ratio, the limit sigma -> 0.

Small facets, one per environment, both axes logarithmic; measurements are points with 95 % intervals, exact results are
dashed lines over them.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from scorepath.figures import style
from scorepath.figures.wording import NO_DATA, in_order, label, why_empty
from scorepath.store.tables import Tables

IDENTICAL = "identical_to:"
"""What the status of a cell that is not computed begins with, before the estimator that it equals."""
SPAN = 1e8  # a value further than this factor from the facet's median stands at the edge, with a hollow triangle


def draw_variance(tables: Tables, output: Path) -> None:
    """Variance of one sample's gradient, with the exact curves where there are any."""
    statistics = _at_start(tables.read("gradient_statistics"))
    exact = tables.read("exact_curves")
    exact = exact[exact["quantity"] == "variance"]
    _draw(
        tables, output, statistics, exact,
        title="Variance of one sample's gradient against the noise level, at the start of training",
        column="variance", unit="variance, trace of the covariance",
        small_print=f"{style.count_words(statistics, 'samples')} trajectories per point, bars are 95 % intervals;"
        " dashed: exact.",
        describe=_describe_winner(tables, "variance", "smaller variance"),
    )  # fmt: skip


def draw_nsr(tables: Tables, output: Path) -> None:
    """Noise-to-signal ratio: the number of samples to average until noise and signal are equally large."""
    statistics = _at_start(tables.read("gradient_statistics"))
    statistics = _with_nsr_limits(statistics)
    _draw(
        tables, output, statistics, None,
        title="Noise-to-signal ratio against the noise level, at the start of training",
        column="nsr", unit="variance / ‖gradient‖²",
        small_print=f"{style.count_words(statistics, 'samples')} trajectories per point, bars are the 95 % interval of"
        " the variance. A ratio of 100 means: average 100 samples until noise equals signal.",
        describe=_describe_winner(tables, "nsr", "smaller noise-to-signal ratio"),
    )  # fmt: skip


def draw_zero_noise_limit(tables: Tables, output: Path) -> None:
    """REINFORCE and pathwise as the noise vanishes, with pathwise at sigma = 0 itself."""
    reinforce, pathwise = map(tables.called, style.PROTAGONISTS)
    statistics = _with_nsr_limits(_with_limit(tables, _at_start(tables.read("gradient_statistics")), pathwise))
    statistics = statistics[statistics["estimator"].isin([reinforce, pathwise])]
    positive = statistics[(statistics["estimator"] == reinforce) & (statistics["sigma"] > 0)]
    chosen = in_order(positive[np.isfinite(positive["nsr"])], "environment")
    zero = statistics[(statistics["estimator"] == pathwise) & (statistics["sigma"] == 0)]
    chosen = [name for name in chosen if name in set(zero["environment"])] or chosen
    _draw(
        tables, output, statistics[statistics["environment"].isin(chosen)], None,
        title="The limit σ → 0: noise-to-signal ratio of REINFORCE and of the pathwise gradient",
        column="nsr", unit="variance / ‖gradient‖²", height=1.25,
        small_print=f"{style.count_words(statistics, 'samples')} trajectories per point, start of training; bars are"
        " the 95 % interval of the variance."
        + (" At 0 stands pathwise at the deterministic policy; where nothing else is random its variance is 0."
           if (statistics["sigma"] == 0).any() else ""),
        describe=partial(_describe_slope, reinforce=reinforce),
        nothing="REINFORCE has no noise-to-signal ratio here at a noise level above 0",
    )  # fmt: skip


def _at_start(statistics: pd.DataFrame) -> pd.DataFrame:
    """The rows of the first checkpoint, whatever its value."""
    first: pd.DataFrame = statistics[statistics["checkpoint"] == statistics["checkpoint"].min()]
    return first


def _with_limit(tables: Tables, statistics: pd.DataFrame, pathwise: str) -> pd.DataFrame:
    """With pathwise's rows at sigma = 0, where it may be identical to another estimator and measured under its name."""
    cells = tables.read("cells")
    cells = cells[(cells["estimator"] == pathwise) & (cells["sigma"] == 0) & (cells["stage"] == "gradients")]
    parts = [statistics]
    for environment, status in zip(cells["environment"], cells["status"], strict=True):
        if status.startswith(IDENTICAL):
            same = statistics["estimator"] == status.removeprefix(IDENTICAL)
            own = statistics[same & (statistics["environment"] == environment) & (statistics["sigma"] == 0)]
            parts.append(own.assign(estimator=pathwise))
    return pd.concat(parts, ignore_index=True)


def _with_nsr_limits(statistics: pd.DataFrame) -> pd.DataFrame:
    """Limits of the ratio from the limits of the variance: the signal is the reference's, not the estimate's."""
    scale = statistics["nsr"] / statistics["variance"].where(statistics["variance"] > 0)
    return statistics.assign(nsr_low=statistics["variance_low"] * scale, nsr_high=statistics["variance_high"] * scale)


def _draw(
    tables: Tables, output: Path, statistics: pd.DataFrame, exact: pd.DataFrame | None, *, title: str, column: str,
    unit: str, small_print: str, describe: Callable[[pd.DataFrame], str], columns: int = 4, height: float = 1.5,
    nothing: str = NO_DATA,
) -> None:  # fmt: skip
    statistics = statistics.dropna(subset=[column])
    environments = in_order(statistics, "environment")
    if not environments:
        style.empty(output, title, why_empty(tables, nothing))
        return
    styles = style.estimator_styles(tables)
    present = set(statistics["estimator"])
    estimators = style.featured(styles, present)
    statistics = statistics[statistics["estimator"].isin(estimators)]
    if exact is not None:
        exact = exact[exact["estimator"].isin(estimators)]
    positions = style.sigma_positions(statistics["sigma"].tolist())
    with style.style():
        rows = -(-(len(estimators) + (exact is not None)) // 5)
        figure, facets = style.grid(
            len(environments), columns, height, top=0.62 + 0.19 * rows, bottom=1.0, left=0.72, hspace=0.42, wspace=0.3
        )
        marks: set[str] = set()
        for index, (axes, name) in enumerate(zip(facets, environments, strict=True)):
            own = statistics[statistics["environment"] == name]
            curves = None if exact is None else exact[exact["environment"] == name]
            marks |= _facet(axes, own, curves, column, estimators, styles, positions)
            axes.set_title(label(name), loc="left", fontweight="bold", pad=3)
            if index % columns == 0:
                axes.set_ylabel(unit if height > 1.4 else unit.replace(" / ", " /\n"), fontsize=8)
            if index >= len(environments) - columns:
                axes.set_xlabel("noise level σ", fontsize=8.5)
        style.heading(figure, title)
        handles = style.estimator_handles(estimators, styles)
        if exact is not None and exact["environment"].isin(environments).any():
            handles.append(Line2D([], [], color=style.INK, lw=1.4, ls=(0, (3, 1.5)), label="exact (in its colour)"))
        style.legend(figure, handles)
        extra = []
        if "below" in marks:
            extra.append("▽ at the foot: zero, or 10⁸ times smaller than the facet's median")
        if "above" in marks:
            extra.append("△ at the top: not finite, or 10⁸ times larger than the median")
        small_print += style.left_out(estimators, present)
        style.note(figure, "\n".join([small_print, "; ".join(extra)]).strip())
        style.save(figure, output, title, describe(statistics))


def _facet(
    axes: Axes, own: pd.DataFrame, exact: pd.DataFrame | None, column: str, estimators: list[str],
    styles: dict[str, style.EstimatorStyle], positions: dict[float, float],
) -> set[str]:  # fmt: skip
    values = own[column].to_numpy(float)
    if exact is not None:
        values = np.concatenate([values, exact["value"].to_numpy(float)])
    positive = values[np.isfinite(values) & (values > 0)]
    middle = float(np.median(positive)) if len(positive) else 1.0
    positive = positive[(positive > middle / SPAN) & (positive < middle * SPAN)] if len(positive) else np.array([1.0])
    low, high = positive.min() / 4, positive.max() * 4
    marks: set[str] = set()
    present = [name for name in estimators if name in set(own["estimator"])]
    for index, name in enumerate(present):
        look = styles[name]
        rows = own[own["estimator"] == name].sort_values("sigma")
        x = rows["sigma"].map(positions).to_numpy(float) * 1.045 ** (index - (len(present) - 1) / 2)
        y = rows[column].to_numpy(float)
        shown = (y > low) & (y < high)
        for inside in (rows["sigma"].to_numpy() > 0, rows["sigma"].to_numpy() == 0):  # no line from the limit onwards
            use = shown & inside
            if use.any():
                style.points(axes, x[use], y[use], style.error_lengths(rows, column)[:, use], look)
        for use, place, marker, mark in (
            (y <= low, low * 1.25, "v", "below"),
            (y >= high, high / 1.25, "^", "above"),
        ):
            if use.any():
                marks.add(mark)
                axes.plot(
                    x[use], np.full(use.sum(), place), ls="", marker=marker, mfc="white", mec=look.colour, ms=4.5,
                    zorder=4, clip_on=False,
                )  # fmt: skip
    if exact is not None:
        for name in in_order(exact, "estimator"):
            curve = exact[(exact["estimator"] == name) & (exact["sigma"] > 0)].sort_values("sigma")
            curve = curve[curve["value"] > low]
            colour = styles[name].colour if name in styles else style.INK
            axes.plot(curve["sigma"], curve["value"], color=style.INK, lw=2.2, alpha=0.25, zorder=1.5)
            axes.plot(curve["sigma"], curve["value"], color=colour, lw=1.2, ls=(0, (3, 1.5)), zorder=5)
    axes.set_yscale("log")
    axes.set_ylim(low, high)
    style.log_axis(axes.yaxis, low, high)
    style.sigma_axis(axes, positions)
    axes.tick_params(labelsize=7.5)
    return marks


def _describe_winner(tables: Tables, column: str, words: str) -> Callable[[pd.DataFrame], str]:
    reinforce, pathwise = map(tables.called, style.PROTAGONISTS)

    def describe(statistics: pd.DataFrame) -> str:
        """Of pathwise and REINFORCE, which has the smaller value, per environment."""
        wide = statistics.pivot_table(index=["environment", "sigma"], columns="estimator", values=column, sort=False)
        if not {pathwise, reinforce} <= set(wide.columns):
            return f"{len(set(statistics['environment']))} environments; pathwise and REINFORCE are not both measured."
        wide = wide.dropna(subset=[pathwise, reinforce])
        if wide.empty:
            return f"{len(set(statistics['environment']))} environments; pathwise and REINFORCE meet in none of them."
        ahead = (wide[pathwise] < wide[reinforce]).groupby(level=0, sort=False).agg(["sum", "size"])
        parts = [f"{label(str(name))} {row['sum']} of {row['size']}" for name, row in ahead.iterrows()]
        return (
            f"By the measured values, whatever their intervals, pathwise has the {words} than REINFORCE at"
            f" {ahead['sum'].sum()} of {ahead['size'].sum()} noise levels in {len(ahead)} environments."
            f" By environment: {', '.join(parts)}."
        )

    return describe


def slopes(statistics: pd.DataFrame, reinforce: str, column: str = "nsr") -> dict[str, float]:
    """Slope of log REINFORCE value against log sigma between the two smallest positive noise levels.

    Only where the gradient is the same at both to within a tenth: elsewhere the limit has not been reached.
    """
    result = {}
    rows = statistics[(statistics["estimator"] == reinforce) & (statistics["sigma"] > 0)]
    for name in in_order(rows, "environment"):
        own = rows[(rows["environment"] == name) & np.isfinite(rows[column]) & (rows[column] > 0)]
        own = own.sort_values("sigma").head(2)
        length = np.sqrt(own["variance"] / own["nsr"]).to_numpy(float)
        if len(own) == 2 and length.max() <= 1.1 * length.min():
            change = np.diff(np.log(own[column].to_numpy(float)))[0] / np.diff(np.log(own["sigma"].to_numpy(float)))[0]
            result[name] = float(change)
    return result


def _describe_slope(statistics: pd.DataFrame, reinforce: str) -> str:
    found = slopes(statistics, reinforce)
    if not found:
        return "No environment has two noise levels near the limit."
    parts = [f"{label(name)} {value:.1f}".replace("-", "−") for name, value in found.items()]
    near = sum(-2.1 < value < -1.9 for value in found.values())
    return (
        f"REINFORCE’s price follows the inverse square of the noise, to 0.1 in the exponent, in {near} of {len(found)}"
        " environments where the limit is near. "
        "Slope of the logarithm of REINFORCE's noise-to-signal ratio against the logarithm of sigma between the two"
        " smallest noise levels, where the gradient's length changes by less than a tenth between them (−2 is the"
        f" inverse-square law): {', '.join(parts)}."
    )
