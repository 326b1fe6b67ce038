"""One cell's gradient statistics: many independent training batches at each checkpoint, reduced to rows per batch.

A cell's file holds one row per checkpoint and block (a batch), so that every interval, paired or not, can be formed
later. Blocks of one cell and those of another environment's estimators are the same random numbers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from scorepath.estimators.base import Estimator
from scorepath.files import write_rows
from scorepath.noise import Noise, Stream
from scorepath.references.store import load_policies, load_reference
from scorepath.registry import make_environment, make_estimator
from scorepath.rollout import Simulator, Trajectories
from scorepath.statistics import squared_bias, tail_share
from scorepath.study import Study, cell_path

ROWS = 2048
"""Trajectories simulated at a time; fixed, so that results do not depend on the machine."""
PAST_BATCHES = 4
"""How many training batches of earlier trajectories a fitted baseline sees, per block."""


@dataclass(frozen=True)
class Blocks:
    """What is kept of each block (batch of N trajectories).

    | field | meaning | shape |
    |---|---|---|
    | means | the batch's gradient estimate | (blocks, P), float64 |
    | spreads | trace of the sample covariance within the batch | (blocks,) |
    | deviations | squared distance of each sample from its batch's mean | (blocks, N) |
    | nonfinite, zeros | how many samples are not finite; are exactly zero | (blocks,) |
    """

    means: Tensor
    spreads: Tensor
    deviations: Tensor
    nonfinite: Tensor
    zeros: Tensor


def reduce_chunk(gradients: Tensor) -> Blocks:
    """Reduce per-trajectory gradients (blocks, N, P), on any device, to what is kept of them: float64 on the CPU.

    Means are taken twice: what the gradients' own precision loses in the first is found in the mean of the differences,
    which are small (Neely 1966). Only sums over parameters are left to that precision.
    """
    zero = gradients[..., -1] == 0  # few rows end in a zero: only those are looked at whole
    zero[zero.clone()] = (gradients[zero] == 0).all(-1)
    centre = gradients.mean(1)
    differences = gradients - centre[:, None]
    correction = differences.mean(1).double()
    means = centre.double() + correction
    distances = torch.linalg.vector_norm(differences, dim=-1).double().square()
    deviations = distances - correction.square().sum(-1, keepdim=True)
    if means.isfinite().all():
        nonfinite = torch.zeros_like(means[:, 0], dtype=torch.long)
    else:
        nonfinite = (~gradients.isfinite().all(-1)).sum(-1)
    return Blocks(
        means=means.cpu(),
        spreads=deviations.sum(-1).cpu() / (gradients.shape[1] - 1),
        deviations=deviations.cpu(),
        nonfinite=nonfinite.cpu(),
        zeros=zero.sum(-1).cpu(),
    )


def concatenate(parts: list[Blocks]) -> Blocks:
    """Blocks one after another."""
    return Blocks(*(torch.cat([getattr(part, name) for part in parts]) for name in Blocks.__dataclass_fields__))


def parts_of_blocks(blocks: int, samples: int) -> Iterator[slice]:
    """Slices of as many blocks as are simulated at a time: at most `ROWS` trajectories, or one block."""
    step = max(1, ROWS // samples)
    for start in range(0, blocks, step):
        yield slice(start, min(start + step, blocks))


def sample_blocks(
    estimator: Estimator,
    simulator: Simulator,
    stream: Stream,
    blocks: range,
    samples: int,
    dtype: torch.dtype,
    device: str = "cpu",
) -> Blocks:
    """Gradient estimates of independent batches, at most `ROWS` trajectories at a time, on any device."""
    parts: list[Blocks] = []
    for part in parts_of_blocks(len(blocks), samples):
        replicates = blocks[part]
        noise = Noise(simulator.environment, stream, replicates, samples, dtype, device)
        past = _past(simulator, noise) if estimator.needs_past else None
        parts.extend(reduce_chunk(chunk) for chunk in estimator.gradients(simulator, noise, past))
    return concatenate(parts)


def _past(simulator: Simulator, noise: Noise) -> Trajectories:
    """Independent earlier trajectories of the same policy, several batches of them for each block."""
    earlier = replace(noise.independent("past"), samples=PAST_BATCHES * noise.samples)
    return simulator.rollout(earlier.rollout, keep_hidden=False)


def checkpoint_rows(
    estimator: Estimator, simulator: Simulator, reference: Tensor, stream: Stream, study: Study
) -> Iterator[dict[str, float | int]]:
    """One row per block at one checkpoint; `reference` is (1 or blocks, P)."""
    settings = study.gradients
    samples = settings.batch_size
    dtype = getattr(torch, settings.dtype)
    found = sample_blocks(estimator, simulator, stream, range(settings.batches), samples, dtype)
    if estimator.couples_samples:
        # samples of a batch talk to each other: the variance is that of whole batches
        centred = found.means - found.means.mean(0)
        variances = samples * centred.square().sum(-1) * settings.batches / (settings.batches - 1)
    else:
        variances = found.spreads
    bias = squared_bias(found.means - reference).pseudo_values
    direction = reference.mean(0)
    norm = direction.norm()
    along = found.means @ direction / norm if norm > 0 else torch.zeros(len(found.means))
    cosine = along / found.means.norm(dim=-1)
    precise = sample_blocks(estimator, simulator, stream, range(1), samples, torch.float64).means[0]
    gap = (found.means[0] - precise).norm() if settings.dtype == "float32" else torch.zeros(())
    shared = {
        "tail_share": tail_share(found.deviations),
        "float32_relative_error": (gap / precise.norm()).item() if precise.norm() > 0 else gap.item(),
    }
    for block in range(settings.batches):
        yield {
            "block": block,
            "squared_bias": bias[block].item(),
            "projection": along[block].item(),
            "variance": variances[block].item(),
            "cosine_similarity": cosine[block].nan_to_num(0.0).item(),
            "nonfinite_fraction": found.nonfinite[block].item() / samples,
            "zero_fraction": found.zeros[block].item() / samples,
            **shared,
        }


def measure_cell(study: Study, environment: str, estimator: str, sigma: float) -> None:
    """Measure one cell at every checkpoint and write its rows."""
    instance, policy = make_environment(study.environments[environment])
    method = make_estimator(study.estimators[estimator])
    reference = load_reference(environment, sigma)
    rows: list[dict[str, float | int]] = []
    for index, parameters in enumerate(load_policies(environment).parameters):
        simulator = Simulator(instance, policy, parameters, sigma)
        stream = Stream(study.seed, environment, f"gradients/{index}")
        for row in checkpoint_rows(method, simulator, reference.gradients[index], stream, study):
            rows.append({"checkpoint": study.references.return_gaps[index], **row})
    write_rows(cell_path("gradients", environment, estimator, sigma), rows)
