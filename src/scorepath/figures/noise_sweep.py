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
from scorepath.figures.bias import at_start, places_seen_biased
from scorepath.figures.sheet import read
from scorepath.figures.wording import NO_DATA, in_order, label, number, why_empty
from scorepath.store.tables import Tables

IDENTICAL = "identical_to:"
"""What the status of a cell that is not computed begins with, before the estimator that it equals."""
SPAN = 1e8  # a value further than this factor from the panel's median does not widen its frame


def draw_variance(tables: Tables, output: Path) -> None:
    """Variance of one sample's gradient, with the exact curves where there are any."""
    statistics = at_start(tables.read("gradient_statistics"))
    exact = tables.read("exact_curves")
    _draw(
        tables, output, statistics, exact[exact["quantity"] == "variance"],
        title="Variance of one sample's gradient, the trace of its covariance, at the start of training",
        column="variance", unit="variance",
        small_print=f"{style.count_words(statistics, 'samples')} trajectories per point, bars are 95 % intervals.",
        describe=_describe_winner(tables, "variance", "smaller variance"),
    )  # fmt: skip


def draw_nsr(tables: Tables, output: Path) -> None:
    """Noise-to-signal ratio: the number of samples to average until noise and signal are equally large."""
    statistics = _with_nsr_limits(at_start(tables.read("gradient_statistics")))
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
    statistics = _with_nsr_limits(_with_limit(tables, at_start(tables.read("gradient_statistics")), pathwise))
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
    exact = exact[exact["estimator"].isin(estimators)] if exact is not None else None
    positions = style.sigma_positions(statistics["sigma"].tolist())
    places = places_seen_biased(tables)
    biased = {estimator for _, estimator, _ in places}
    with style.style():
        rows = -(-(len(estimators) + (exact is not None)) // 5)
        figure, facets = style.grid(
            len(environments), columns, height, top=0.62 + 0.19 * rows, bottom=1.14, left=0.78, hspace=0.42, wspace=0.34
        )
        drawn = style.the_rest(figure, styles, present)
        marks: set[str] = set()
        for index, (axes, name) in enumerate(zip(facets, environments, strict=True)):
            own = statistics[statistics["environment"] == name]
            seen = [(name, *place) in places for place in zip(own["estimator"], own["sigma"], strict=True)]
            curves = None if exact is None else exact[exact["environment"] == name]
            marks |= _facet(axes, own.assign(biased=seen), curves, column, drawn, styles, positions)
            style.panel_title(axes, label(name), name)
            if index % columns == 0:
                axes.set_ylabel(unit if height > 1.4 else unit.replace(" / ", " /\n"), fontsize=8)
            if index >= len(environments) - columns:
                axes.set_xlabel("noise level σ", fontsize=8.5)
        style.heading(figure, title)
        handles = style.estimator_handles(estimators, styles, biased=biased)
        extra = [style.DAGGER_WORDS.strip() + " Hollow: it is told apart from zero there."]
        if exact is not None and exact["environment"].isin(environments).any():
            handles.append(Line2D([], [], color=style.INK, lw=1.4, ls=(0, (3, 1.5)), label="exact (in its colour)"))
        style.legend(figure, handles)
        if "below" in marks:
            extra.append("▾ at the foot: zero, or below the frame.")
        if "above" in marks:
            extra.append("▴ at the top: not finite, or above it.")
        style.note(figure, f"{small_print}{style.left_out(drawn)}\n{' '.join(extra)}")
        figure.save(output, title, describe(statistics))


def _facet(
    axes: Axes, own: pd.DataFrame, exact: pd.DataFrame | None, column: str, drawn: dict[str, int | None],
    styles: dict[str, style.EstimatorStyle], positions: dict[float, float],
) -> set[str]:  # fmt: skip
    """One environment; the frame is made for the lines that show at first."""
    first = own[[drawn[name] is None for name in own["estimator"]]]
    values = (first if len(first) else own)[column].to_numpy(float)
    if exact is not None:
        values = np.concatenate([values, exact["value"].to_numpy(float)])
    positive = values[np.isfinite(values) & (values > 0)]
    middle = float(np.median(positive)) if len(positive) else 1.0
    positive = positive[(positive > middle / SPAN) & (positive < middle * SPAN)] if len(positive) else np.array([1.0])
    low, high = positive.min() / 4, positive.max() * 4
    marks: set[str] = set()
    present = [name for name in drawn if name in set(own["estimator"])]
    shown_first = [name for name in present if drawn[name] is None]
    for name in present:
        look, rest = styles[name], drawn[name]
        rows = own[own["estimator"] == name].sort_values("sigma")
        place = shown_first.index(name) - (len(shown_first) - 1) / 2 if rest is None else 0.0
        x = rows["sigma"].map(positions).to_numpy(float) * 1.045**place
        y = rows[column].to_numpy(float)
        biased = rows["biased"].to_numpy(bool)
        shown = (y > low) & (y < high)
        for inside in (rows["sigma"].to_numpy() > 0, rows["sigma"].to_numpy() == 0):  # no line from the limit onwards
            use = shown & inside
            if use.any():
                lengths = style.error_lengths(rows, column)[:, use]
                style.points(axes, x[use], y[use], lengths, look, biased=biased[use], rest=rest)
        feet = np.where(y <= low, low * 1.25, np.where(y >= high, high / 1.25, y))
        for use, marker, mark in ((y <= low, "v", "below"), (y >= high, "^", "above")):
            if use.any():
                marks |= {mark} if rest is None else set()
                style.at_edge(axes, x[use], float(feet[use][0]), marker, look, biased[use], rest)
        told = style.with_bias(style.in_words(rows, column), biased)
        if exact is not None:
            told = [text + _exactly(exact, name, sigma) for text, sigma in zip(told, rows["sigma"], strict=True)]
        read(axes, label(name), x, feet, style.levels_in_words(rows), told, rest)
    if exact is not None:
        for name in in_order(exact, "estimator"):
            curve = exact[(exact["estimator"] == name) & (exact["sigma"] > 0)].sort_values("sigma")
            curve = curve[curve["value"] > low]
            axes.plot(curve["sigma"], curve["value"], color=style.INK, lw=2.2, alpha=0.25, zorder=1.5)
            axes.plot(curve["sigma"], curve["value"], color=styles[name].colour, lw=1.2, ls=(0, (3, 1.5)), zorder=5)
    axes.set_yscale("log")
    axes.set_ylim(low, high)
    style.log_axis(axes.yaxis, low, high)
    style.sigma_axis(axes, positions)
    return marks


def _exactly(exact: pd.DataFrame, estimator: str, sigma: float) -> str:
    """The exact value at a noise level, where the curve has it."""
    own = exact[(exact["estimator"] == estimator) & np.isclose(exact["sigma"], sigma, rtol=1e-9, atol=0)]
    return f"; exact {number(own['value'].iloc[0])}" if len(own) else ""


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
