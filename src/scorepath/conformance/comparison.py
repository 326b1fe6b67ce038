"""The one statistical check: do independent block means of an estimator average to a known vector?

**False alarms.** For K columns of M independent block means, column k is compared by Student's t with M - 1 degrees
of freedom at the two-sided level `alpha` / K, so a true hypothesis is rejected with probability at most `alpha`
(Bonferroni), if block means are normal. They are nearly: every block averages hundreds to thousands of samples. What
is left is skewness. To leading order the tail of a t statistic beyond z is wrong by the factor exp(g z^3 / 3) (the
cubic term of Cramer's expansion for self-normalised sums), g being the skewness of the mean of all blocks, that is the
skewness of one block over sqrt(M). With `alpha` below FALSE_ALARMS = 1e-6 there is room for a factor of
FALSE_ALARMS / alpha: the rate is at most 1e-6 per comparison while g <= 3 ln(FALSE_ALARMS / alpha) / z^3, which is
0.035 at alpha = 1e-7 and M = 128, and 0.08 at alpha = 1e-9 and M = 256. g is estimated from the blocks themselves and
has to be below that bound plus three of its own standard errors, sqrt(6) / M; otherwise nothing can be said.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

FALSE_ALARMS = 1e-6
ALPHA = 1e-7
ROUNDING = 1e-10
"""Relative error granted to float64 arithmetic, which matters only for estimates without variance."""


@dataclass(frozen=True)
class Comparison:
    """Distances of K means from what they should be, in standard errors, and how far is too far."""

    distances: Tensor  # (K,)
    threshold: float
    skewness: float  # of the mean of all blocks, the largest over the columns
    most_skewed: float  # up to which the rate of false alarms is as stated

    @property
    def agrees(self) -> bool:
        return bool((self.distances.abs() <= self.threshold).all())

    @property
    def decides(self) -> bool:
        return self.skewness <= self.most_skewed

    def __str__(self) -> str:
        rounded = [round(distance, 2) for distance in self.distances.tolist()]
        return (
            f"distances {rounded} standard errors, threshold {self.threshold:.2f}, "
            f"skewness {self.skewness:.4f} of at most {self.most_skewed:.4f}"
        )


def compare(blocks: Tensor, expected: Tensor, scale: float = 1.0, alpha: float = ALPHA) -> Comparison:
    """Compare `scale` × the mean of block means (M, K) with the expected values (K,).

    Raises:
        ValueError: with fewer than 100 blocks Student's t is not to be trusted this far out.
    """
    from scipy import stats  # here, because planning imports this package and scipy takes its time

    count, columns = blocks.shape
    if count < 100:
        raise ValueError(f"a comparison needs at least 100 blocks, got {count}")
    blocks = scale * blocks.double()
    rounding = ROUNDING * expected.abs().clamp_min(1.0)
    deviations = blocks - blocks.mean(0)
    spread = deviations.square().mean(0).sqrt()
    varies = spread > rounding
    cubes = (deviations**3).mean(0) / torch.where(varies, spread, torch.ones_like(spread)) ** 3
    skewness = torch.where(varies, cubes, torch.zeros_like(cubes)).abs().max().item() / count**0.5
    threshold = float(stats.t.isf(alpha / (2 * columns), count - 1))
    most_skewed = 3 * math.log(FALSE_ALARMS / alpha) / threshold**3 + 3 * 6**0.5 / count
    standard_error = (blocks.var(0) / count + rounding.square()).sqrt()
    return Comparison((blocks.mean(0) - expected) / standard_error, threshold, skewness, most_skewed)


def in_blocks(values: Tensor, blocks: int) -> Tensor:
    """Means of consecutive rows (batches, K), so that `blocks` of them are left: (blocks, K)."""
    return values.unflatten(0, (blocks, -1)).mean(1)
