"""Trust, by this study's own numbers: how many of its intervals hold what is known exactly."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from scorepath.figures.wording import in_order
from scorepath.store.tables import Tables


def coverage_rows(tables: Tables) -> list[dict[str, Any]]:
    """Per estimator with exact variances: how many of its variances at the start have 95 % limits that hold them.

    Exact curves are read off between their points, on logarithmic scales.
    """
    curves = tables.read("exact_curves")
    curves = curves[(curves["quantity"] == "variance") & (curves["value"] > 0) & (curves["sigma"] > 0)]
    statistics = tables.read("gradient_statistics")
    statistics = statistics[(statistics["checkpoint"] == statistics["checkpoint"].min()) & (statistics["sigma"] > 0)]
    statistics = statistics.dropna(subset=["variance_low", "variance_high"])
    known = {key: own.sort_values("sigma") for key, own in curves.groupby(["environment", "estimator"], sort=False)}
    statistics = statistics.assign(exact=[_read(known.get((r.environment, r.estimator)), r.sigma)
                                          for r in statistics.itertuples()]).dropna(subset=["exact"])  # fmt: skip
    inside = (statistics["variance_low"] <= statistics["exact"]) & (statistics["exact"] <= statistics["variance_high"])
    rows = [
        {"estimator": name, "cells": int((statistics["estimator"] == name).sum()),
         "held": int(inside[statistics["estimator"] == name].sum())}
        for name in in_order(statistics, "estimator")
    ]  # fmt: skip
    return rows


def _read(curve: pd.DataFrame | None, sigma: float) -> float:
    """A curve's value at a noise level; NaN beyond its ends."""
    if curve is None or not curve["sigma"].min() * (1 - 1e-9) <= sigma <= curve["sigma"].max() * (1 + 1e-9):
        return float("nan")
    logs = np.interp(np.log(sigma), np.log(curve["sigma"]), np.log(curve["value"]))
    return float(np.exp(logs))
