"""Why who wins: the mechanisms that were named at each place, counted, and whether one number predicts the winner."""

from __future__ import annotations

from typing import Any

import pandas as pd

from scorepath.figures import why
from scorepath.figures.wording import checkpoint_name, label
from scorepath.reporting.summaries import BEST, RIVALS, many
from scorepath.store.paths import sigma_token
from scorepath.store.tables import Tables

MOST_NAMES = 5
"""Environments that a row names."""


def why_sentences(tables: Tables) -> list[str]:
    """What decides the comparisons with the best score function, and what predicts them; none without any."""
    rows = _own(tables)
    if rows.empty:
        return []
    texts = []
    for side, words in ((rows["verdict"] == "pathwise", "wins"), (rows["verdict"].isin(RIVALS), "loses")):
        counts = rows.loc[side, "mechanism"].value_counts(sort=True)
        if len(counts):
            parts = [
                f"{name} at {count}" for name, count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))
            ]
            texts.append(
                f"Where pathwise {words} ({many(int(side.sum()), 'place')}), this decides: {', '.join(parts)}."
            )
    return [" ".join(texts), *why.sentences(tables)] if texts else why.sentences(tables)


def mechanism_rows(tables: Tables) -> list[dict[str, Any]]:
    """A row per mechanism, the most frequent first: how often, where, and the place where the errors differ most."""
    found = []
    for name, own in _own(tables).groupby("mechanism", sort=False):
        sizes = own["value"].abs()
        place = own.loc[sizes.idxmax()] if sizes.notna().any() else own.iloc[0]
        environments = list(dict.fromkeys(own["environment"]))
        more = f" and {len(environments) - MOST_NAMES} more" if len(environments) > MOST_NAMES else ""
        won, lost = own["verdict"] == "pathwise", own["verdict"].isin(RIVALS)
        found.append({
            "mechanism": name, "won": int(won.sum()), "lost": int(lost.sum()), "open": int((~won & ~lost).sum()),
            "environments": ", ".join(map(label, environments[:MOST_NAMES])) + more, "sentence": place["sentence"],
            "place": f"{label(place['environment'])}, σ = {sigma_token(place['sigma'])},"
                     f" {checkpoint_name(place['checkpoint'])}",
        })  # fmt: skip
    return sorted(found, key=lambda row: -(row["won"] + row["lost"] + row["open"]))


def _own(tables: Tables) -> pd.DataFrame:
    rows = tables.read("mechanisms")
    return rows[rows["comparison"] == BEST]
