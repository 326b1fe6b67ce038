"""Does one number predict who wins? The measured ratio of errors against the one it predicts, a point per place."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from scorepath.figures import style
from scorepath.figures.sheet import read
from scorepath.figures.wording import checkpoint_name, label, number, why_empty
from scorepath.store.paths import sigma_token
from scorepath.store.tables import Tables

TITLE = "Who wins, predicted: log₁₀ of the rival’s error over pathwise’s, measured against a roughness number"
NOT_PREDICTED = "no place has both a measured ratio of errors and action signals to predict it by"
TOO_FEW = "too few places to choose a measure of roughness by which to predict it"
LOOKS = {
    "chosen on": ("o", "#9bb8cc", "families that the number was chosen on"),
    "held out": ("o", "#0072B2", "other families"),
    "missing boundary term": ("X", "#D55E00", "a jump: the boundary term is missing"),
    "tails": ("D", "#5a5a5a", "tails decide"),
}
"""Marker, colour and words of each kind of point; the last two explain what lies off the line."""
HOLDS = 0.8
"""One number does it where the lower limit of its rank correlation is at least this."""
MOST = 6.0


def places(tables: Tables) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The places with a measured ratio against the best score function, each of a `kind`; and the rows of `roughness`.

    The second number is there where the first alone does not do.
    """
    rows = tables.read("mechanisms")
    rows = rows[(rows["comparison"] == "pathwise_vs_best_score_function") & np.isfinite(rows["value"])]
    roughness = tables.read("roughness")
    families = set(roughness["part"]) - {"choosing", "held_out"}
    held = rows["family"].isin(families)
    kind = rows["mechanism"].where(rows["mechanism"].isin(LOOKS), held.map({True: "held out", False: "chosen on"}))
    return rows.assign(kind=kind), roughness


def unchosen(rows: pd.DataFrame, roughness: pd.DataFrame) -> bool:
    """Whether signals were measured at some of these places, but there are too few to choose a number on."""
    return bool(rows["mean_degree"].notna().any() and not (roughness["choice"] == 1).any())


def holds(roughness: pd.DataFrame) -> bool:
    """Whether one number does it, on the families that it was not chosen on."""
    best = verdict_row(roughness, 1)
    return best is not None and bool(best["rank_correlation_low"] >= HOLDS)


def verdict_row(roughness: pd.DataFrame, choice: int) -> pd.Series | None:
    """The row of the best or second number on the families held out, jumps and tails left out."""
    rows = roughness[(roughness["choice"] == choice) & (roughness["part"] == "held_out")]
    rows = rows[rows["scope"] == "without jumps and tails"]
    return rows.iloc[0] if len(rows) else None


def draw(tables: Tables, output: Path) -> None:
    """Draw the figure."""
    rows, roughness = places(tables)
    nothing = why_empty(tables, TOO_FEW if unchosen(rows, roughness) else NOT_PREDICTED)
    columns = {1: "predicted"} if holds(roughness) else {1: "predicted", 2: "predicted_second"}
    shown = {choice: rows.dropna(subset=[column]) for choice, column in columns.items()}
    shown = {choice: own for choice, own in shown.items() if len(own) and verdict_row(roughness, choice) is not None}
    if not shown:
        style.empty(output, TITLE, nothing)
        return
    with style.style():
        figure, panels = style.grid(len(shown), 2, 3.6, top=0.95, bottom=1.3, wspace=0.2)
        for axes, (choice, own) in zip(panels, shown.items(), strict=True):
            _panel(axes, own, columns[choice])
            row = verdict_row(roughness, choice)
            assert row is not None
            axes.set_title(f"{label(row['number'])}: rank correlation {correlation(row)}", loc="left", pad=6)
            axes.set_label(f"predicted by {label(row['number'])}")
        style.heading(figure, TITLE)
        present = {kind for own in shown.values() for kind in own["kind"]}
        style.legend(figure, [
            Line2D([], [], color=colour, ls="", marker=marker, ms=5, label=words)
            for kind, (marker, colour, words) in LOOKS.items() if kind in present
        ])  # fmt: skip
        style.note(
            figure,
            f"A point per environment, noise level and checkpoint; ratios beyond {style.power_of_ten(10**MOST)} stand"
            " at the frame. Positive: pathwise is better. The line is equality, nothing is fitted.\n"
            "Ranks: of the families held out, jumps and tails left out, with 95 % limits over environments.\n"
            f"{within_families(roughness)}",
        )
        figure.save(output, TITLE, " ".join(sentences(tables)))


