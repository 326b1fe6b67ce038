"""Bias and its cure: where pathwise is seen to be biased, what estimators that might repair it leave of the bias."""

from __future__ import annotations

import math
from typing import Any

from scorepath.figures.wording import label
from scorepath.reporting.every_cell import every_cell
from scorepath.reporting.summaries import many
from scorepath.store.paths import sigma_token
from scorepath.store.tables import Tables

CURES = ("boundary_corrected", "inverse_variance", "total_propagation")
"""Methods that keep the pathwise part and might repair it: the first adds the boundary term, the others mix."""
SHARE = ("bias", "bias_low", "bias_high")
SEEN = 1e-3
"""Of the gradient's length: less may be the rounding of float32."""


def cure_rows(tables: Tables) -> tuple[list[str], list[dict[str, Any]]]:
    """The cures that were measured, and a row per environment and noise level where pathwise is biased, at the start.

    A share is the length of the bias by that of the exact gradient, with limits; `error` is an estimator's mean squared
    error at the budget by pathwise's, at equal samples.
    """
    rows = every_cell(tables)
    rows = rows[(rows["stage"] == "gradients") & (rows["checkpoint"] == rows["checkpoint"].min()) & (rows["sigma"] > 0)]
    pathwise = tables.called("pathwise")
    biased = rows[(rows["estimator"] == pathwise) & (rows["counted_low"] > 0)]
    cures = [name for method in CURES if (name := tables.called(method)) in set(rows["estimator"])]
    by_place = rows.set_index(["environment", "sigma", "estimator"]).sort_index()
    found = []
    for own in biased.to_dict("records"):
        row: dict[str, Any] = {"environment": own["environment"], "sigma": own["sigma"], "pathwise": _share(own)}
        for cure in cures:
            key = own["environment"], own["sigma"], cure
            other = by_place.loc[[key]].iloc[0].to_dict() if key in by_place.index else {}
            if other and not math.isnan(other["bias"]):
                error = other["mse_equal_samples"] / own["mse_equal_samples"]
                row[cure] = _share(other) | {"error": error}
        found.append(row)
    return cures, found


def cure_sentence(tables: Tables) -> str:
    """How far the boundary term repairs pathwise, over the places where both were measured; "" without any."""
    rows = cure_rows(tables)[1]
    name = tables.called(CURES[0])
    both = [row for row in rows if name in row]
    if not both:
        return ""
    worst = max(both, key=lambda row: row[name]["bias"])
    left = sum(row[name]["bias_low"] > SEEN for row in both)
    share, low, high, before = (
        100 * size for size in (*(worst[name][end] for end in SHARE), worst["pathwise"]["bias"])
    )
    return (
        f"Where the jumps are known, adding the boundary term repairs it: of {many(len(both), 'place')} (environment ×"
        f" noise level, start of training) a bias of more than {100 * SEEN:g} % of the gradient is still seen in"
        f" {left}; the largest estimate of what is left is {share:.2g} % [{low:.2g}, {high:.2g}] instead of"
        f" {before:.3g} % ({label(worst['environment'])}, σ = {sigma_token(worst['sigma'])})."
    )


def _share(row: dict[str, Any]) -> dict[str, float]:
    return {name: math.sqrt(max(0.0, row[name])) for name in SHARE}
