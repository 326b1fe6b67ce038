"""What tests mean by equal."""

from __future__ import annotations

import torch
from torch import Tensor


def assert_close(found: Tensor, expected: Tensor) -> None:
    """Equal but for rounding in float64."""
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-11)
