"""An estimator's batches: how many are simulated at a time is a matter of memory, not of numbers."""

from __future__ import annotations

import pytest
import torch
from tests.helpers.problems import estimator, simulator

from scorepath.environments.lqr import LQR
from scorepath.measurement import reduce_chunk, sample_batches
from scorepath.noise import Stream


def test_simulating_in_parts_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Statistics of many batches are those of each batch alone: a chunk is a matter of memory, not of numbers."""
    environment, stream = LQR(horizon=3), Stream(1, "test", "parts")
    start = simulator(environment)
    whole = sample_batches(estimator("state_value_baseline"), start, stream, range(6), 8, torch.float64)
    monkeypatch.setattr("scorepath.measurement.TRAJECTORIES_AT_ONCE", 16)
    parts = sample_batches(estimator("state_value_baseline"), start, stream, range(6), 8, torch.float64)
    for field in ("means", "trace_variances", "squared_deviations"):
        torch.testing.assert_close(getattr(whole, field), getattr(parts, field), rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_equal_samples_have_no_variance_below_zero(dtype: torch.dtype) -> None:
    """What rounding leaves of the difference of two equal squares has either sign."""
    generator = torch.Generator().manual_seed(3)
    rows = torch.rand(256, 1, 32, generator=generator).to(dtype) * 0.4
    found = reduce_chunk(rows.expand(256, 64, 32).contiguous())
    assert (found.squared_deviations >= 0).all()
    assert (found.trace_variances >= 0).all()
    assert found.trace_variances.max() < 1e-10
