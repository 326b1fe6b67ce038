"""Where a measured contrast changes its sign along an axis: every crossing, with an interval.

The contrast of two estimators is the logarithm of the ratio of their means over independent replicates; that of a
share is its distance from a half. Replicates are the same random numbers all along the axis, so that one left out
moves a crossing as a whole (jackknife). Between points the contrast is interpolated monotonically (Fritsch & Carlson
1980), in the logarithm of the axis where that is positive.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np

from scorepath.intervals import Estimate, jackknife

Map = Callable[[Any], Any]

FINE = 65
"""Places between two points at which the interpolated contrast is looked at."""


def scale(least: float) -> tuple[Map, Map]:
    """What an axis is read in, and back: logarithms if its least value is positive, else itself."""
    return (np.log, np.exp) if least > 0 else (np.asarray, np.asarray)


def contrast(means: np.ndarray) -> np.ndarray:
    """From means (points, 2, ...) of pathwise and a rival `log(rival / pathwise)`; from shares (points, 1, ...) their
    distance from a half. Positive means that pathwise has the smaller one, or the larger share."""
    if means.shape[1] == 1:
        return np.asarray(means[:, 0] - 0.5)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.log(means[:, 1] / means[:, 0]))  # the ratio has no unit, to the last bit


def contrasts(numbers: np.ndarray) -> list[Estimate]:
    """The contrast at each point, from replicates (points, 1 or 2, replicates); no limits where it is not finite."""
    values, without = _with_each_left_out(numbers)
    return [
        jackknife(float(value), own)
        if math.isfinite(value) and np.isfinite(own).all()
        else Estimate(float(value), -math.inf, math.inf, math.nan)
        for value, own in zip(values, without, strict=True)
    ]


def measured_crossings(axis: np.ndarray, numbers: np.ndarray) -> list[Estimate]:
    """All crossings between points at which the sign of the contrast is sure, with 95 % limits.

    Args:
        axis: rising, (points,).
        numbers: (points, 1 or 2, replicates), the same replicates at every point.
    """
    values, without = _with_each_left_out(numbers)
    finite = np.isfinite(values) & np.isfinite(without).all(-1)
    there, back = scale(axis[0])
    axis, numbers, values, without = axis[finite], numbers[finite], values[finite], without[finite]
    if len(axis) < 2:
        return []
    found = contrasts(numbers)
    sure = [index for index, each in enumerate(found) if each.low > 0 or each.high < 0]
    crossings = []
    for left, right in pairwise(sure):
        if (values[left] > 0) != (values[right] > 0):
            whole = _crossing(there(axis), np.column_stack([values, without]), left, right)
            if np.isfinite(whole).all():
                estimate = jackknife(float(whole[0]), whole[1:])
                value, low, high = map(float, back(estimate[:3]))
                crossings.append(Estimate(value, low, high, math.nan))
            else:  # a replicate decides whether there is one: all that is known is between which points
                middle = back((there(axis[left]) + there(axis[right])) / 2)
                crossings.append(Estimate(float(middle), axis[left], axis[right], math.nan))
    return crossings


def exact_crossings(axis: np.ndarray, values: np.ndarray) -> list[float]:
    """All changes of sign along a fine axis, rising, (points,)."""
    if not len(axis):
        return []
    there, back = scale(axis[0])
    finite = np.isfinite(values)
    axis, values = there(axis[finite]), values[finite]
    places = [index for index in range(len(values) - 1) if (values[index] > 0) != (values[index + 1] > 0)]
    return [float(back(axis[i] + (axis[i + 1] - axis[i]) * values[i] / (values[i] - values[i + 1]))) for i in places]


def _with_each_left_out(numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The contrast (points,), and without each replicate (points, replicates)."""
    replicates = numbers.shape[-1]
    total = numbers.sum(-1, keepdims=True)
    return contrast(total / replicates)[:, 0], contrast((total - numbers) / (replicates - 1))


def _crossing(places: np.ndarray, columns: np.ndarray, left: int, right: int) -> np.ndarray:
    """Where, on the scale, each column crosses zero between two points, on the whole; nan where it does not."""
    from scipy.interpolate import PchipInterpolator

    fine = np.linspace(places[left], places[right], FINE * (right - left) + 1)
    values = PchipInterpolator(places, columns)(fine)
    up = values > 0
    changes = up[1:] != up[:-1]
    found = np.full(columns.shape[1], math.nan)
    for column in range(columns.shape[1]):
        at = np.flatnonzero(changes[:, column])
        if len(at):
            before, after = values[at, column], values[at + 1, column]
            found[column] = np.mean(fine[at] + (fine[1] - fine[0]) * before / (before - after))
    return found
