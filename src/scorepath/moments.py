"""What is kept of the gradients of a batch's trajectories: their mean, their spread, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


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

    def select(self, batches: Sequence[int]) -> BatchMoments:
        """What is kept of these batches."""
        return BatchMoments(*(getattr(self, name)[list(batches)] for name in BatchMoments.__dataclass_fields__))


def reduce_chunk(gradients: Tensor) -> BatchMoments:
    """Reduce per-trajectory gradients (batches, N, P), on any device, to what is kept of them: float64 on the CPU.

    Means are taken twice: what the gradients' own precision loses in the first is found in the mean of the differences,
    which are small (Neely 1966).
    """
    zero = gradients[..., -1] == 0  # few rows end in a zero: only those are looked at whole
    zero[zero.clone()] = (gradients[zero] == 0).all(-1)
    centre = gradients.mean(1)
    differences = gradients - centre[:, None]
    correction = differences.mean(1).double()
    means = centre.double() + correction
    # in float32, squares of numbers beyond 1e19 or below 1e-19 would be none
    distances = torch.linalg.vector_norm(differences, dim=-1, dtype=torch.float64).square()
    distances -= correction.square().sum(-1, keepdim=True)
    if means.isfinite().all():
        nonfinite = torch.zeros_like(means[:, 0], dtype=torch.long)
    else:
        nonfinite = (~gradients.isfinite().all(-1)).sum(-1)
    return batch_moments(*(each.cpu() for each in (means, distances, nonfinite, zero.sum(-1))))


def batch_moments(means: Tensor, distances: Tensor, nonfinite: Tensor, zeros: Tensor) -> BatchMoments:
    """From means (batches, P) and squared distances from them (batches, N), which rounding may have made negative."""
    squared_deviations = distances.clamp(min=0.0)
    trace_variances = squared_deviations.sum(-1) / (distances.shape[1] - 1)
    return BatchMoments(means, trace_variances, squared_deviations, nonfinite, zeros)


def concatenate(parts: Iterable[BatchMoments]) -> BatchMoments:
    """Batches one after another."""
    columns = zip(*(vars(part).values() for part in parts), strict=True)
    return BatchMoments(*map(torch.cat, columns))
