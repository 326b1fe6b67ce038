"""One point of a sweep: pathwise and its rivals measured on the same random numbers, one row per replicate of each."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from scorepath.measurement import precision, sample_batches, sample_variances
from scorepath.noise import Stream
from scorepath.rollout import Simulator
from scorepath.stages._sweeps import REPLICATES, batches_of, estimators, members, replicates
from scorepath.statistics import squared_bias
from scorepath.store.files import write_rows
from scorepath.store.paths import point_path

if TYPE_CHECKING:
    from scorepath.study.cells import Plan
    from scorepath.study.sweeps import Sweep


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
    found: dict[str, dict[str, list[np.ndarray]]] = {}
    for number, simulator in enumerate(members(plan.study, own, place)):
        for name, columns in _measured(own, simulator, stream, batches_of(own, number), place.batch_size).items():
            for column, values in columns.items():
                found.setdefault(name, {}).setdefault(column, []).append(values)
    rows: list[dict[str, float | str]] = []
    for name, parts in found.items():
        columns = {column: replicates(own, np.stack(parts[column])) for column in REPLICATES}
        rows.extend(
            {"estimator": name, **{column: float(values[index]) for column, values in columns.items()}}
            for index in range(len(columns["variance"]))
        )
    write_rows(point_path(sweep, point), rows)


def _measured(
    sweep: Sweep, simulator: Simulator, stream: Stream, batches: range, samples: int
) -> dict[str, dict[str, np.ndarray]]:
    """Of each method the columns `REPLICATES`, each (batches,)."""
    methods, environment = estimators(sweep), simulator.environment
    dtype = precision(environment, torch.float32)
    moments = {
        name: sample_batches(method, simulator, stream, batches, samples, dtype) for name, method in methods.items()
    }
    unbiased = [name for name, method in methods.items() if method.unbiased(environment)]
    found = {}
    for name, method in methods.items():
        means = moments[name].means
        variance = sample_variances(method, simulator, moments[name])
        biases = torch.zeros_like(variance)
        if name not in unbiased and unbiased:
            biases = _squared_bias([means - moments[other].means for other in unbiased])
        found[name] = {
            "variance": variance,
            # E|mean|^2 is the squared mean gradient and the variance of the mean
            "second_moment": variance * (1 - 1 / samples) + means.square().sum(-1),
            "squared_bias": biases,
            # a square below 0 is none; that it is not known better is left in the limits
            "squared_error": variance / samples + biases - biases.mean().clamp(max=0.0),
            "flat_batches": (moments[name].zeros == samples).double(),
        }
    return {name: {key: own.double().numpy() for key, own in columns.items()} for name, columns in found.items()}


def _squared_bias(errors: Sequence[Tensor]) -> Tensor:
    """Pseudo-values of a squared bias, (batches,), by the most precise of unbiased witnesses, of the same batches."""
    return squared_bias(min(errors, key=lambda each: each.var(0).sum().nan_to_num(math.inf).item())).pseudo_values
