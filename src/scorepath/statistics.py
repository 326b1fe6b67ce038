"""Statistics of gradient estimates: squared bias, variance, noise-to-signal, mean squared error, intervals, verdicts.

Everything starts from independent batches of trajectories, each reduced to its mean gradient and its trace variance.
Per-batch contributions average to the statistic: `scorepath.intervals` makes its interval of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class SquaredNorm:
    """An unbiased estimate of `|E error|^2` and how the mean error spreads: what `squared_norm_limits` needs.

    | field | meaning | shape |
    |---|---|---|
    | pseudo_values | the jackknife's, which average to the estimate | (batches,) |
    | spread | trace of the covariance of the mean error | scalar |
    | along | variance of the mean error in its own direction | scalar |
    | roundness | trace of the square of that covariance | scalar |
    """

    pseudo_values: Tensor
    spread: float
    along: float
    roundness: float

    @property
    def estimate(self) -> float:
        """Mean of the pseudo-values: the U-statistic itself. It can be negative."""
        return self.pseudo_values.mean().item()

    @property
    def standard_error(self) -> float:
        """The jackknife's."""
        return (self.pseudo_values.std() / len(self.pseudo_values) ** 0.5).item()


def squared_bias(errors: Tensor) -> SquaredNorm:
    """`||E error||^2` from independent errors (batches, P): the all-pairs U-statistic and its jackknife pseudo-values.

    `U = sum_{b != c} <e_b, e_c> / (M (M - 1))`, because products of different batches carry no noise of their own.
    The jackknife pseudo-values of a U-statistic average to it exactly (Arvesen 1969).

    Raises:
        ValueError: with fewer than three batches there is no interval.
    """
    batches = len(errors)
    if batches < 3:
        raise ValueError(f"a squared bias needs at least 3 independent batches, got {batches}")
    total = errors.sum(0)
    own = errors.square().sum(-1)
    pairs = total.square().sum() - own.sum()
    with_batch = 2 * (errors @ total - own)  # pairs that contain batch b, both orders
    everything = pairs / (batches * (batches - 1))
    without_batch = (pairs - with_batch) / ((batches - 1) * (batches - 2))
    return SquaredNorm(batches * everything - (batches - 1) * without_batch, *_spread(errors))


def _spread(errors: Tensor) -> tuple[float, float, float]:
    """Trace of the covariance C of the mean error, its variance in its own direction, and trace of C^2."""
    batches = len(errors)
    mean = errors.mean(0)
    centred = errors - mean
    products = centred @ centred.T
    trace = (products.trace() / (batches - 1)).item()
    length = mean.norm()
    along = ((centred @ mean / length).square().sum() / (batches - 1)).item() if length > 0 else trace
    # products of different batches have mean -trace / M, for their mean was subtracted, and carry no fourth moments
    squares = (products + trace / batches).square()
    roundness = ((squares.sum() - squares.trace()) / (batches * (batches - 1)) * (1 + 2 / batches)).item()
    return trace / batches, along / batches, min(roundness, trace * trace) / batches**2


def limits(draws: np.ndarray) -> tuple[Any, Any]:
    """The percentile bootstrap's 95 % limits of a statistic, (...), from its values in resampled data.

    Args:
        draws: (resamples, ...).
    """
    low, high = np.quantile(draws, [0.025, 0.975], axis=0)
    return low, high


def bootstrap_indices(count: int, resamples: int, generator: np.random.Generator) -> np.ndarray:
    """Which members are drawn in each resample, (resamples, count)."""
    return generator.integers(count, size=(resamples, count))


def interquartile_mean(values: np.ndarray) -> np.ndarray:
    """Mean of the middle half along the last axis; the outermost members count in part where n / 4 is no integer."""
    ordered = np.sort(values, axis=-1)
    count = ordered.shape[-1]
    edges = np.clip(np.arange(count + 1), count / 4, 3 * count / 4)
    weights = np.diff(edges)
    return np.asarray((ordered * weights).sum(-1) / weights.sum())
