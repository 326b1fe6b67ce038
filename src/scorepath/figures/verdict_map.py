"""Who wins where: a tile per environment, noise level and checkpoint, against two rivals by two criteria each.

Colour is log10(rival's mean squared error / pathwise mean squared error): blue where pathwise is better, orange where
its rival is. A mark stands where there is no winner: a ring where the interval, after the control of the
false-discovery rate, does not decide; others where there is nothing to win.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, PathPatch
from matplotlib.path import Path as Shape

from scorepath.figures import style
from scorepath.figures.sheet import Sheet
from scorepath.figures.wording import checkpoint_name, checkpoints_in, in_order, label
from scorepath.store.paths import sigma_token
from scorepath.store.tables import Tables

TITLE = "Which gradient has the smaller error? Pathwise against its best rivals"
CLIP = 3.0
SHADES = 8
"""Colours of a decade: tiles of one colour are one shape, or each would take a hundred bytes."""
COLOURS = LinearSegmentedColormap.from_list(
    "score-pathwise", ["#7A3200", "#D55E00", "#F3C9A8", "#F6F6F4", "#B5D6EA", "#0072B2", "#003A5E"]
)
GROUPS = (
    "Pathwise ahead wherever decided",
    "The winner depends on noise or training",
    "Score function ahead wherever decided",
    "Nothing decided",
    "No comparison",
)
BEST, BEST_OF_ALL = "pathwise_vs_best_score_function", "pathwise_vs_best_derivative_free"
PANELS = (
    (BEST, "equal_samples", "equal samples"),
    (BEST, "equal_compute", "equal measured seconds"),
    (BEST_OF_ALL, "equal_steps", "equal environment steps"),
    (BEST_OF_ALL, "equal_compute", "equal measured seconds"),
)
"""Comparison, criterion and its words. Rivals that branch take many steps per sample; equal samples flatter them."""
RIVALS = {BEST: "best score-function estimator", BEST_OF_ALL: "best derivative-free estimator"}
LOSING = ("score_function", "derivative_free")
MARKS = {
    "undecided": ("o", "undecided"),
    "equivalent": ("D", "equivalent in practice"),
    "no_signal": (".", "no signal"),
    "neither_usable": ("x", "neither usable"),
    "not_measurable": ("^", "not measurable"),
}
"""What stands on the tiles of verdicts without a winner, and its words."""
COLOURED = ("pathwise", *LOSING, "undecided", "equivalent")


def group_of(verdicts: list[str]) -> str:
    """The group of an environment from its verdicts at equal samples."""
    decided = {verdict for verdict in verdicts if verdict in ("pathwise", "score_function")}
    if decided == {"pathwise"}:
        return GROUPS[0]
    if decided == {"score_function"}:
        return GROUPS[2]
    if decided:
        return GROUPS[1]
    return GROUPS[3] if set(verdicts) - {"not_applicable"} else GROUPS[4]


def draw(tables: Tables, output: Path) -> None:
    """Draw the figure."""
    verdicts = tables.read_verdicts()
    verdicts = pd.concat([_of(verdicts, comparison, criterion) for comparison, criterion, _ in PANELS])
    if verdicts.empty:
        style.empty(output, TITLE)
        return
    compared = verdicts[verdicts["verdict"] != "not_applicable"]
    sigmas = sorted((compared if len(compared) else verdicts)["sigma"].dropna().unique().tolist())
    checkpoints = checkpoints_in(verdicts)
    rows = _rows(verdicts, in_order(tables.read("cells"), "environment"))
    with style.style():
        height = 0.245 * len(rows) + 2.2
        figure = Sheet(style.WIDTH, height)
        panels = figure.subplots(1, len(PANELS), sharey=True)
        figure.subplots_adjust(left=0.14, right=0.985, top=1 - 1.1 / height, bottom=1.0 / height, wspace=0.06)
        for axes, (comparison, criterion, words) in zip(panels, PANELS, strict=True):
            _panel(axes, _of(verdicts, comparison, criterion), rows, sigmas, checkpoints)
            axes.set_title(f"{RIVALS[comparison]}\n{words}", pad=5, fontsize=8.5)
        panels[0].set_yticks(range(len(rows)), ["" if is_group else label(name) for name, is_group in rows], fontsize=9)
        for index, (name, is_group) in enumerate(rows):
            if is_group:
                panels[0].text(
                    -0.135 / 0.2, index + 0.12, name, transform=panels[0].get_yaxis_transform(), va="center",
                    fontsize=8.5, color=style.QUIET, fontstyle="italic",
                )  # fmt: skip
        style.heading(figure, TITLE)
        _keys(figure, height)
        order = ", ".join(checkpoint_name(value) for value in checkpoints)
        budget = sorted(verdicts["budget"].dropna().unique().tolist())
        style.note(
            figure,
            f"Each tile is split by checkpoint, left to right: {order} (fraction of the way from the first to the best"
            f" return).\nMean squared error of an average of {_numbers(budget)} samples, or of what as many steps or"
            f" seconds buy. Colour is clipped at a factor of {10**CLIP:,.0f}.\nDecided: 95 % interval"
            " excludes 0, false-discovery rate controlled, and not surely within the practical margin. Blank: not"
            " measured.",
        )
        figure.save(output, TITLE, describe(verdicts))


def describe(verdicts: pd.DataFrame) -> str:
    """The figure in words: counts of verdicts by criterion and the environments of each group."""
    parts = []
    for comparison, criterion, words in PANELS:
        count = Counter(_of(verdicts, comparison, criterion)["verdict"])
        if count:
            rest = [f"{name} {count[word]}" for word, (_, name) in MARKS.items() if count[word] or word == "undecided"]
            parts.append(
                f"Against the {RIVALS[comparison]}, at {words}: pathwise better in {count['pathwise']} tiles, its rival"
                f" in {sum(count[word] for word in LOSING)}, {', '.join(rest)}, not applicable"
                f" {count['not_applicable']}."
            )
    samples = _of(verdicts, BEST, "equal_samples")
    for group in GROUPS:
        names = [
            label(name)
            for name in in_order(samples, "environment")
            if group_of(samples.loc[samples["environment"] == name, "verdict"].tolist()) == group
        ]
        if names:
            parts.append(f"{group}: {', '.join(names)}.")
    return " ".join(parts)


def _of(verdicts: pd.DataFrame, comparison: str, criterion: str) -> pd.DataFrame:
    return verdicts[(verdicts["comparison"] == comparison) & (verdicts["criterion"] == criterion)]


def _numbers(values: list[float]) -> str:
    return " or ".join(f"{value:,.0f}" for value in values) or "B"


def _rows(verdicts: pd.DataFrame, order: list[str]) -> list[tuple[str, bool]]:
    """Rows from the top: (name, whether it is the heading of a group); inside a group pathwise's best come first."""
    samples = _of(verdicts, BEST, "equal_samples")
    samples = samples if len(samples) else verdicts
    names = dict.fromkeys([*order, *in_order(verdicts, "environment")])
    members: dict[str, list[tuple[float, str]]] = {group: [] for group in GROUPS}
    for name in names:
        own = samples[samples["environment"] == name]
        if own.empty:
            continue
        values = own["value"].replace([np.inf, -np.inf], np.nan).dropna().clip(-CLIP, CLIP)
        members[group_of(own["verdict"].tolist())].append((-float(values.mean()) if len(values) else 0.0, name))
    rows: list[tuple[str, bool]] = []
    for group in GROUPS:
        if members[group]:
            rows.append((group, True))
            rows.extend((name, False) for _, name in sorted(members[group]))
    return rows


