"""A sweep's points gathered: what was measured, what is exact on a fine grid, and where pathwise and a rival are equal.

Crossings are looked for along the first axis, at each value of the second: as measured, as the exact surface has
them, and as a formula of the family predicts them. Contrasts are logarithms to the base 10 of rival over pathwise:
positive means that pathwise is better.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

import numpy as np

from scorepath.boundaries import contrast, contrasts, exact_crossings, measured_crossings, scale
from scorepath.intervals import Estimate
from scorepath.references.surfaces import exact_quantities
from scorepath.stages._measurements import read_rows
from scorepath.stages._sweeps import members
from scorepath.store.files import write_rows
from scorepath.store.paths import diagram_path, point_path, sweep_crossings_path
from scorepath.store.tables import COLUMNS
from scorepath.study.sweeps import Point, Sweep, coordinate, point_name

if TYPE_CHECKING:
    from scorepath.study.cells import Plan
    from scorepath.study.settings import Study

FINE = 61
"""Places of the exact surface along the first axis."""
FLAT_BATCHES = "flat_batches"


def sweep(plan: Plan, sweep: str) -> None:
    """Gather a sweep's points into its phase diagram, with the exact one and all crossings."""
    own = plan.study.sweeps.get(sweep)
    if own is None:
        raise LookupError(f"the study has no sweep {sweep}; `sweeps` in its configuration says which it has")
    diagram: list[dict[str, Any]] = []
    crossings: list[dict[str, Any]] = []
    numbers = {name: _replicates(own, name) for name in own.points if point_path(sweep, name).exists()}
    for rival in own.rivals or ("",):
        for value in own.axes[own.y_axis] if own.y_axis else (None,):
            line = Line(plan.study, own, rival, value)
            shared = {"sweep": sweep, "rival": rival, "quantity": own.quantity, "x_axis": own.x_axis,
                      "y_axis": own.y_axis, "y": math.nan if value is None else coordinate(value)}  # fmt: skip
            diagram.extend(shared | row for row in line.rows(numbers))
            crossings.extend(shared | row for row in line.crossings(numbers))
    write_rows(diagram_path(sweep), _in_order(diagram, "phase_diagrams"), COLUMNS["phase_diagrams"])
    write_rows(sweep_crossings_path(sweep), _in_order(crossings, "crossings"), COLUMNS["crossings"])


