"""The one test that everything in this folder rests on: do independent block means average to a known vector?

**False alarms.** For K columns of M independent block means, column k is compared by Student's t with M - 1 degrees
of freedom at the two-sided level ALPHA / K, so a true hypothesis is rejected with probability at most ALPHA = 1e-7
(Bonferroni), if block means are normal. They are nearly: every block averages hundreds to thousands of samples. What
is left is skewness. The tail of a t statistic beyond z is wrong by the factor exp(g z^3 / 3) at most (the cubic term
of the Edgeworth and saddle-point expansions of self-normalised sums), g being the skewness of the mean of all blocks,
that is the skewness of one block over sqrt(M). At the thresholds used here (z < 6.3, z^3 / 3 < 84) a skewness
g <= 0.027 costs at most a factor of 10, and so a false-alarm rate of at most 1e-6 per test. The skewness is estimated
from the blocks themselves and has to be below that bound plus three of its own standard errors, sqrt(6) / M.

All seeds are fixed: a test that passes once passes always, on machines that round alike.
"""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
from scipy import stats
from torch import Tensor

torch.set_num_threads(1)

ALPHA = 1e-7
SKEWNESS = 0.027
ROUNDING = 1e-10
"""Relative error granted to float64 arithmetic, which matters only for estimates without variance."""


@dataclass(frozen=True)
class Comparison:
    """Distances of K means from what they should be, in standard errors, and how far is too far."""

    distances: Tensor  # (K,)
    threshold: float
    skewness: float  # of the mean of all blocks, the largest over the columns

    @property
    def agrees(self) -> bool:
        return bool((self.distances.abs() <= self.threshold).all())

    def __str__(self) -> str:
        rounded = [round(distance, 2) for distance in self.distances.tolist()]
        return f"distances {rounded} standard errors, threshold {self.threshold:.2f}, skewness {self.skewness:.4f}"


def compare(blocks: Tensor, expected: Tensor, scale: float = 1.0) -> Comparison:
    """Compare `scale` × the mean of block means (M, K) with the expected values (K,); M must be at least 100."""
    count, columns = blocks.shape
    assert count >= 100, "too few blocks for Student's t to be trusted this far out"
    blocks = scale * blocks.double()
    rounding = ROUNDING * expected.abs().clamp_min(1.0)
    deviations = blocks - blocks.mean(0)
    spread = deviations.square().mean(0).sqrt()
    varies = spread > rounding
    cubes = (deviations**3).mean(0) / torch.where(varies, spread, torch.ones_like(spread)) ** 3
    skewness = torch.where(varies, cubes, torch.zeros_like(cubes)).abs().max().item() / count**0.5
    assert skewness <= SKEWNESS + 3 * 6**0.5 / count, f"block means too skewed for the stated error rate: {skewness}"
    standard_error = (blocks.var(0) / count + rounding.square()).sqrt()
    threshold = float(stats.t.isf(ALPHA / (2 * columns), count - 1))
    return Comparison((blocks.mean(0) - expected) / standard_error, threshold, skewness)


def in_blocks(values: Tensor, blocks: int) -> Tensor:
    """Means of consecutive rows (batches, K), so that `blocks` of them are left: (blocks, K)."""
    return values.unflatten(0, (blocks, -1)).mean(1)


@pytest.fixture(name="compare", scope="session")
def compare_fixture():
    return compare


@pytest.fixture(name="in_blocks", scope="session")
def in_blocks_fixture():
    return in_blocks
