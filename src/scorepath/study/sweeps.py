"""A sweep: an environment family with one or two axes, and the points that the plan makes of them. No torch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Any

OF_THE_PLACE = ("sigma", "batch_size", "checkpoint")
"""Axes that are no knobs of the family: noise level, samples per batch, fraction of the return gap that is closed."""


@dataclass(frozen=True)
class Point:
    """One point of a sweep: what its job measures."""

    values: Mapping[str, Any]
    """By axis, in the sweep's order."""
    knobs: Mapping[str, Any]
    """The family's, those that are averaged over aside."""
    sigma: float
    batch_size: int
    checkpoint: float


@dataclass(frozen=True)
class Sweep:
    """A named sweep of the configuration, its numbers converted and its defaults filled in."""

    name: str
    family: str
    knobs: Mapping[str, Any]
    """Those that are the same at every point."""
    policy: Mapping[str, Any] | None
    axes: Mapping[str, tuple[Any, ...]]
    """One or two; crossings are looked for along the first, at every value of the second."""
    over: Mapping[str, tuple[Any, ...]]
    """Knobs that every point averages over, with their values."""
    drawn: bool
    """Whether those values are draws, which intervals then have to account for."""
    rivals: tuple[str, ...]
    quantity: str
    sigma: float
    batch_size: int
    batches: int
    plugin: str = ""
    """The user's file that defines the family; "" for those of this package."""

    @property
    def x_axis(self) -> str:
        return next(iter(self.axes))

    @property
    def y_axis(self) -> str:
        """ "" where there is one axis only."""
        return next(iter([*self.axes][1:]), "")

    @cached_property
    def points(self) -> dict[str, Point]:
        """By name, as paths write it: `frequency=10,sigma=0.1`."""
        return {point_name(point.values): point for point in self._points()}

    def point(self, values: Mapping[str, Any]) -> Point:
        """The point with these values on the axes, whether or not the study has it."""
        given: dict[str, Any] = {"sigma": self.sigma, "batch_size": self.batch_size, "checkpoint": 0.0, **values}
        place = {name: given.pop(name) for name in OF_THE_PLACE}
        return Point(values, {**self.knobs, **given}, **place)

    def members(self) -> Iterator[dict[str, Any]]:
        """The values of the knobs that are averaged over, one member after another; one without any where none are."""
        for values in product(*self.over.values()):
            yield dict(zip(self.over, values, strict=True))

    def _points(self) -> Iterator[Point]:
        for values in product(*self.axes.values()):
            yield self.point(dict(zip(self.axes, values, strict=True)))


def point_name(values: Mapping[str, Any]) -> str:
    """A point as paths write it."""
    return ",".join(f"{axis}={coordinate(value):g}" for axis, value in values.items())


def coordinate(value: Any) -> float:
    """Where a value lies on its axis; a matrix of one number lies where its number does."""
    while isinstance(value, list | tuple):
        value = value[0]
    return float(value)