def _panel(axes: Axes, rows: pd.DataFrame, column: str) -> None:
    axes.plot([-MOST, MOST], [-MOST, MOST], color=style.INK, lw=0.9, zorder=2)
    for each in (axes.axhline, axes.axvline):
        each(0, color="#9a9a9a", lw=0.6, zorder=1)
    for kind, (marker, colour, words) in LOOKS.items():
        own = rows[rows["kind"] == kind]
        x, y = (own[name].clip(-MOST, MOST).to_numpy(float) for name in (column, "value"))
        axes.plot(
            x, y, ls="", marker=marker, ms=4.5, mfc=colour, mec="white", mew=0.4, zorder=3, clip_on=False
        )  # fmt: skip
        where = [
            f"{label(row.environment)}, σ = {sigma_token(row.sigma)}, {checkpoint_name(row.checkpoint)}"
            for row in own.itertuples()
        ]
        told = [
            f"measured {number(measured)}, predicted {number(predicted)}"
            for measured, predicted in own[["value", column]].to_numpy(float)
        ]
        read(axes, words, x, y, where, told)
    axes.set_xlim(-MOST, MOST)
    axes.set_ylim(-MOST, MOST)
    axes.set_xlabel("predicted log₁₀ ratio")
    axes.set_ylabel("measured log₁₀ ratio")


def correlation(row: pd.Series) -> str:
    """A rank correlation with its limits."""
    limits = f" [{row['rank_correlation_low']:.2f}, {row['rank_correlation_high']:.2f}]"
    text = f"{row['rank_correlation']:.2f}" + ("" if math.isnan(row["rank_correlation_low"]) else limits)
    return text.replace("-", "−")


def sentences(tables: Tables) -> list[str]:
    """What the figure shows, computed: whether one number does it, how well, and where it does not."""
    roughness = tables.read("roughness")
    found = [(choice, row) for choice in (1, 2) if (row := verdict_row(roughness, choice)) is not None]
    if not found or math.isnan(found[0][1]["rank_correlation"]):
        return []
    _, best = found[0]
    texts = [
        f"The number {label(best['number'])}, chosen on every other family of environments, ranks"
        f" {best['places']:.0f} places of the others ({best['environments']:.0f} environments, without jumps and"
        f" tails) with a correlation of {correlation(best)}; the median distance from the line is a factor of"
        f" {number(10 ** best['distance'], 2)}."
    ]
    if holds(roughness):
        texts.append("So one number does it.")
    else:
        others = [f"; the second best is {label(row['number'])}, {correlation(row)}" for _, row in found[1:]]
        texts.append(f"The lower limit is below {HOLDS:g}: no single number does it{''.join(others)}.")
    before = roughness[(roughness["part"] == "choosing") & roughness["choice"].notna()].sort_values("choice")
    if len(before) > 1:
        ranks = " and ".join(f"{label(row.number)} {row.rank_correlation:.3f}" for row in before.itertuples())
        texts.append(f"On the families that they were chosen on the two rank so: {ranks}.".replace("-", "−"))
    yardstick = roughness[(roughness["number"] == "noise_level") & (roughness["part"] == "held_out")]
    yardstick = yardstick[yardstick["scope"] == best["scope"]]
    if len(yardstick) and not math.isnan(yardstick.iloc[0]["rank_correlation"]):
        texts.append(f"The noise level alone has {correlation(yardstick.iloc[0])}.")
    return [*texts, *filter(None, [within_families(roughness)])]


def within_families(roughness: pd.DataFrame) -> str:
    """The rank correlation of the chosen number in each family held out; "" where none has places enough."""
    own = roughness[(roughness["choice"] == 1) & ~roughness["part"].isin(["choosing", "held_out"])]
    own = own.dropna(subset=["rank_correlation"]).sort_values("rank_correlation")
    if own.empty:
        return ""
    parts = [
        f"{label(part)} {rank:.2f}".replace("-", "−") for part, rank in own[["part", "rank_correlation"]].to_numpy()
    ]
    return f"Within single families held out, by {label(own['number'].iloc[0])}: {', '.join(parts)}."
