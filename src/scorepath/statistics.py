"""Statistics of gradient estimates: squared bias, variance, noise-to-signal, mean squared error, intervals, verdicts.

Everything starts from blocks: independent batches of trajectories, each reduced to its mean gradient and its spread.
Per-block contributions average to the statistic, so that a paired bootstrap over blocks gives every interval.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class SquaredNorm:
    """An unbiased estimate of a squared norm, with the per-block pseudo-values behind its interval."""

    pseudo_values: Tensor  # (blocks,)

    @property
    def estimate(self) -> float:
        """Mean of the pseudo-values: the U-statistic itself. It can be negative."""
        return self.pseudo_values.mean().item()

    @property
    def standard_error(self) -> float:
        """The jackknife's."""
        return (self.pseudo_values.std() / len(self.pseudo_values) ** 0.5).item()


def squared_bias(errors: Tensor) -> SquaredNorm:
    """`||E error||^2` from independent errors (blocks, P): the all-pairs U-statistic and its jackknife pseudo-values.

    `U = sum_{b != c} <e_b, e_c> / (M (M - 1))`, because products of different blocks carry no noise of their own.
    The jackknife pseudo-values of a U-statistic average to it exactly (Arvesen 1969).

    Raises:
        ValueError: with fewer than three blocks there is no interval.
    """
    blocks = len(errors)
    if blocks < 3:
        raise ValueError(f"a squared bias needs at least 3 independent blocks, got {blocks}")
    total = errors.sum(0)
    own = errors.square().sum(-1)
    pairs = total.square().sum() - own.sum()
    with_block = 2 * (errors @ total - own)  # pairs that contain block b, both orders
    everything = pairs / (blocks * (blocks - 1))
    without_block = (pairs - with_block) / ((blocks - 1) * (blocks - 2))
    return SquaredNorm(blocks * everything - (blocks - 1) * without_block)


def null_distance(errors: Tensor) -> float:
    """How far `squared_bias(errors)` lies above zero, in standard errors that hold if the bias is zero.

    If the errors (blocks, P) have mean zero and covariance C, the all-pairs statistic has variance
    `2 tr(C^2) / (M (M - 1))`, and the squared products of different blocks estimate tr(C^2). (The jackknife's own
    standard error is useless there: the statistic is degenerate at zero.)
    """
    blocks = len(errors)
    products = errors @ errors.T
    products = products - torch.diag(products.diag())
    pairs = blocks * (blocks - 1)
    spread = (2 * products.square().sum() / pairs / pairs).sqrt().item()
    return (products.sum() / pairs).item() / spread if spread > 0 else 0.0


def interval(values: np.ndarray, draws: np.ndarray) -> tuple[float, float, float]:
    """Mean of per-block values with its bootstrap 95 % limits.

    Args:
        values: (blocks,) contributions whose mean is the statistic.
        draws: (resamples, blocks) resampling weights that sum to one, from `bootstrap_weights`.
    """
    if not np.all(np.isfinite(values)):
        return (float("nan") if np.any(np.isnan(values)) else float("inf"),) * 3
    low, high = np.quantile(draws @ values, [0.025, 0.975])
    return float(values.mean()), float(low), float(high)


def bootstrap_weights(blocks: int, resamples: int, generator: np.random.Generator) -> np.ndarray:
    """How often each block is drawn in each resample, divided by the number of blocks: (resamples, blocks)."""
    return generator.multinomial(blocks, np.full(blocks, 1 / blocks), size=resamples) / blocks


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
