"""The one test that everything in this folder rests on: `scorepath.conformance.comparison` states its error rates.

All seeds are fixed: a test that passes once passes always, on machines that round alike.
"""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from scorepath.conformance import comparison

torch.set_num_threads(1)


def compare(blocks: Tensor, expected: Tensor, scale: float = 1.0, alpha: float = comparison.ALPHA):
    """Compare `scale` × the mean of block means (M, K) with the expected values (K,); refuses what decides nothing."""
    found = comparison.compare(blocks, expected, scale, alpha)
    assert found.decides, f"block means too skewed for the stated error rate: {found}"
    return found


@pytest.fixture(name="compare", scope="session")
def compare_fixture():
    return compare


@pytest.fixture(name="in_blocks", scope="session")
def in_blocks_fixture():
    return comparison.in_blocks
