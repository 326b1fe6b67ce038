"""How good advice before training is: the advisor's scores beside simpler rules', and its link to learning."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from scorepath.reporting.summaries import RIVALS, many
from scorepath.store.tables import Tables

QUANTITIES = {
    "brier": "Brier score",
    "log_loss": "log loss",
    "accuracy": "right, if all are answered",
    "regret": "regret in log10 error",
    "regret_with_probe": "the same, probe paid",
    "largest_where_it_jumps": "largest probability of pathwise where the return jumps",
}
"""The columns, by the table's names."""
CRITERION = "equal_samples"
NAMED = ("pathwise", *RIVALS)


def advisor_rows(tables: Tables) -> list[dict[str, Any]]:
    """A row per rule: its name, and a value with limits for each of `QUANTITIES`; none without scores."""
    scores = tables.read("advisor")
    own = scores[scores["criterion"] == CRITERION]
    rows = []
    for rule, each in own.groupby("rule", sort=False):
        found = (
            each.drop_duplicates("quantity")
            .set_index("quantity")[["value", "value_low", "value_high"]]
            .to_dict("index")
        )
        rows.append({"rule": rule, "scores": {name: found.get(name) for name in QUANTITIES}})
    return rows


def advisor_sentences(tables: Tables) -> list[str]:
    """What the advice is worth, and what is known of its link to learning; none without scores."""
    scores = tables.read("advisor")
    own = scores[(scores["criterion"] == CRITERION) & (scores["rule"] == "advisor")].set_index("quantity")
    if own.empty:
        return []
    first = own.iloc[0]
    share, right = (own.loc[name] for name in ("coverage", "accuracy_answered"))
    return [
        f"Asked about {many(int(first['places']), 'place')} in {int(first['families'])} families of environments, each"
        " of which its model had not seen, the advisor answers"
        f" {100 * share['value']:.0f} % [{100 * share['value_low']:.0f}, {100 * share['value_high']:.0f}]"
        f"{_how_right(right['value'])}; to the rest it says: insufficient evidence.",
        *_learning(tables),
    ]


def _how_right(share: float) -> str:
    """Of the answers; nothing where there are none."""
    if math.isnan(share):
        return ""
    return " and is right in " + (
        "every answer, which so few families cannot promise" if share == 1 else f"{100 * share:.1f} % of its answers"
    )


def _learning(tables: Tables) -> list[str]:
    """How often the winner by gradient error is the winner of training, where both are known."""
    verdicts = tables.read("verdicts")
    own = verdicts[(verdicts["comparison"] == "pathwise_vs_best_score_function") & verdicts["verdict"].isin(NAMED)]
    trained = own[(own["criterion"] == "training") & (own["statistic"] == "score_difference")]
    starts = own[(own["criterion"] == CRITERION) & (own["checkpoint"] == 0)]
    both = trained.merge(starts, on=["environment", "sigma"], suffixes=("_trained", "_of_gradients"))
    agree = int((both["verdict_trained"] == both["verdict_of_gradients"]).sum())
    places = {
        name: set(rows[["environment", "sigma"]].itertuples(index=False, name=None))
        for name, rows in (
            ("won", starts[starts["verdict"] == "pathwise"]),
            ("decided", trained),
            ("tried", _of_training(verdicts)),
        )
    }
    quiet = len((places["won"] & places["tried"]) - places["decided"])
    return [
        "A smaller error of gradients is not yet faster learning: against the best score-function estimator"
        f" {many(len(both), 'place')} of those trained have a winner of both, and at {agree} it is the same;"
        f" at {many(quiet, 'place')} where pathwise has the smaller error at the start, training shows no winner."
    ] if places["tried"] else []  # fmt: skip


def _of_training(verdicts: pd.DataFrame) -> pd.DataFrame:
    own = (verdicts["criterion"] == "training") & (verdicts["statistic"] == "score_difference")
    return verdicts[own & (verdicts["verdict"] != "not_applicable")]
