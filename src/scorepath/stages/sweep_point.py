"""One point of a sweep: pathwise and its rivals measured on the same random numbers, one row per replicate of each."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from scorepath.measurement import sample_batches, sample_variances
from scorepath.noise import Stream
from scorepath.stages._sweeps import REPLICATES, batches_of, estimators, members, replicates
from scorepath.store.files import write_rows
from scorepath.store.paths import point_path

if TYPE_CHECKING:
    from scorepath.study.cells import Plan


def sweep_point(plan: Plan, sweep: str, point: str) -> None:
    """Measure one point of a sweep.

    Raises:
        LookupError: if the study has no such sweep or point.
    """
    own = plan.study.sweeps.get(sweep)
    if own is None or point not in own.points:
        raise LookupError(
            f"the study has no point {point} of a sweep {sweep}; `sweeps` in its configuration says which"
        )
    place = own.points[point]
    stream = Stream(plan.study.seed, sweep, "sweep")  # the same numbers at all points, as far as shapes allow
    simulators = members(plan.study, own, place)
    rows: list[dict[str, float | str]] = []
    for name, method in estimators(own).items():
        found: dict[str, list[np.ndarray]] = {column: [] for column in REPLICATES}
        for number, simulator in enumerate(simulators):
            batches = batches_of(own, number)
            moments = sample_batches(method, simulator, stream, batches, place.batch_size, torch.float32)
            variance = sample_variances(method, simulator, moments)
            # E|mean|^2 is the squared mean gradient and the variance of the mean
            second = variance * (1 - 1 / place.batch_size) + moments.means.square().sum(-1)
            flat = (moments.zeros == place.batch_size).double()
            for column, values in zip(REPLICATES, (variance, second, flat), strict=True):
                found[column].append(values.double().numpy())
        columns = {column: replicates(own, np.stack(values)) for column, values in found.items()}
        rows.extend(
            {"estimator": name, **{column: float(values[index]) for column, values in columns.items()}}
            for index in range(len(columns["variance"]))
        )
    write_rows(point_path(sweep, point), rows)
