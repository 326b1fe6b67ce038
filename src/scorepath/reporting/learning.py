"""What training came to, estimator by estimator: final score, area, and how long half of the best gain took."""

from __future__ import annotations

from typing import Any

import numpy as np

from scorepath.figures.profiles import PLACE, scores
from scorepath.store.tables import Tables


def learning_rows(tables: Tables) -> list[dict[str, Any]]:
    """Per place and estimator: means of score and area with their standard errors, medians over seeds of the steps and
    seconds to half of the best gain (None where no more than half the seeds reach it), and how many reach it.
    """
    rows = []
    for (environment, sigma, estimator), own in scores(tables).groupby([*PLACE, "estimator"], sort=False):
        row: dict[str, Any] = {"environment": environment, "sigma": sigma, "estimator": estimator, "seeds": len(own)}
        for name in ("score", "area"):
            row[name] = float(own[name].mean())
            row[f"{name}_error"] = float(own[name].std(ddof=1) / np.sqrt(len(own))) if len(own) > 1 else None
        row["finished"] = int(np.isfinite(own["reached"]).sum())
        for name in ("reached", "seconds"):
            middle = float(own[name].median())
            row[name] = middle if np.isfinite(middle) else None
        rows.append(row)
    return rows