def _panel(
    axes: Axes, verdicts: pd.DataFrame, rows: list[tuple[str, bool]], sigmas: list[float], checkpoints: list[float]
) -> None:
    width = 0.94 / max(1, len(checkpoints))
    where = zip(verdicts["environment"], verdicts["sigma"], verdicts["checkpoint"], strict=True)
    found = dict(zip(where, zip(verdicts["value"].tolist(), verdicts["verdict"].tolist(), strict=True), strict=True))
    boxes: dict[Any, list[list[tuple[float, float]]]] = defaultdict(list)  # by colour
    marks: dict[str, list[tuple[float, float]]] = {word: [] for word in MARKS}
    norm = Normalize(-CLIP, CLIP)
    for y, (name, is_group) in enumerate(rows):
        if is_group:
            continue
        for column, sigma in enumerate(sigmas):
            keys = [(name, sigma, checkpoint) for checkpoint in checkpoints]
            states = {index: found[key] for index, key in enumerate(keys) if key in found}
            left = column - 0.47
            if states and all(state[1] == "not_applicable" for state in states.values()):
                boxes[style.NOT_APPLICABLE].append(_box(left, y, 0.94))
                axes.text(column, y, "n/a", ha="center", va="center", fontsize=8, color=style.QUIET)
                continue
            for index, state in states.items():
                if state[1] in marks:
                    marks[state[1]].append((left + (index + 0.5) * width, y))
                coloured = state[1] in COLOURED and not math.isnan(state[0])
                value = round(float(np.clip(state[0], -CLIP, CLIP)) * SHADES) / SHADES if coloured else 0.0
                colour = COLOURS(norm(value)) if coloured else style.NOT_APPLICABLE
                boxes[colour].append(_box(left + index * width, y, width))
    for shade, own in boxes.items():
        shape = Shape.make_compound_path_from_polys(np.array(own))
        axes.add_patch(PathPatch(shape, facecolor=shade, edgecolor="white", linewidth=0.6, clip_on=False))
    for word, places in marks.items():
        if places:
            x, height = zip(*places, strict=True)
            axes.plot(x, height, clip_on=False, **_mark(word))
    axes.set_xlim(-0.6, max(len(sigmas), 1) - 0.4)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_xticks(range(len(sigmas)), [sigma_token(sigma) for sigma in sigmas])
    axes.set_xlabel("noise level σ")
    axes.grid(False)
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)


