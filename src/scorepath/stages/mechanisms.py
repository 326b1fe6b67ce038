"""The gather of reasons: what decides each comparison, and whether one number predicts it.

Of timings one mechanism depends, `cost`, and so this table with them, as `verdicts_compute` does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from scorepath.stages._measurements import read_rows, with_policies
from scorepath.stages._mechanisms import mechanisms_table
from scorepath.stages._roughness import roughness_table
from scorepath.store.paths import TABLES, signals_path
from scorepath.store.tables import Tables, empty, save

if TYPE_CHECKING:
    from scorepath.study.cells import Plan


def mechanisms(plan: Plan) -> None:
    """Name what decides each comparison, from the tables and the signals."""
    study = plan.study
    paths = [signals_path(name) for name in with_policies(study.environments)]
    parts = [rows for path in paths if path.exists() and len(rows := read_rows(path, may_be_empty=True))]
    signals = pd.concat(parts, ignore_index=True) if parts else empty("signals")
    roughness, named = roughness_table(
        mechanisms_table(Tables(TABLES, plan.methods), signals),
        signals,
        {name: entry.family for name, entry in study.environments.items()},
        {name: study.original(name) for name in study.environments},
        study.resamples,
        study.seed,
    )
    for name, table in (("signals", signals), ("mechanisms", named), ("roughness", roughness)):
        save(name, table)
