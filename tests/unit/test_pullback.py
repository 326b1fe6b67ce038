"""From an action signal to gradients in chunks: a matter of memory, not of numbers."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from tests.helpers.comparisons import assert_close
from tests.helpers.layer_inputs import layer_inputs
from tests.helpers.problems import MATRIX_LQR, estimator, noise, randn, simulator

from scorepath import pullback
from scorepath.environments.lqr import LQR


@pytest.mark.parametrize("method", ["pathwise", "leave_one_out", "evolution_strategies", "inverse_variance"])
def test_chunks_are_bounded_and_change_nothing(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    environment = LQR(horizon=3)
    found, draws, batches, samples = estimator(method), noise(environment, 7, 4), 7, 4
    start = simulator(environment, kind="mlp", batches=batches)
    whole = list(found.gradients(start, draws))
    assert len(whole) == 1
    for limit in (1, 3 * samples * start.policy.parameter_count):
        monkeypatch.setattr(pullback, "CHUNK_ELEMENTS", limit)
        chunks = list(found.gradients(start, draws))
        assert len(chunks) > 1
        # within the limit, or a single batch, which is never divided
        assert all(chunk.numel() <= limit or len(chunk) == 1 for chunk in chunks)
        torch.testing.assert_close(torch.cat(chunks), whole[0], rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("entries", [0, 1, 1999, 2_000_000, 2_000_001, 10**9])
@pytest.mark.parametrize("batches", [1, 5, 4097])
def test_chunks_cover_every_batch_once(batches: int, entries: int) -> None:
    slices = list(pullback.chunks_of_batches(batches, entries))
    assert [b for chunk in slices for b in range(batches)[chunk]] == list(range(batches))
    assert all(
        (chunk.stop - chunk.start) * entries <= pullback.CHUNK_ELEMENTS or chunk.stop - chunk.start == 1
        for chunk in slices
    )


@pytest.mark.parametrize("kind", ["open_loop", "mlp"])
def test_variances_of_some_steps_in_chunks(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A signal on steps 1 and 2 alone, of episodes that end, in one chunk or in many."""
    start = simulator(MATRIX_LQR, kind=kind, batches=3)
    trajectories = start.rollout(noise(MATRIX_LQR, samples=5).rollout)
    active = torch.arange(4) < torch.tensor([4, 1, 3, 2, 4])[:, None]
    trajectories = replace(trajectories, active=active.expand(3, -1, -1))
    signal = randn(3, 5, 2, 2, seed=3)
    ended = signal * active[:, 1:3, None]
    inputs = layer_inputs(start.policy, start.parameters, trajectories.observations[:, :, 1:3])
    signals = start.policy.layer_signals(start.parameters, inputs, ended)
    expected = start.policy.step_trace_variances(start.parameters, inputs, signals)
    assert_close(pullback.step_trace_variances(trajectories, signal, 1), expected)
    monkeypatch.setattr(pullback, "CHUNK_ELEMENTS", 1)
    assert_close(pullback.step_trace_variances(trajectories, signal, 1), expected)
