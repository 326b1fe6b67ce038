"""The one test that tests/statistical rests on: `scorepath.conformance.comparison` derives its error rates."""

from __future__ import annotations

from torch import Tensor

from scorepath.conformance import comparison
from scorepath.conformance.comparison import Comparison


def compare(blocks: Tensor, expected: Tensor, scale: float = 1.0, alpha: float = comparison.ALPHA) -> Comparison:
    """Compare `scale` × the mean of block means (M, K) with the expected values (K,); refuses what decides nothing."""
    found = comparison.compare(blocks, expected, scale, alpha)
    assert found.decides, f"block means too skewed for the stated error rate: {found}"
    return found
