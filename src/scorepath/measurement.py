"""An estimator measured: many independent training batches at one policy, reduced to a few numbers of each batch.

Every interval, paired or not, is formed from these numbers later. All estimators see the same random numbers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from scorepath.environments.base import Environment
from scorepath.estimators.base import Estimator
from scorepath.moments import BatchMoments, concatenate, reduce_chunk
from scorepath.noise import Noise, Stream
from scorepath.pullback import Gradients
from scorepath.rollout import Simulator, Trajectories
from scorepath.statistics import squared_bias
from scorepath.tails import Tail, tail_of

TRAJECTORIES_AT_ONCE = 2048
"""Trajectories simulated at a time; fixed, so that results do not depend on the machine."""
TINY = 1e-6
"""A spread below this share of an error's square is rounding itself: nothing rests on it."""
PAST_BATCHES = 4
"""How many training batches of earlier trajectories a fitted critic sees, per batch: its pilot, which is charged."""
ROUNDING = 0.02
"""What rounding may do to a batch's spread, or to its mean, relative to what an error consists of: half of what chance
does to the variance of 4096 normal samples (4.4 %, at 95 %)."""


def precision(environment: Environment, wanted: torch.dtype) -> torch.dtype:
    """What to measure an environment in: as wanted, unless it computes in float64 anyway."""
    return torch.float64 if environment.steps_in_float64 else wanted


def parts_of_batches(batches: int, samples: int) -> Iterator[slice]:
    """Slices of as many batches as are simulated at a time: at most `TRAJECTORIES_AT_ONCE`, or one batch."""
    step = max(1, TRAJECTORIES_AT_ONCE // samples)
    for start in range(0, batches, step):
        yield slice(start, min(start + step, batches))


def sample_batches(
    estimator: Estimator,
    simulator: Simulator,
    stream: Stream,
    batches: Sequence[int],
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
        parts.append(reduce(estimator.gradients(simulator, noise, past)))
    return concatenate(parts)


def reduce(gradients: Iterable[Tensor]) -> BatchMoments:
    """What is kept of an estimator's per-trajectory gradients: chunks (some batches, N, P), or still to be formed."""
    if isinstance(gradients, Gradients):
        return gradients.moments()
    return concatenate(map(reduce_chunk, gradients))


def pilot(simulator: Simulator, noise: Noise) -> Trajectories:
    """Independent earlier trajectories of the same policy, several batches of them for each batch."""
    earlier = replace(noise.independent("past"), samples=PAST_BATCHES * noise.samples)
    return simulator.rollout(earlier.rollout, keep_hidden=False)


def sample_variances(estimator: Estimator, simulator: Simulator, found: BatchMoments) -> Tensor:
    """N × the variance of a batch's mean, as far as each batch tells: (batches,), whose mean is unbiased for it.

    Independent samples: their spread within the batch. Given a past that all of them have learnt from they are
    independent too; if the past shifts no expectation, the law of total variance adds nothing to the mean spread
    within. Where samples leave each other out (`leaves_one_out`), two of them have covariance
    `tr Cov(q_12, q_21) / (N - 1)^2`, q_ij being what sample i is beside j alone: the mean spread within falls short by
    N times that. For whole returns, `q_ij = (R_i - R_j) S_i`, the trace is exactly the squared mean gradient; for
    rewards to go it is of that size, and the term is N^-1 of it. Elsewhere batches are compared with each other.
    """
    batches, samples = found.squared_deviations.shape
    shifted = estimator.needs_past and not (simulator.sigma > 0 and estimator.unbiased(simulator.environment))
    if estimator.leaves_one_out and not shifted:
        share = samples / (samples - 1) ** 2
        # |mean|^2 is the squared mean gradient and the variance of the mean, 1 / N of what is sought
        return (found.trace_variances + share * found.means.square().sum(-1)) / (1 + share / samples)
    if estimator.couples_samples or shifted:
        centred = found.means - found.means.mean(0)
        return samples * centred.square().sum(-1) * batches / (batches - 1)
    return found.trace_variances


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
    | variance | of one sample; N × that of a batch's mean where a batch's samples interact | (batches,) |
    | cosine_similarity | of the estimate with the reference; 0 where the reference is zero | (batches,) |
    | nonfinite_fraction, zero_fraction | share of samples | (batches,) |
    | squared_error | squared distance of the estimate from the mean of the reference's | (batches,) |
    | error_spread, error_along, error_roundness | how the mean error spreads: see `SquaredNorm` | scalar |
    | tail | of all samples' squared deviations from their batch's mean | |
    | bits | of the rollouts' floating-point numbers: 64 also where 32 were asked for and spoil the result | scalar |
    | float32_relative_error | of the first batch in float32; 0 where float64 was asked for | scalar |
    """

    means: np.ndarray
    squared_bias: np.ndarray
    projection: np.ndarray
    variance: np.ndarray
    cosine_similarity: np.ndarray
    nonfinite_fraction: np.ndarray
    zero_fraction: np.ndarray
    squared_error: np.ndarray
    error_spread: float
    error_along: float
    error_roundness: float
    tail: Tail
    bits: int
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
        dtype: of the rollouts; moments are float64. Where single precision spoils them (`ROUNDING`; seen in the first
            batch and the one with the largest spread) everything is measured in double precision.

    Raises:
        ValueError: with fewer than three batches.
    """
    found = sample_batches(estimator, simulator, stream, range(batches), batch_size, dtype)
    error, bits = 0.0, 64
    if dtype == torch.float32:
        checked = [0, int(found.trace_variances.nan_to_num(nan=torch.inf).argmax())]
        precise = sample_batches(estimator, simulator, stream, checked, batch_size, torch.float64)
        error = _relative_error(found.means[0], precise.means[0])
        bits = 32
        if _spoilt(found.select(checked), precise):
            found, bits = sample_batches(estimator, simulator, stream, range(batches), batch_size, torch.float64), 64
    variances = sample_variances(estimator, simulator, found)
    direction = reference.mean(0)
    norm = direction.norm()
    along = found.means @ direction / norm if norm > 0 else torch.zeros(len(found.means))
    bias = squared_bias(found.means - reference)
    return BatchStatistics(
        means=found.means.numpy(),
        squared_bias=bias.pseudo_values.numpy(),
        projection=along.numpy(),
        variance=variances.numpy(),
        cosine_similarity=(along / found.means.norm(dim=-1)).nan_to_num(0.0).numpy(),
        nonfinite_fraction=found.nonfinite.numpy() / batch_size,
        zero_fraction=found.zeros.numpy() / batch_size,
        squared_error=(found.means - direction).square().sum(-1).numpy(),
        error_spread=bias.spread,
        error_along=bias.along,
        error_roundness=bias.roundness,
        tail=tail_of(found.squared_deviations),
        bits=bits,
        float32_relative_error=error,
    )


def _relative_error(rounded: Tensor, precise: Tensor) -> float:
    gap, length = (rounded - precise).norm().item(), precise.norm().item()
    return gap / length if length > 0 else gap


def _spoilt(single: BatchMoments, double: BatchMoments) -> bool:
    """Whether single precision changes what an error is made of in any of these batches, where double is finite."""
    samples = single.squared_deviations.shape[1]
    moved = (single.means - double.means).square().sum(-1)
    size = double.means.square().sum(-1) + double.trace_variances / samples
    same = (single.trace_variances - double.trace_variances).abs() <= ROUNDING * double.trace_variances + TINY * size
    same &= moved <= ROUNDING**2 * size
    return bool((size.isfinite() & ~same).any())
