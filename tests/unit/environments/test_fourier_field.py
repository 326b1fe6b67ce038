"""Random fields: variance one and the stated correlation length.

Fixed seeds give means that must lie within 5.5 standard errors, at most 4e-8 false alarms for a normal mean.
"""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from scorepath.environments.fourier_field import FourierField

FIELDS = 1000


@pytest.mark.parametrize("dimension", [1, 3])
def test_random_fields_have_variance_one_and_the_stated_correlation_length(dimension: int) -> None:
    """Ensemble means: of `f(0)^2`, `f(0) f(r)` at `r = l`, and of what makes second moments cross at `sigma = l`.

    Those are `sigma^2 E|SF|^2 / D = 1` and `l^2 E|PW|^2 / D = 1` per sample, without baseline, in every dimension.
    """
    length, sigma = 0.4, 0.7
    generator = torch.Generator().manual_seed(1)
    expected = torch.tensor([1.0, math.exp(-1 / 2), 1.0, 1.0], dtype=torch.float64)
    rows = []
    for seed in range(FIELDS):
        field = FourierField(dimension=dimension, correlation_length=length, waves=2, field_seed=seed)
        pair = torch.zeros(2, dimension, dtype=torch.float64)
        pair[1, 0] = length
        eps = torch.randn(16, dimension, generator=generator, dtype=torch.float64)
        action = torch.cat([pair, sigma * eps]).requires_grad_()
        _, values = field.step(action[:, :1], action, action[:, :0])
        (slopes,) = torch.autograd.grad(values.sum(), action)
        (here, there), sampled = values[:2].tolist(), values[2:].detach()
        score = (sampled[:, None] * eps).square().mean().item()
        pathwise = (length * slopes[2:]).square().mean().item()
        rows.append([here**2, here * there, score, pathwise])
    table = torch.tensor(rows, dtype=torch.float64)
    standard_errors = table.std(0) / FIELDS**0.5
    assert ((table.mean(0) - expected).abs() < 5.5 * standard_errors).all(), (table.mean(0), standard_errors)
    assert standard_errors.max() < 0.05


def test_a_field_is_its_seed_and_scales_with_its_length() -> None:
    action = torch.linspace(-1, 1, 9, dtype=torch.float64).unsqueeze(-1)

    def values(**knobs: Any) -> Tensor:
        field = FourierField(dimension=1, waves=6, **{"correlation_length": 1.0, **knobs})
        return field.step(action, action, action[:, :0])[1]

    torch.testing.assert_close(values(), values())
    assert (values(field_seed=1) - values()).abs().max() > 0.1
    stretched = FourierField(dimension=1, waves=6, correlation_length=3.0)
    torch.testing.assert_close(stretched.step(action, 3 * action, action[:, :0])[1], values())
