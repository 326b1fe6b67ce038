"""The ledger in a sentence: how many rows agree with what was predicted, and which claims do not."""

from __future__ import annotations

import pandas as pd

from scorepath.reporting.summaries import many
from scorepath.store.tables import Tables


def ledger_sentence(tables: Tables) -> str:
    """Counts of rows by both questions, and the claims with a row that fails one; "" without a ledger."""
    rows = tables.read("claims")
    if rows.empty:
        return ""
    agree, within = rows["consistency"] == "consistent", rows["tolerance"] == "within"
    text = (
        f"{many(len(rows), 'row')} of {many(rows['claim'].nunique(), 'claim')}: {int((agree & within).sum())} contain"
        " the prediction and lie within the tolerance."
    )
    refuted = (("Outside the tolerance", rows["tolerance"] == "outside"), ("Against the prediction", ~agree))
    return " ".join([text, *(f"{words}: {_named(rows[which])}." for words, which in refuted if which.any())])


def _named(rows: pd.DataFrame) -> str:
    counts = rows["claim"].value_counts(sort=False)
    return ", ".join(name if count == 1 else f"{name} ({count} rows)" for name, count in counts.items())
