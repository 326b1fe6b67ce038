"""Learning curves: the return at the training noise level, against environment steps or seconds.

A line is the interquartile mean over seeds, its band the pointwise 95 % percentile bootstrap over seeds.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator

from scorepath.figures import style
from scorepath.figures.bias import places_seen_biased
from scorepath.figures.sheet import hide, read
from scorepath.figures.wording import NO_DATA, in_order, interval, label, number, why_empty
from scorepath.statistics import bootstrap_indices, interquartile_mean, limits
from scorepath.store.paths import sigma_token
from scorepath.store.tables import Tables

RESAMPLES = 1000
POINTS = 21  # at most, per curve
COLUMNS = 4


def curve(returns: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Interquartile mean and its pointwise 95 % limits of returns (seeds, points), from a bootstrap over seeds."""
    seeds = returns.shape[0]
    picks = bootstrap_indices(seeds, RESAMPLES, np.random.default_rng(0))
    resampled = interquartile_mean(np.moveaxis(returns[picks], 1, -1))
    return interquartile_mean(returns.T), *limits(resampled)


def draw_steps(tables: Tables, output: Path) -> None:
    """Draw the curves over environment steps."""
    training = tables.read("training")
    training["x"] = training["environment_steps"]
    _draw(
        tables, output, training, title="Learning at equal environment steps", unit="environment steps per seed",
        short_unit="steps", small_print="Steps of branch rollouts are counted.",
    )  # fmt: skip


def draw_seconds(tables: Tables, output: Path) -> None:
    """Draw the curves over seconds of gradient computation."""
    training = tables.read("training")
    costs = tables.read("costs")
    costs = costs[costs["samples_at_once"] == costs["batch_size"]].drop_duplicates(["environment", "estimator"])
    costs = costs[["environment", "estimator", "batch_size", "seconds_per_sample"]]
    training = training.merge(costs, on=["environment", "estimator"], how="left")
    training["x"] = training["iteration"] * training["batch_size"] * training["seconds_per_sample"]
    _draw(
        tables, output, training, title="Learning at equal seconds of gradient computation",
        unit="seconds of gradient computation", short_unit="s",
        small_print="Seconds are iterations × batch size × the measured seconds per sample (one thread), without the"
        " optimiser step.",
    )  # fmt: skip


