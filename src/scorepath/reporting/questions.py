"""What the student's questions show of the tables that the rule `questions` has written."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from scorepath.store.tables import Tables

SIDES = ("reinforce", "pathwise")
SIMULATIONS = ("reinforce", "reward_to_go")


def question_facts(tables: Tables) -> dict[str, Any]:
    """Everything that the section on the questions lays out; empty lists where a table has no rows.

    `limit` has a row per noise level; `terms` and `totals` are the policy gradient theorem's; `numbers` has the rows of
    each question by its anchor.
    """
    theorem = tables.read("student_theorem")
    whole = theorem["step"].isna()
    numbers = tables.read("student_numbers")
    limit = _limit_rows(tables.read("student_limit"))
    return {
        "limit": limit,
        "cheaper": cheaper(limit),
        "distances": [row for row in limit if row["distance"]],
        "terms": _records(theorem[~whole]),
        "totals": _records(theorem[whole]),
        "gap": float(theorem["difference"].abs().max()) if len(theorem) else None,
        "agreement": [_agreement(theorem, name) for name in SIMULATIONS] if len(theorem) else [],
        "numbers": {str(name): _records(rows) for name, rows in numbers.groupby("question", sort=False)},
    }


def _records(rows: pd.DataFrame) -> list[dict[str, Any]]:
    return rows.to_dict("records")


def _limit_rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    """By noise level: the exact gradient, its distance from the noiseless one, each side's row or None."""
    rows: list[dict[str, Any]] = []
    for sigma, group in table.groupby("sigma"):
        sides: dict[str, Any] = dict.fromkeys(SIDES)
        sides |= {str(row["estimator"]): row for row in _records(group)}
        rows.append({"sigma": sigma, "gradient": float(group["gradient"].iloc[0]), **sides})
    for row in rows:
        row["distance"] = abs(row["gradient"] / rows[0]["gradient"] - 1) if rows[0]["sigma"] == 0 else None
    return rows


def _agreement(theorem: pd.DataFrame, name: str) -> dict[str, Any]:
    """In how many rows a simulation's interval contains the exact value, and of how many."""
    inside = (theorem[f"{name}_low"] <= theorem["gradient"]) & (theorem["gradient"] <= theorem[f"{name}_high"])
    return {"estimator": name, "inside": int(inside.sum()), "of": len(theorem)}


def cheaper(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Of the noise levels at which both sides exist: which needs fewer samples, and how many times fewer, exactly."""
    found = []
    for row in rows:
        if all(row[side] for side in SIDES):
            needs = {side: row[side]["needed_exact"] for side in SIDES}
            winner = min(SIDES, key=needs.__getitem__)
            factor = max(needs.values()) / min(needs.values())
            found.append({"sigma": row["sigma"], "winner": winner, "factor": factor})
    return found