def _box(left: float, y: float, width: float) -> list[tuple[float, float]]:
    return [(left, y - 0.44), (left + width, y - 0.44), (left + width, y + 0.44), (left, y + 0.44)]


def _keys(figure: Figure, height: float) -> None:
    bar = style.colour_bar(figure, (0.14, 1 - 0.46 / height, 0.33, 0.1 / height), COLOURS, -CLIP, CLIP)
    bar.set_xticks([-CLIP, -2, -1, 0, 1, 2, CLIP], ["≥1000×", "100×", "10×", "1", "10×", "100×", "≥1000×"])
    bar.set_frame_on(False)
    bar.grid(False)
    bar.tick_params(length=0, labelsize=8, pad=2)
    y = 1 - 0.41 / height
    figure.text(0.108, y, "its rival\nbetter by", ha="right", va="center", fontsize=8.5, color="#9C4400")
    figure.text(0.502, y, "pathwise\nbetter by", ha="left", va="center", fontsize=8.5, color="#005A8C")
    marks = [Line2D([], [], label=words, **_mark(word)) for word, (_, words) in MARKS.items()]
    figure.legend(
        handles=[*marks, Patch(facecolor=style.NOT_APPLICABLE, label="not applicable")],
        loc="center left", bbox_to_anchor=(0.62, y - 0.05 / height), ncols=2, frameon=False, handlelength=1.3,
        fontsize=8.5,
    )  # fmt: skip


def _mark(verdict: str) -> dict[str, Any]:
    """How the mark of a verdict without a winner is drawn."""
    marker = MARKS[verdict][0]
    hollow = marker in "oD^"
    return {
        "ls": "", "marker": marker, "ms": 4.2 if hollow else 3.6, "mfc": "white" if hollow else style.INK,
        "mec": style.INK, "mew": 0.8,
    }  # fmt: skip
