"""Tables of studies that lack something: `write_tables` with the rows of an estimator or a noise level gone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
from tests.helpers.small_tables import write_tables

ABSENT = {
    "reinforce": lambda rows: rows["estimator"] != "reinforce",
    "pathwise": lambda rows: rows["estimator"] != "pathwise",
    "both sides": lambda rows: rows["estimator"] == "measure_valued",
    "noise": lambda rows: rows["sigma"] == 0,
    "the limit": lambda rows: rows["sigma"] > 0,
    "all noise levels but one": lambda rows: rows["sigma"] == 1,
    "the start": lambda rows: rows["checkpoint"] != 0,
    "all environments but one": lambda rows: rows["environment"] == "edge",
    "everything": lambda rows: rows["environment"] == "nowhere",
}
"""What a study lacks, and the rows that are left in the tables that have the column."""
WITHOUT_SIDE = ("reinforce", "pathwise", "both sides", "noise", "everything")
"""Those that leave nothing to compare."""


def tables_without(absent: str, folder: Path) -> Path:
    """The small study's tables as they would be without something; a comparison that lacks a side does not apply."""
    write_tables(folder)
    for path in sorted(folder.glob("*.csv")):
        if path.stem.startswith("student_"):
            continue  # the questions are tried with estimators of their own
        rows = pd.read_csv(path, keep_default_na=False)
        judged = path.stem.startswith("verdicts")  # a study has them of every place, whatever can be measured there
        rows = rows if judged and absent == "everything" else _without(rows, ABSENT[absent])
        if judged and absent in WITHOUT_SIDE:
            rows = rows.assign(verdict="not_applicable", rival="", value="", reason=f"no {absent} in this study")
        if path.stem == "cells" and absent == "everything":
            rows = pd.read_csv(path, keep_default_na=False).assign(status="not_applicable")
        rows.to_csv(path, index=False)
    return folder


def _without(rows: pd.DataFrame, kept: Callable[[pd.DataFrame], pd.Series]) -> pd.DataFrame:
    """The rows that are left; all where the table lacks the column. (A training verdict has no checkpoint.)"""
    try:
        return rows[kept(rows)]
    except KeyError:
        return rows
