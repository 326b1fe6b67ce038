"""The gather of timings: what a sample costs, and who wins at equal seconds.

Seconds are those of one training batch at a time, and again those of as many samples at a time as fill the processor.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from scorepath.stages._measurements import Measurements, read_rows, with_policies
from scorepath.stages._verdicts import gradient_verdicts
from scorepath.store.paths import costs_path
from scorepath.store.tables import COLUMNS, save

if TYPE_CHECKING:
    from scorepath.study.cells import Plan


def cost_tables(plan: Plan) -> None:
    """Gather timings into the costs and verdicts_compute tables."""
    paths = [costs_path(name) for name in with_policies(plan.study.environments)]
    read = (read_rows(path, may_be_empty=True) for path in paths if path.exists())
    parts = [rows for rows in read if len(rows)]  # nothing runs at a positive noise level: nothing was timed
    costs = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=COLUMNS["costs"])
    save("costs", costs)
    measurements = Measurements(plan)
    verdicts = []
    for criterion, pick in (("equal_compute", min), ("equal_compute_saturated", max)):
        own = costs[costs["samples_at_once"] == pick(costs["samples_at_once"], default=0)]
        prices = {
            (row.environment, row.estimator): row.seconds_per_sample + row.pilot_seconds_per_sample
            for row in own.itertuples()
        }
        verdicts.append(gradient_verdicts(measurements, criterion, prices))
    save("verdicts_compute", pd.concat(verdicts, ignore_index=True))