def _draw(
    tables: Tables, output: Path, training: pd.DataFrame, *, title: str, unit: str, short_unit: str, small_print: str
) -> None:
    training = training.dropna(subset=["x", "return_stochastic", "seed"])
    keys = ["environment", "sigma", "estimator"]
    cells: dict[Any, pd.DataFrame] = dict(iter(training.groupby(keys, sort=False))) if len(training) else {}
    order = {name: place for place, name in enumerate(in_order(training, "environment"))}
    facets: list[tuple[str, float]] = sorted({key[:2] for key in cells}, key=lambda facet: (order[facet[0]], facet[1]))
    if not facets:
        style.empty(output, title, why_empty(tables, NO_DATA, "training"))
        return
    styles = style.estimator_styles(tables)
    present = set(training["estimator"])
    estimators = style.featured(styles, present)
    biased = {(environment, estimator) for environment, estimator, _ in places_seen_biased(tables)}
    ends: dict[tuple[str, float], dict[str, float]] = {}
    with style.style():
        figure, axes = style.grid(
            len(facets), COLUMNS, 1.15, top=0.68 + 0.19 * (-(-len(estimators) // 5)), bottom=1.28, left=0.82,
            wspace=0.34, hspace=0.5,
        )  # fmt: skip
        drawn = style.the_rest(figure, styles, present)
        for index, (ax, (name, sigma)) in enumerate(zip(axes, facets, strict=True)):
            ends[name, sigma] = {}
            lines: list[float] = []
            style.panel_title(ax, f"{label(name)}, σ = {sigma_token(sigma)}", name)
            for estimator in (other for other in drawn if (name, sigma, other) in cells):
                rows = cells[name, sigma, estimator].drop_duplicates(["x", "seed"])
                wide = rows.set_index(["x", "seed"])["return_stochastic"].unstack("seed").sort_index()
                wide = wide.iloc[np.unique(np.linspace(0, len(wide) - 1, min(POINTS, len(wide))).round().astype(int))]
                middle, low, high = curve(wide.to_numpy(float).T)
                look, rest = styles[estimator], drawn[estimator]
                made: list[Artist] = [ax.fill_between(wide.index, low, high, color=look.colour, alpha=0.18, lw=0)]
                made += ax.plot(wide.index, middle, color=look.colour, lw=1.4, ls=look.dash)
                seen = (name, estimator) in biased
                if seen:
                    made += ax.plot(
                        wide.index[-1:], middle[-1:], "o", ms=4.6, mfc="white", mec=look.colour, mew=1.1, clip_on=False,
                        zorder=4,
                    )  # fmt: skip
                hide(made, rest)
                where = [f"σ = {sigma_token(sigma)}, {number(x, 4)} {short_unit}" for x in wide.index]
                told = [interval(*each, 4) for each in zip(middle, low, high, strict=True)]
                told = style.with_bias(told, np.full(len(told), seen))
                read(ax, label(estimator), wide.index.to_numpy(float), middle, where, told, rest)
                ends[name, sigma][estimator] = float(middle[-1])
                lines.extend(middle[np.isfinite(middle)] if rest is None else ())
            ax.xaxis.set_major_locator(MaxNLocator(4))
            ax.xaxis.set_major_formatter(FuncFormatter(style.short_number))
            _scale_returns(ax, lines)
            ax.yaxis.set_major_formatter(FuncFormatter(style.short_number))
            ax.set_xlim(left=0)
            if index % COLUMNS == 0:
                ax.set_ylabel("return", fontsize=8)
            if index >= len(facets) - COLUMNS:
                ax.set_xlabel(unit, fontsize=8.5)
        style.heading(figure, title)
        marked = {estimator for _, estimator in biased}
        style.legend(figure, style.estimator_handles(estimators, styles, lines=True, biased=marked))
        seeds = training.groupby(["environment", "estimator", "sigma"])["seed"].nunique()
        count = f"n = {seeds.min()}" if seeds.min() == seeds.max() else f"n = {seeds.min()} to {seeds.max()}"
        style.note(
            figure,
            "Return at the noise level trained with. Line: interquartile mean over seeds, band (cut at the frame):"
            f" pointwise 95 % bootstrap interval ({count} seeds);\neach seed at the learning rate the others chose."
            f" Returns that span decades stand on a symmetric logarithmic scale.\n{small_print}"
            f"{style.left_out(drawn)}{style.DAGGER_WORDS} A ring at a line’s end: it was seen here.",
        )
        figure.save(output, title, describe(ends))


def _scale_returns(ax: Axes, lines: list[float]) -> None:
    """Frame the lines, not the bands: one diverging seed would flatten every curve."""
    if not lines:
        return
    lowest, highest = min(lines), max(lines)
    scale = max(1.0, abs(highest))
    if lowest < -100 * scale:
        ax.set_yscale("symlog", linthresh=scale)
        ax.set_ylim(1.3 * lowest, highest + 0.7 * scale)
    else:
        ax.yaxis.set_major_locator(MaxNLocator(4))
        margin = 0.08 * (highest - lowest) or 0.1
        ax.set_ylim(lowest - margin, highest + margin)


def describe(ends: dict[tuple[str, float], dict[str, float]]) -> str:
    """Who ends highest how often, then where; of those that end equally high all count."""
    leaders = {
        place: [name for name, final in finals.items() if final == max(finals.values())]
        for place, finals in ends.items() if finals
    }  # fmt: skip
    often = Counter(name for names in leaders.values() for name in names)
    lead = ", ".join(f"{label(name)} in {count}" for name, count in often.most_common())
    parts = [
        f"{label(name)} at σ = {sigma_token(sigma)}: {' and '.join(map(label, names))}"
        for (name, sigma), names in leaders.items()
    ]
    return (
        f"Highest interquartile mean of the final return, of {len(leaders)} places, not tested for significance"
        f" (of equal ones all count): {lead}. By place: {'; '.join(parts)}."
    )
