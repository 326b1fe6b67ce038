"""How figures and prose name what the tables hold: in the study's order, in words."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from scorepath.store.tables import Tables

NO_DATA = "no data yet: the table behind this figure has no rows"
NOTHING_TRAINED = "nothing is trained in this study"
NOTHING_MEASURED = "no estimator of this study can be measured in its environments at its noise levels"
WANTED = ("run", "failed", "missing")
"""The statuses of cells that a study computes, whether they have a result or not."""


def in_order(frame: pd.DataFrame, column: str) -> list[str]:
    """The distinct values of a text column in order of appearance, which is the order of `config.yaml`."""
    return [value for value in dict.fromkeys(frame[column].tolist()) if value]


BIAS_SEEN = (
    "estimators that are not proved to be unbiased there, whose bias is told apart from zero at some noise level: of"
    " all unbiased ones together, one is drawn by chance in at most one study of twenty (Bonferroni, over every level)"
)
"""What the figure of biases draws."""


def checkpoint_name(checkpoint: float) -> str:
    """A checkpoint, the fraction of the return gap that is closed, in words."""
    if checkpoint == 0:
        return "start"
    return f"{100 * checkpoint:.3g} % trained"


def checkpoints_in(frame: pd.DataFrame) -> list[float]:
    """The checkpoints of a frame, ascending."""
    return sorted(frame["checkpoint"].dropna().unique().tolist())


def wants(cells: pd.DataFrame, stage: str) -> bool:
    """Whether a study computes anything in a stage, by its table of cells."""
    return bool(cells.loc[cells["stage"] == stage, "status"].isin(WANTED).any())


def why_empty(tables: Tables, reason: str, stage: str = "gradients") -> str:
    """Why a figure shows nothing: as `reason` says, unless its stage has nothing to compute or no results yet."""
    cells = tables.read("cells")
    if len(cells) and not wants(cells, stage):
        return NOTHING_TRAINED if stage == "training" else NOTHING_MEASURED
    own = cells[cells["stage"] == stage]
    return reason if (own["status"] == "run").any() else NO_DATA


def label(name: str) -> str:
    """A name of the study as prose and figures write it."""
    return "REINFORCE" if name == "reinforce" else name.replace("_", " ")


def number(value: Any, digits: int = 3) -> str:
    """A number for a table: 3 significant digits, a true minus, powers of ten as such; a dash for none.

    >>> number(0.012345), number(5.7e6, 2), number(-12345.0)
    ('0.0123', '5.7×10⁶', '−12,300')
    """
    if value is None or value == "" or (isinstance(value, float) and math.isnan(value)):
        return "–"
    value = float(value)
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    if value == 0:
        return "0"
    if 1e-3 <= abs(value) < 1e5:
        rounded = float(f"{value:.{digits}g}")
        return f"{rounded:,.10g}".replace("-", "−")
    mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
    return f"{mantissa.replace('-', '−')}×{ten_to(int(exponent))}"


def ten_to(exponent: int) -> str:
    """Ten with this exponent, as people write it: 10⁶."""
    return "10" + str(exponent).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))


def interval(value: float, low: float, high: float, digits: int = 3) -> str:
    """A value with its limits, where it has any: 3.41 [3.3, 3.52]."""
    limits = "" if math.isnan(low) or math.isnan(high) else f" [{number(low, digits)}, {number(high, digits)}]"
    return number(value, digits) + limits
