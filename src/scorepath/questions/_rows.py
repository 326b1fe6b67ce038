"""One row of the table `student_numbers`."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from scorepath.intervals import jackknife, mean_estimates, positive_mean_estimates


def number(question: str, quantity: str, value: float, expected: float = math.nan) -> dict[str, Any]:
    """A number that no chance enters, beside what another route gives."""
    limits = {"value": value, "value_low": value, "value_high": value}
    return {"question": question, "quantity": quantity, "expected": expected} | limits


def mean(question: str, quantity: str, batches: np.ndarray, expected: float = math.nan) -> dict[str, Any]:
    """The mean of independent batches with its limits, beside what it should be."""
    return _estimate(number(question, quantity, math.nan, expected), mean_estimates(batches))


def variance(question: str, quantity: str, batches: np.ndarray) -> dict[str, Any]:
    """A variance, from that within each of the batches."""
    return _estimate(number(question, quantity, math.nan), positive_mean_estimates(batches))


def ratio(question: str, quantity: str, over: np.ndarray, under: np.ndarray) -> dict[str, Any]:
    """The ratio of two positive means over the same batches; its interval is formed in the logarithm."""
    left_out = [(each.sum() - each) / (len(each) - 1) for each in (over, under)]
    found = jackknife(math.log(over.mean() / under.mean()), np.log(left_out[0] / left_out[1]))
    return _estimate(number(question, quantity, math.nan), np.exp(found[:3]))


def _estimate(row: dict[str, Any], found: Any) -> dict[str, Any]:
    return row | dict(zip(("value", "value_low", "value_high"), map(float, found[:3]), strict=True))
