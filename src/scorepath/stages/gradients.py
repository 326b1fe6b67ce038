"""One cell's gradient statistics: an estimator measured at every checkpoint, one row per checkpoint and batch.

A row's column `block` numbers the batch. Batches of one cell and those of the environment's other estimators are the
same random numbers.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import torch

from scorepath.measurement import batch_statistics, precision
from scorepath.noise import Stream
from scorepath.rollout import Simulator
from scorepath.stages._instances import make_environment, make_estimator
from scorepath.stages._references import load_policies, load_reference
from scorepath.store.files import write_rows
from scorepath.store.paths import cell_path

if TYPE_CHECKING:
    from scorepath.study.cells import Plan

OF_BATCHES = (
    "squared_bias", "projection", "variance", "squared_error", "cosine_similarity", "nonfinite_fraction",
    "zero_fraction",
)  # fmt: skip
OF_ALL_SAMPLES = ("error_spread", "error_along", "error_roundness", "bits", "float32_relative_error")


def gradients(plan: Plan, environment: str, estimator: str, sigma: float) -> None:
    """Measure one cell's gradient statistics."""
    study = plan.study
    plan.running_cell("gradients", environment, estimator, sigma)
    instance, policy = make_environment(study.environments[environment])
    method = make_estimator(study.estimators[estimator])
    reference = load_reference(environment, sigma)
    settings = study.gradients_of(environment)
    rows: list[dict[str, float | int]] = []
    for index, parameters in enumerate(load_policies(environment).parameters):
        found = batch_statistics(
            method,
            Simulator(instance, policy, parameters, sigma),
            reference.gradients[index],
            Stream(study.seed, environment, f"gradients/{index}"),
            settings.batches,
            settings.batch_size,
            precision(instance, getattr(torch, settings.dtype)),
        )
        shared = {name: getattr(found, name) for name in OF_ALL_SAMPLES}
        shared |= {f"tail_{name}": value for name, value in asdict(found.tail).items()}
        for batch in range(settings.batches):
            own = {name: getattr(found, name)[batch].item() for name in OF_BATCHES}
            rows.append({"checkpoint": study.references.return_gaps[index], "block": batch, **own, **shared})
    write_rows(cell_path("gradients", environment, estimator, sigma), rows)
