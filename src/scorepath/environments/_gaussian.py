"""Expectations of piecewise linear payoffs of one normal variable; without noise they are the payoffs themselves."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def expected_step(x: Tensor, deviation: float = 0.0) -> Tensor:
    """`E 1[x + deviation * eps >= 0] = Phi(x / deviation)`, eps standard normal."""
    if deviation > 0:
        return torch.special.ndtr(x / deviation)
    # the zero term keeps x in the autograd graph, with derivative 0
    return (x >= 0).to(x.dtype) + 0 * x


def expected_hinge(x: Tensor, deviation: float = 0.0) -> Tensor:
    """`E max(x + deviation * eps, 0) = deviation (z Phi(z) + phi(z))` with `z = x / deviation`."""
    if deviation == 0:
        return torch.relu(x)
    z = x / deviation
    density = torch.exp(-z.square() / 2) / math.sqrt(2 * math.pi)
    return deviation * (z * torch.special.ndtr(z) + density)


def expected_ramp(x: Tensor, width: float, deviation: float = 0.0) -> Tensor:
    """The same for the linear rise from 0 to 1 over an interval of this width around 0: a difference of two hinges."""
    if deviation == 0:
        return (x / width + 0.5).clamp(0, 1)
    return (expected_hinge(x + width / 2, deviation) - expected_hinge(x - width / 2, deviation)) / width
