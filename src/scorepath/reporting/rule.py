"""The rule: which gradient to use, in three lines that are counted from the verdicts at equal samples.

A place (environment, noise level, checkpoint) belongs to a line by what is known without comparing: whether the return
is declared, or was found, to jump in its environment, and whose error the study's best roughness number, a ratio of
moments without dimension, predicts to be the smaller.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import pandas as pd

from scorepath.figures.wording import label
from scorepath.reporting.every_cell import every_cell
from scorepath.reporting.summaries import BEST, RIVALS, many
from scorepath.store.tables import Tables

CLEARLY = 0.5
"""Decades of the ratio of errors, a factor of 3, from which on a prediction against pathwise counts as clear."""
SMOOTH, ROUGH, EVEN, JUMP = "smooth", "rough", "even", "jump"
"""The lines: predicted for pathwise, clearly against it, between the two, and where the return jumps."""


@dataclass(frozen=True)
class Line:
    """One line of the rule: where it applies, what to use, and how often that was right."""

    where: str
    use: str
    evidence: str


@dataclass(frozen=True)
class Count:
    """The verdicts at some places."""

    pathwise: int
    rival: int
    open: int
    environments: int

    @property
    def decided(self) -> int:
        return self.pathwise + self.rival

    @property
    def scope(self) -> str:
        """Where that was, and what was left open."""
        return f"{many(self.environments, 'environment')}, {self.open} open"


def rule_lines(tables: Tables) -> list[Line]:
    """Three lines, fewer where a study has no such places."""
    places = classified(tables)
    held = held_out(tables, places)
    lines = []
    if (own := count(places[places["line"] == SMOOTH])).decided:
        lines.append(Line(
            "The return is smooth on the scale of the noise",
            "pathwise",
            f"smaller error in {own.pathwise} of {own.decided} decided comparisons with the best score-function"
            f" estimator ({own.scope}){_elsewhere(held, SMOOTH)}",
        ))  # fmt: skip
    if (own := count(places[places["line"] == ROUGH])).decided:
        between = count(places[places["line"] == EVEN])
        nearer = f"; nearer to even it loses {between.rival} of {between.decided}" if between.decided else ""
        lines.append(Line(
            "It clearly bends or ripples within the noise, as in stiff contact and chaos",
            "a score function with a baseline, or less noise",
            f"pathwise loses {own.rival} of {own.decided} ({own.scope}){_elsewhere(held, ROUGH)}{nearer}",
        ))  # fmt: skip
    if (own := count(places[places["line"] == JUMP])).environments:
        lines.append(Line(
            "It jumps",
            "not pathwise alone",
            f"{_bias(tables, places)}; it loses {own.rival} of {own.decided} ({own.scope}{_silent(places)})."
            " A score function sees the jump; so does pathwise with its boundary term",
        ))  # fmt: skip
    return lines


def in_doubt(tables: Tables) -> str:
    """What to do where none of it is known: the rule of thumb with the smallest regret; "" without any."""
    regrets = tables.read("regrets")
    own = regrets[(regrets["comparison"] == BEST) & (regrets["criterion"] == "equal_samples")].sort_values("regret")
    fixed = own[own["rule"] != "pathwise_below_threshold"]
    if fixed.empty:
        return ""
    named = {"always_pathwise": "pathwise", "always_rival": "the best score-function estimator"}
    parts = [
        f"{named.get(row.rule, label(row.rule))} {row.regret:.3g}"
        + (f" [{row.regret_low:.2g}, {row.regret_high:.2g}]" if not math.isnan(row.regret_low) else "")
        for row in fixed.itertuples()
    ]
    first = fixed.iloc[0]
    beside = ""
    if not math.isnan(first["over_simple_low"]):
        beside = (
            " Place by place it has {over_simple:.3g} [{over_simple_low:.2g}, {over_simple_high:.2g}] times the"
            " error of the better of the two simplest rules."
        ).format(**first)
    return (
        f"In doubt: {named.get(first['rule'], label(first['rule']))}. Error of each, used everywhere,"
        f" as a multiple of the better of the two (a million at most, place by place): {'; '.join(parts)}.{beside}"
    )


def classified(tables: Tables) -> pd.DataFrame:
    """The comparisons with the best score function at equal samples, each with the `line` of the rule it belongs to.

    A place whose roughness is not known, because nothing measured its signals, belongs to none, which is "".
    """
    rows = tables.read("mechanisms")
    rows = rows[(rows["comparison"] == BEST) & (rows["sigma"] > 0)]
    jumps = rows["environment"].map(_jumping(tables)).fillna(False).astype(bool)
    return rows.assign(line=rows["predicted"].map(_line).mask(jumps, JUMP))


def _jumping(tables: Tables) -> dict[str, bool]:
    """Of each environment, whether its return jumps: as declared, or found to."""
    references = tables.read("references")
    found = (references["finding"] != "") & (references["jump_share"] == 0)
    return (found | ~references["continuous"].astype(bool)).groupby(references["environment"]).any().to_dict()


def _silent(places: pd.DataFrame) -> str:
    """What leaves places of the jump's line open, if it does so anywhere."""
    silent = ((places["line"] == JUMP) & (places["verdict"] == "no_signal")).any()
    return ": samples that are all zero decide nothing" if silent else ""


def _line(predicted: float) -> str:
    if math.isnan(predicted):
        return ""
    return SMOOTH if predicted > 0 else ROUGH if predicted < -CLEARLY else EVEN


def held_out(tables: Tables, places: pd.DataFrame) -> pd.DataFrame:
    """Those places whose family had no part in the choice of the roughness number."""
    parts = set(tables.read("roughness")["part"]) - {"choosing", "held_out"}
    return places[places["family"].isin(parts)]


def count(rows: pd.DataFrame) -> Count:
    """The verdicts of some comparisons, counted."""
    won, lost = rows["verdict"] == "pathwise", rows["verdict"].isin(RIVALS)
    return Count(int(won.sum()), int(lost.sum()), int((~won & ~lost).sum()), rows["environment"].nunique())


def _elsewhere(held: pd.DataFrame, line: str) -> str:
    """The same count on families that the number was not chosen on."""
    own = count(held[held["line"] == line])
    right = own.pathwise if line == SMOOTH else own.rival
    where = "in families that the measure of roughness was not chosen on"
    return f", {right} of {own.decided} {where}" if own.decided else ""


def _bias(tables: Tables, places: pd.DataFrame) -> str:
    """The largest bias of pathwise where the return jumps, with its limits, in words."""
    rows = every_cell(tables)
    rows = rows[rows["environment"].isin(places.loc[places["line"] == JUMP, "environment"])]
    rows = rows[(rows["estimator"] == tables.called("pathwise")) & (rows["sigma"] > 0) & (rows["counted"] > 0)]
    if rows.empty or rows["bias"].isna().all():
        return "pathwise misses the boundary term"
    worst = rows.loc[rows["bias_low"].idxmax()]
    share, low, high = (100 * math.sqrt(max(0.0, worst[f"bias{end}"])) for end in ("", "_low", "_high"))
    return (
        f"pathwise misses the boundary term, up to {share:.3g} % [{low:.3g}, {high:.3g}] of the gradient"
        f" ({label(worst['environment'])}), and no spread of its samples shows it"
    )
