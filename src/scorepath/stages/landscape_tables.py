"""The gather of landscapes: the lines and the trajectories of all environments, one after another."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from scorepath.stages._measurements import read_rows, with_policies
from scorepath.store.paths import episode_path, landscape_path
from scorepath.store.tables import empty, save

if TYPE_CHECKING:
    from scorepath.study.cells import Plan


def landscape_tables(plan: Plan) -> None:
    """Gather all lines and trajectories into the landscapes and trajectories tables."""
    for name, path_of in (("landscapes", landscape_path), ("trajectories", episode_path)):
        paths = [path_of(environment) for environment in with_policies(plan.study.environments)]
        parts = [rows for path in paths if path.exists() and len(rows := read_rows(path, may_be_empty=True))]
        save(name, pd.concat(parts, ignore_index=True) if parts else empty(name))
