"""What is told of the comparison: rows and their table, which targets are met, memory, and the figure."""

from __future__ import annotations

import csv
import itertools
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
import seaborn as sns

OURS = "scorepath"
LABELS = {
    OURS: "Scorepath",
    "torch_func": "torch.func vmap(grad)",
    "jax_vmap_grad": "JAX vmap(grad), jitted",
    "jax_vmap_grad.chunked": "JAX vmap(grad), chunked",
    "jax_signals": "JAX action signals, jitted",
    "storchastic": "Storchastic",
    "stable_baselines3": "Stable-Baselines3 A2C",
    "fused_c": "fused C kernel",
    "torch_passes": "PyTorch's passes alone",
    "torch_passes.products": "its matrix products alone",
}
GREYS = {LABELS["torch_passes"]: "0.3", LABELS["torch_passes.products"]: "0.6"}
"""Parts of the work, for comparison."""


@dataclass(frozen=True)
class Target:
    """What is promised of one contestant's ratio (its seconds divided by Scorepath's) from `samples` on."""

    contestant: str
    samples: range
    score_function: float
    pathwise: float

    def ratio(self, estimator: str) -> float:
        return self.pathwise if estimator == "pathwise" else self.score_function


JAX = ("jax_vmap_grad", "jax_vmap_grad.chunked")
TARGETS = (
    Target("torch_func", range(4096, sys.maxsize), 8.0, 8.0),
    *(Target(name, range(1024, sys.maxsize), 1 / 0.60, 1 / 0.67) for name in JAX),
    *(Target(name, range(256, 1024), 1.0, 1.0) for name in JAX),
    Target("jax_signals", range(1024, sys.maxsize), 1 / 0.85, 1 / 0.85),
    Target("jax_signals", range(256, 1024), 1.0, 1.0),
    Target("fused_c", range(4096, sys.maxsize), 0.60, 0.50),
)


@dataclass
class Row:
    """One contestant in one case. `_low` and `_high` are quartiles; ratios are formed within each round."""

    environment: str
    estimator: str
    horizon: int
    samples: int
    threads: int
    contestant: str
    work: str = ""
    repeats: int = 0
    seconds: float | None = None
    seconds_low: float | None = None
    seconds_high: float | None = None
    ratio: float | None = None
    ratio_low: float | None = None
    ratio_high: float | None = None
    peak_memory_bytes: int | None = None
    input_bytes: int | None = None
    mean_error: float | None = None
    trace_error: float | None = None
    projection_error: float | None = None
    tolerance: float | None = None
    note: str = ""


def told(row: Row) -> str:
    """One line of progress."""
    start = (
        f"{row.environment:9} {row.estimator:20} T={row.horizon:<4} N={row.samples:<6} {row.threads} thread(s) "
        f"{LABELS[row.contestant]:28}"
    )
    if row.seconds is None:
        return f"{start} -- {row.note}"
    ratio = "" if row.ratio is None else f"{row.ratio:7.2f} x Scorepath"
    return f"{start} {row.seconds * 1e3:10.2f} ms {ratio}"


def write_table(rows: Sequence[Row], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [column.name for column in fields(Row)], lineterminator="\n")
        writer.writeheader()
        writer.writerows(map(asdict, rows))


def summary(table: pd.DataFrame) -> str:
    """Every case with a target as a Markdown table: the ratio with its quartiles, and whether it is met."""
    lines = [
        "| environment | estimator | T | N | threads | against | Scorepath s | its s | ratio (quartiles) | target | |",
        "|---|---|--:|--:|--:|---|--:|--:|--:|--:|---|",
    ]
    met = total = 0
    keys = ["environment", "estimator", "horizon", "samples", "threads"]
    ours = table[table["contestant"] == OURS].set_index(keys)["seconds"]
    for target, row in itertools.product(TARGETS, table.to_dict("records")):
        if row["contestant"] != target.contestant or row["samples"] not in target.samples:
            continue
        case, wanted = tuple(row[key] for key in keys), target.ratio(row["estimator"])
        start = f"| {' | '.join(map(str, case))} | {LABELS[row['contestant']]} | {ours.get(case, np.nan):.4g} |"
        if pd.isna(row["ratio"]):
            lines.append(f"{start} | | {wanted:.3g} | not measured: {row['note']} |")
            continue
        total += 1
        met += (reached := row["ratio"] >= wanted)
        ratio = f"{row['ratio']:.2f} ({row['ratio_low']:.2f} to {row['ratio_high']:.2f})"
        lines.append(f"{start} {row['seconds']:.4g} | {ratio} | {wanted:.3g} | {'met' if reached else 'MISSED'} |")
    return "\n".join([*lines, "", f"Targets met: {met} of {total}.", "", memory_summary(table)])


