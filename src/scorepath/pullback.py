"""From action signals to gradients: one batched pull-back through the policy, in chunks.

Per-trajectory gradients are what variances are made of, but `samples x parameters` numbers are never held at once:
the generator below hands them out a few batches at a time.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from scorepath.rollout import Trajectories

CHUNK_ELEMENTS = 2_000_000
"""Gradient entries (trajectories x parameters) and layer entries (rows x width) formed at a time; fixed, because
floating-point sums depend on it and results must not depend on the machine's size."""


def chunks_of_batches(batches: int, entries_per_batch: int) -> Iterator[slice]:
    """Slices of the batch axis of at most `CHUNK_ELEMENTS` entries, and of one batch at least."""
    step = max(1, CHUNK_ELEMENTS // max(1, entries_per_batch))
    for start in range(0, batches, step):
        yield slice(start, min(start + step, batches))


def batch_parameters(parameters: Tensor, batches: slice) -> Tensor:
    """The parameters that belong to some of the batches, whether all share one policy or each has its own."""
    return parameters if parameters.dim() == 1 else parameters[batches]


def per_trajectory_gradients(trajectories: Trajectories, signal: Tensor) -> Iterator[Tensor]:
    """Gradients of single trajectories, `g = sum_t J_mu(o_t)^T delta_t`, as chunks (some batches, samples, P)."""
    simulator = trajectories.simulator
    parameters = simulator.parameters.to(signal)
    batches, samples, horizon = signal.shape[:3]
    per_batch = samples * max(simulator.policy.parameter_count, horizon * 64)
    with torch.no_grad():
        for chunk in chunks_of_batches(batches, per_batch):
            yield simulator.policy.pull_back(
                batch_parameters(parameters, chunk), trajectories.observations[chunk], signal[chunk]
            )


def mean_gradients(trajectories: Trajectories, signal: Tensor) -> Tensor:
    """The mean gradient of each batch, (batches, P)."""
    simulator = trajectories.simulator
    parameters = simulator.parameters.to(signal)
    with torch.no_grad():
        return simulator.policy.pull_back_mean(parameters, trajectories.observations, signal)


def trace_variances(trajectories: Trajectories, signal: Tensor) -> Tensor:
    """Trace of the sample covariance of the per-trajectory gradients within each batch, (batches,) in float64."""
    return torch.cat([
        chunk.double().var(dim=1).sum(-1) for chunk in per_trajectory_gradients(trajectories, signal)
    ])
