"""Statistics of gradient estimates: squared bias, variance, noise-to-signal, mean squared error, intervals, verdicts.

Everything starts from independent batches of trajectories, each reduced to its mean gradient and its trace variance.
Per-batch contributions average to the statistic, so that a paired bootstrap over batches gives every interval.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class SquaredNorm:
    """An unbiased estimate of a squared norm, with the per-batch pseudo-values behind its interval."""

    pseudo_values: Tensor  # (batches,)

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
    return SquaredNorm(batches * everything - (batches - 1) * without_batch)


def interval(values: np.ndarray, draws: np.ndarray) -> tuple[float, float, float]:
    """Mean of per-batch values with its bootstrap 95 % limits.

    Args:
        values: (batches,) contributions whose mean is the statistic.
        draws: (resamples, batches) resampling weights that sum to one, from `bootstrap_weights`.
    """
    if not np.all(np.isfinite(values)):
        return (float("nan") if np.any(np.isnan(values)) else float("inf"),) * 3
    low, high = limits(draws @ values)
    return float(values.mean()), float(low), float(high)


COLUMNS_AT_ONCE = 500
"""Of many statistics, so many are resampled at a time: 8 MB at 2,000 resamples."""


def intervals(values: np.ndarray, draws: np.ndarray) -> np.ndarray:
    """`interval` of many statistics at once, with the same resamples: (columns, 3).

    Args:
        values: (columns, batches) contributions, a row for each statistic.
        draws: (resamples, batches), as there.
    """
    found = np.empty((len(values), 3))
    for start in range(0, len(values), COLUMNS_AT_ONCE):
        part = values[start : start + COLUMNS_AT_ONCE]
        finite = np.isfinite(part).all(1)
        rest = np.where(np.isnan(part).any(1), math.nan, math.inf)
        rows = np.repeat(rest[:, None], 3, axis=1)
        rows[finite, 0] = part[finite].mean(1)
        rows[finite, 1:] = np.quantile(part[finite] @ draws.T, [0.025, 0.975], axis=1).T
        found[start : start + COLUMNS_AT_ONCE] = rows
    return found


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


def bootstrap_weights(batches: int, resamples: int, generator: np.random.Generator) -> np.ndarray:
    """How often each batch is drawn in each resample, divided by the number of batches: (resamples, batches)."""
    return generator.multinomial(batches, np.full(batches, 1 / batches), size=resamples) / batches


def interquartile_mean(values: np.ndarray) -> np.ndarray:
    """Mean of the middle half along the last axis; the outermost members count in part where n / 4 is no integer."""
    ordered = np.sort(values, axis=-1)
    count = ordered.shape[-1]
    edges = np.clip(np.arange(count + 1), count / 4, 3 * count / 4)
    weights = np.diff(edges)
    return np.asarray((ordered * weights).sum(-1) / weights.sum())


def tail_share(contributions: Tensor, fraction: float = 0.01) -> float:
    """Share of the summed contributions that the largest `fraction` of the samples hold; 0.01 would be even."""
    largest = max(1, round(fraction * contributions.numel()))
    total = contributions.sum()
    return (contributions.flatten().topk(largest).values.sum() / total).item() if total > 0 else 0.0


def two_sided_p(draws: np.ndarray) -> float:
    """Bootstrap p-value for the hypothesis that the statistic is zero, consistent with the percentile interval.

    It cannot fall below 2 / (resamples + 1); the step-up of a false-discovery correction copes with that as long as
    many comparisons are clear, or few are made.
    """
    beyond = min(np.count_nonzero(draws <= 0), np.count_nonzero(draws >= 0))
    return min(1.0, 2 * (1 + beyond) / (len(draws) + 1))
