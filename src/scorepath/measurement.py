"""An estimator measured: many independent training batches at one policy, reduced to a few numbers of each batch.

Every interval, paired or not, is formed from these numbers later. All estimators see the same random numbers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from scorepath.environments.base import Environment
from scorepath.estimators.base import Estimator
from scorepath.noise import Noise, Stream
from scorepath.rollout import Simulator, Trajectories
from scorepath.statistics import squared_bias, tail_share

TRAJECTORIES_AT_ONCE = 2048
"""Trajectories simulated at a time; fixed, so that results do not depend on the machine."""
PAST_BATCHES = 4
"""How many training batches of earlier trajectories a fitted critic sees, per batch: its pilot, which is charged."""


@dataclass(frozen=True)
class BatchMoments:
    """What is kept of each batch of N trajectories.

    | field | meaning | shape |
    |---|---|---|
    | means | the batch's gradient estimate | (batches, P), float64 |
    | trace_variances | trace of the sample covariance within the batch | (batches,) |
    | squared_deviations | squared distance of each sample from its batch's mean | (batches, N) |
    | nonfinite, zeros | how many samples are not finite; are exactly zero | (batches,) |
    """

    means: Tensor
    trace_variances: Tensor
    squared_deviations: Tensor
    nonfinite: Tensor
    zeros: Tensor


def reduce_chunk(gradients: Tensor) -> BatchMoments:
    """Reduce per-trajectory gradients (batches, N, P), on any device, to what is kept of them: float64 on the CPU.

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
    squared_deviations = distances - correction.square().sum(-1, keepdim=True)
    if means.isfinite().all():
        nonfinite = torch.zeros_like(means[:, 0], dtype=torch.long)
    else:
        nonfinite = (~gradients.isfinite().all(-1)).sum(-1)
    return BatchMoments(
        means=means.cpu(),
        trace_variances=squared_deviations.sum(-1).cpu() / (gradients.shape[1] - 1),
        squared_deviations=squared_deviations.cpu(),
        nonfinite=nonfinite.cpu(),
        zeros=zero.sum(-1).cpu(),
    )


def concatenate(parts: list[BatchMoments]) -> BatchMoments:
    """Batches one after another."""
    return BatchMoments(
        *(torch.cat([getattr(part, name) for part in parts]) for name in BatchMoments.__dataclass_fields__)
    )


def parts_of_batches(batches: int, samples: int) -> Iterator[slice]:
    """Slices of as many batches as are simulated at a time: at most `TRAJECTORIES_AT_ONCE`, or one batch."""
    step = max(1, TRAJECTORIES_AT_ONCE // samples)
    for start in range(0, batches, step):
        yield slice(start, min(start + step, batches))


def sample_batches(
    estimator: Estimator,
    simulator: Simulator,
    stream: Stream,
    batches: range,
    samples: int,
    dtype: torch.dtype,
    device: str = "cpu",
) -> BatchMoments:
    """Gradient estimates of independent batches, at most `TRAJECTORIES_AT_ONCE` simulated at a time, on any device."""
    parts: list[BatchMoments] = []
    for part in parts_of_batches(len(batches), samples):
        replicates = batches[part]
        noise = Noise(simulator.environment, stream, replicates, samples, dtype, device)
        past = pilot(simulator, noise) if estimator.needs_past else None
        parts.extend(reduce_chunk(chunk) for chunk in estimator.gradients(simulator, noise, past))
    return concatenate(parts)


def pilot(simulator: Simulator, noise: Noise) -> Trajectories:
    """Independent earlier trajectories of the same policy, several batches of them for each batch."""
    earlier = replace(noise.independent("past"), samples=PAST_BATCHES * noise.samples)
    return simulator.rollout(earlier.rollout, keep_hidden=False)


def steps_per_sample(estimator: Estimator, environment: Environment) -> float:
    """Environment steps that a measured sample costs, with its share of the pilot that a fitted critic learns from.

    In training there is no pilot: the past is the batch before, which was paid for when it was used.
    """
    pilot = PAST_BATCHES * environment.horizon if estimator.needs_past else 0
    return estimator.environment_steps(environment) + pilot


@dataclass(frozen=True)
class BatchStatistics:
    """What an estimator is judged by: per batch what averages to a statistic, and two figures of all samples.

    | field | meaning | shape |
    |---|---|---|
    | means | the batch's gradient estimate | (batches, P) |
    | squared_bias | pseudo-values of the squared distance from the reference | (batches,) |
    | projection | the estimate's component along the reference; 0 where that is zero | (batches,) |
    | variance | of one sample; N × that of whole batches where a batch's samples interact | (batches,) |
    | cosine_similarity | of the estimate with the reference; 0 where the reference is zero | (batches,) |
    | nonfinite_fraction, zero_fraction | share of samples | (batches,) |
    | tail_share | of the squared deviations, what the largest hundredth holds | scalar |
    | float32_relative_error | of the first batch, against the same numbers in float64; 0 in float64 | scalar |
    """

    means: np.ndarray
    squared_bias: np.ndarray
    projection: np.ndarray
    variance: np.ndarray
    cosine_similarity: np.ndarray
    nonfinite_fraction: np.ndarray
    zero_fraction: np.ndarray
    tail_share: float
    float32_relative_error: float


def batch_statistics(
    estimator: Estimator,
    simulator: Simulator,
    reference: Tensor,
    stream: Stream,
    batches: int,
    batch_size: int,
    dtype: torch.dtype = torch.float32,
) -> BatchStatistics:
    """Sample independent batches and hold each against a reference gradient.

    Args:
        estimator: any that is applicable.
        simulator: environment, policy, parameters and noise level.
        reference: (1, P) if exact, else one independent estimate for each batch, (batches, P); float64.
        stream: where the random numbers come from.
        batches: at least three.
        batch_size: N, trajectories that one estimate averages.
        dtype: of the rollouts; moments are float64.

    Raises:
        ValueError: with fewer than three batches.
    """
    found = sample_batches(estimator, simulator, stream, range(batches), batch_size, dtype)
    if estimator.couples_samples:
        # samples of a batch talk to each other: the variance is that of whole batches
        centred = found.means - found.means.mean(0)
        variances = batch_size * centred.square().sum(-1) * batches / (batches - 1)
    else:
        variances = found.trace_variances
    direction = reference.mean(0)
    norm = direction.norm()
    along = found.means @ direction / norm if norm > 0 else torch.zeros(len(found.means))
    precise = sample_batches(estimator, simulator, stream, range(1), batch_size, torch.float64).means[0]
    gap = (found.means[0] - precise).norm() if dtype == torch.float32 else torch.zeros(())
    return BatchStatistics(
        means=found.means.numpy(),
        squared_bias=squared_bias(found.means - reference).pseudo_values.numpy(),
        projection=along.numpy(),
        variance=variances.numpy(),
        cosine_similarity=(along / found.means.norm(dim=-1)).nan_to_num(0.0).numpy(),
        nonfinite_fraction=found.nonfinite.numpy() / batch_size,
        zero_fraction=found.zeros.numpy() / batch_size,
        tail_share=tail_share(found.squared_deviations),
        float32_relative_error=(gap / precise.norm()).item() if precise.norm() > 0 else gap.item(),
    )
