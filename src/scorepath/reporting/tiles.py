"""Who wins where, as the page's map has it: every verdict of pathwise against its rivals, with what it rests on."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from scorepath.figures.wording import checkpoint_name, checkpoints_in, in_order, label
from scorepath.reporting.embedding import columns, rounded
from scorepath.reporting.numbers import readable
from scorepath.reporting.summaries import IN_HEADS
from scorepath.store.paths import sigma_token
from scorepath.store.tables import Tables

CRITERIA = {
    "equal_samples": "samples", "equal_steps": "environment steps", "equal_compute": "seconds", "training": "training",
}  # fmt: skip
"""The switch of the map: what is equal on both sides."""
TEXT = ("environment", "comparison", "criterion", "rival", "verdict", "practical", "reason")
FLIP = "flip_budget", "flip_budget_low", "flip_budget_high"
NUMBERS = ("sigma", "checkpoint", "value", "value_low", "value_high", *FLIP, "relative_error")


def embedded_tiles(tables: Tables, config: Mapping[str, Any]) -> dict[str, Any]:
    """The verdicts by columns, and the axes and switches of the map that shows them; pairs keep their order."""
    verdicts = tables.read_verdicts()
    verdicts = verdicts[verdicts["criterion"].isin(CRITERIA) & (verdicts["statistic"] != "probability_of_improvement")]
    verdicts = verdicts[verdicts["comparison"].isin(IN_HEADS) & (verdicts["verdict"] != "")]
    verdicts = verdicts.assign(reason=verdicts["reason"].map(readable))
    names = in_order(tables.read("cells"), "environment")
    present = set(verdicts["environment"])
    budgets = verdicts["budget"].dropna()
    margin = config.get("statistics", {}).get("error_margin")
    return {
        "verdicts": columns(verdicts, TEXT, NUMBERS),
        "environments": {name: label(name) for name in names if name in present},
        "sigmas": [[rounded(level), sigma_token(level)] for level in sorted(verdicts["sigma"].dropna().unique())],
        "checkpoints": [[rounded(value), checkpoint_name(value)] for value in checkpoints_in(verdicts)],
        "comparisons": {key: words for key, words in IN_HEADS.items() if key in set(verdicts["comparison"])},
        "criteria": {key: words for key, words in CRITERIA.items() if key in set(verdicts["criterion"])},
        "estimators": {name: label(name) for name in in_order(tables.read("cells"), "estimator")},
        "pathwise": tables.called("pathwise"),
        "pathwise_without_noise": tables.called("deterministic_pathwise"),
        "budget": rounded(float(budgets.iloc[0])) if len(budgets) else None,
        "margin": rounded(math.log10(margin)) if margin else 0,
    }