def memory_summary(table: pd.DataFrame) -> str:
    """Peak resident memory without the inputs, in MiB, by N: the largest over all other columns."""
    used = table.dropna(subset=["peak_memory_bytes"])
    used = used.assign(peak=(used["peak_memory_bytes"] - used["input_bytes"]) / 2**20)
    wide = used.pivot_table(
        index=["contestant", "horizon"], columns="samples", values="peak", aggfunc="max", sort=False
    )
    lines = [
        "Peak resident memory without the inputs, MiB, largest over environments, estimators and threads:",
        "",
        f"| contestant | T | {' | '.join(f'N = {samples}' for samples in wide.columns)} |",
        f"|---|--:|{'--:|' * len(wide.columns)}",
    ]
    for (contestant, horizon), peaks in wide.iterrows():
        cells = " | ".join("" if np.isnan(peak) else f"{peak:.0f}" for peak in peaks)
        lines.append(f"| {LABELS[contestant]} | {horizon} | {cells} |")
    return "\n".join(lines)


def draw(table: pd.DataFrame, path: Path) -> None:
    """Times as multiples of Scorepath's against N, with quartiles; a panel per environment, horizon and estimator."""
    shown = table[table["contestant"] != OURS].dropna(subset=["ratio"])
    shown = shown.assign(
        row=shown["environment"] + ", T = " + shown["horizon"].astype(str),
        contestant=shown["contestant"].map(LABELS),
        threads=shown["threads"].astype(str),
        estimator=shown["estimator"].str.replace("_", " "),
    )
    works = zip(shown["contestant"], shown["work"], strict=True)
    less = {label: "" if work in ("full", "passes") else " (does less)" for label, work in works}
    rivals = [label for name, label in LABELS.items() if name != OURS and label not in GREYS]
    colours = dict(zip(rivals, sns.color_palette("colorblind"), strict=False)) | GREYS
    palette = {label + less[label]: colour for label, colour in colours.items() if label in less}
    shown["contestant"] += shown["contestant"].map(less)
    settings = {"svg.fonttype": "none", "svg.hashsalt": "scorepath", "font.size": 9}
    with mpl.rc_context(dict(sns.axes_style("whitegrid")) | settings):
        panels = sns.relplot(
            shown, x="samples", y="ratio", row="row", col="estimator", kind="line", errorbar=None,
            hue="contestant", hue_order=list(palette), palette=palette, style="threads", markers=True, markersize=5,
            height=2.6, aspect=1.25, facet_kws={"margin_titles": True},
        )  # fmt: skip
        for (row, estimator), axes in panels.axes_dict.items():
            own = shown[(shown["row"] == row) & (shown["estimator"] == estimator)]
            for (contestant, _), curve in own.groupby(["contestant", "threads"]):
                bounds = curve["ratio_low"], curve["ratio_high"]
                axes.fill_between(curve["samples"], *bounds, color=palette[contestant], alpha=0.15, linewidth=0)
        panels.refline(y=1, color="black", linestyle="-", linewidth=1)
        panels.set(xscale="log", yscale="log", xlabel="trajectories N", ylabel="time / Scorepath\u2019s")
        panels.set_titles(row_template="{row_name}", col_template="{col_name}")
        low, high = shown["ratio_low"].min(), shown["ratio_high"].max()
        heights = [tick for tick in (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50) if low / 2 < tick < 2 * high]
        ticks = sorted(shown["samples"].unique())
        for axes in panels.axes.flat:
            axes.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
            axes.set_yticks(heights, [f"{tick:g}" for tick in heights])
            axes.minorticks_off()
        panels.savefig(path, metadata={"Date": None, "Title": "Gradient statistics: rivals' time over Scorepath's"})
