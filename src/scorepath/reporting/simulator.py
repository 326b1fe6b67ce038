"""A decision tree for a simulator that is not in the study: some questions, each with what its answers came to here."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from scorepath.figures.why import unchosen
from scorepath.figures.wording import label
from scorepath.reporting.rule import CLEARLY, EVEN, JUMP, ROUGH, SMOOTH, classified, count, in_doubt
from scorepath.reporting.summaries import BEST, many
from scorepath.store.tables import Tables

NO_PLACE = "This study has no such place."
NO_NUMBER = "This study has too few places to choose a measure of roughness."


@dataclass(frozen=True)
class Branch:
    """An answer, what to do then, and how often that was right in this study."""

    answer: str
    advice: str
    evidence: str = ""


@dataclass(frozen=True)
class Question:
    """What to ask, how to find out, and what follows."""

    question: str
    how: str
    branches: tuple[Branch, ...]


def questions(tables: Tables) -> list[Question]:
    """The tree, in the order in which one asks."""
    places = classified(tables)
    none = NO_NUMBER if unchosen(places, tables.read("roughness")) else NO_PLACE
    of = {line: _came_to(places[places["line"] == line], none) for line in (SMOOTH, ROUGH, EVEN)}
    of[JUMP] = _came_to(places[places["line"] == JUMP])
    seconds = tables.read("verdicts_compute")
    seconds = seconds[(seconds["comparison"] == BEST) & (seconds["criterion"] == "equal_compute")]
    return [
        Question(
            "Does the return jump?",
            "Move one action a little, with all random numbers held. Hard contact, a termination, a rounding or a"
            " discrete event shows as a step; pathwise samples that are all zero are another sign.",
            (
                Branch("Yes:", "no pathwise gradient alone. A score function with a baseline; or pathwise with the"
                       " boundary term, where the jumps are known.", of[JUMP]),
                Branch("Softened:", "a contact of width ν is smooth to noise σ ≪ ν; to σ ≫ ν it is a jump, for most"
                       " batches miss it. Go on, and distrust a pathwise gradient that is often zero."),
                Branch("No:", "go on.", _came_to(places[places["line"] != JUMP])),
            ),
        ),
        Question(
            "Is the return smooth on the scale of the noise?",
            "From a few dozen rollouts with derivatives: D times the variance of the return, over σ² times the variance"
            " of its derivatives by the actions (D of them: steps × coordinates). Above 1 it is smooth; a length of"
            f" dR/da that grows along the rollout makes it small.{_number(tables)}",
            (
                Branch("Above 1:", "pathwise.", of[SMOOTH]),
                Branch(f"1 to 1/{10**CLEARLY:.0f}:", "near the boundary: try both, or mix.", of[EVEN]),
                Branch("Below:", "a score function with a leave-one-out baseline; or less noise.",
                       of[ROUGH]),
            ),
        ),
        Question(
            "Do you pay for samples or for seconds?",
            "A backward pass takes time and memory beside the rollout. Time both once.",
            (
                Branch("Seconds:", "an advantage smaller than the ratio of both times is none.",
                       _came_to(seconds[seconds["verdict"] != "not_applicable"])),
                Branch("Samples:", "go by the answers above."),
            ),
        ),
        Question("None of this is known?", "", (Branch("", in_doubt(tables) or "Mix both signals."),)),
    ]  # fmt: skip


def _came_to(places: pd.DataFrame, none: str = NO_PLACE) -> str:
    """How pathwise fared at some places, or that there are none."""
    found = count(places)
    if not len(places):
        return none
    return (
        f"Here: pathwise has the smaller error in {found.pathwise} of {found.decided} decided comparisons"
        f" ({many(found.environments, 'environment')}, {found.open} open)."
    )


def _number(tables: Tables) -> str:
    """Which of the numbers of that kind this study goes by."""
    best = tables.read("roughness").query("choice == 1")["number"]
    return f" Places are sorted here by the number “{label(best.iloc[0])}” of docs/outputs.md." if len(best) else ""