class Line:
    """One line of a diagram: a rival, along the first axis at one value of the second."""

    def __init__(self, study: Study, sweep: Sweep, rival: str, value: Any) -> None:
        self.study, self.sweep, self.rival = study, sweep, rival
        self.across = {} if value is None else {sweep.y_axis: value}
        self.methods = ("pathwise", rival) if rival else ("pathwise",)
        self.scale = 1.0 if sweep.quantity == FLAT_BATCHES else 1 / math.log(10)
        self.exact_places, self.exact_values = self._exact()

    def rows(self, numbers: dict[str, dict[str, np.ndarray]]) -> Iterator[dict[str, Any]]:
        """Of the diagram: measured points, then exact ones."""
        places, replicates = self._measured(numbers)
        for place, found in zip(places, contrasts(replicates) if len(places) else (), strict=True):
            yield {"x": place, "kind": "measured"} | self._limits(found)
        for place, value in zip(self.exact_places, self.exact_values, strict=True):
            yield {"x": place, "kind": "exact"} | self._limits(Estimate(value, value, value, 0.0))

    def crossings(self, numbers: dict[str, dict[str, np.ndarray]]) -> Iterator[dict[str, Any]]:
        """Of the crossings: measured, exact and predicted ones that belong together share a row."""
        places, replicates = self._measured(numbers)
        measured = measured_crossings(places, replicates) if len(places) else []
        exact = exact_crossings(self.exact_places, self.exact_values)
        columns = [self._predicted(), exact, [found.value for found in measured]]
        anchors = max(columns, key=len)
        there, _ = scale(coordinate(self.sweep.axes[self.sweep.x_axis][0]))
        aligned = [_aligned(there(anchors), there(column)) for column in columns]
        for predicted, exactly, at in zip_longest(*aligned) if anchors else [(None, None, None)]:
            found = measured[at] if at is not None else Estimate(math.nan, math.nan, math.nan, math.nan)
            yield {
                "predicted": math.nan if predicted is None else columns[0][predicted],
                "exact": math.nan if exactly is None else exact[exactly],
                "measured": found.value, "measured_low": found.low, "measured_high": found.high,
            }  # fmt: skip

    def _measured(self, numbers: dict[str, dict[str, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
        """Places along the axis, and the replicates there: (points,), (points, methods, replicates)."""
        found = []
        for value in self.sweep.axes[self.sweep.x_axis]:
            name = point_name({self.sweep.x_axis: value, **self.across})
            if name in numbers:
                found.append((coordinate(value), np.stack([numbers[name][method] for method in self.methods])))
        if not found:
            return np.zeros(0), np.zeros((0, len(self.methods), 0))
        return np.array([place for place, _ in found]), np.stack([own for _, own in found])

    def _exact(self) -> tuple[np.ndarray, np.ndarray]:
        """The exact contrast on a fine grid along the axis; empty where nothing is exact."""
        sweep, axis = self.sweep, self._fine()
        values = sweep.axes[sweep.x_axis]
        if sweep.x_axis == "sigma":
            found = self._quantities(sweep.point({"sigma": values[0], **self.across}), axis.tolist())
            return (axis, contrast(found)) if found is not None else (axis[:0], axis[:0])
        places, parts = [], []
        for place in axis:
            value = _like(values[0], float(place))
            point = sweep.point({sweep.x_axis: value, **self.across})
            found = self._quantities(point, [point.sigma])
            if found is None:
                break
            places.append(coordinate(value))
            parts.append(contrast(found)[0])
        return np.array(places), np.array(parts)

    def _fine(self) -> np.ndarray:
        """The first axis on a fine grid, whole numbers where its values are."""
        values = self.sweep.axes[self.sweep.x_axis]
        there, back = scale(coordinate(values[0]))
        low, high = coordinate(values[0]), coordinate(values[-1])
        axis: np.ndarray = back(np.linspace(there(low), there(high), FINE))
        axis[[0, -1]] = low, high  # rounding must not lead out of the axis
        return np.unique(axis.round()) if isinstance(values[0], int) else axis

    def _quantities(self, point: Point, sigmas: Sequence[float]) -> np.ndarray | None:
        """Exact quantities of the methods: (levels, methods); None where there are none."""
        few = replace(self.sweep, over={name: values[:1] for name, values in self.sweep.over.items()})
        one = few if self.sweep.drawn else self.sweep  # a formula of all fields asks none in particular
        found = exact_quantities(
            members(self.study, one, point), frozenset(self.sweep.over), self.methods, sigmas, self.sweep.quantity,
            point.batch_size, self.sweep.drawn,
        )  # fmt: skip
        return None if found is None else np.stack([found[method] for method in self.methods], 1)

    def _predicted(self) -> list[float]:
        """What the family predicts for the axis: noise levels, or where the predicted level is that of the line."""
        sweep = self.sweep
        values = sweep.axes[sweep.x_axis]
        low, high = coordinate(values[0]), coordinate(values[-1])
        if "checkpoint" in sweep.axes or sweep.quantity == FLAT_BATCHES:
            return []
        if sweep.x_axis == "sigma":
            return [level for level in self._levels(sweep.point({"sigma": low, **self.across})) if low < level < high]
        above, axis = [], self._fine()
        for place in axis:
            point = sweep.point({sweep.x_axis: _like(values[0], float(place)), **self.across})
            levels = self._levels(point)
            above.append(math.log(levels[0] / point.sigma) if len(levels) == 1 else math.nan)
        return exact_crossings(axis, np.array(above))

    def _levels(self, point: Point) -> Sequence[float]:
        few = replace(self.sweep, over={name: values[:1] for name, values in self.sweep.over.items()})
        (simulator,) = members(self.study, few, point)
        return simulator.environment.crossing_noise(self.rival, frozenset(self.sweep.over)) or ()

    def _limits(self, found: Estimate) -> dict[str, float]:
        ends = zip(("value", "value_low", "value_high"), found[:3], strict=True)
        return {name: float(value) * self.scale for name, value in ends}


def _replicates(sweep: Sweep, point: str) -> dict[str, np.ndarray]:
    """A point's replicates of the sweep's quantity, by method."""
    rows = read_rows(point_path(sweep.name, point))
    return {str(name): own[sweep.quantity].to_numpy(float) for name, own in rows.groupby("estimator", sort=False)}


def _aligned(anchors: np.ndarray, values: np.ndarray) -> list[int | None]:
    """For each anchor the value that belongs to it, the nearest on the axis's scale, each at most once."""
    found: list[int | None] = [None] * len(anchors)
    distances = sorted(
        (abs(value - anchor), place, index)
        for place, anchor in enumerate(anchors)
        for index, value in enumerate(values)
    )
    for _, place, index in distances:
        if found[place] is None and index not in found:
            found[place] = index
    return found


def _like(example: Any, number: float) -> Any:
    """A number as the axis writes its values: whole, or in a matrix of one."""
    if isinstance(example, list | tuple):
        return [_like(example[0], number)]
    return round(number) if isinstance(example, int) else number


def _in_order(rows: Sequence[dict[str, Any]], table: str) -> list[dict[str, Any]]:
    return [{column: row[column] for column in COLUMNS[table]} for row in rows]
