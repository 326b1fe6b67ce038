"""From action signals to gradients: one batched pull-back (vector-Jacobian product) through the policy, in chunks.

Per-trajectory gradients are what variances are made of, but `samples x parameters` numbers are never held at once:
the generator below hands them out a few batches at a time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from scorepath.engine import Engine, engine
from scorepath.moments import BatchMoments, batch_moments, concatenate, reduce_chunk
from scorepath.rollout import Trajectories

CHUNK_ELEMENTS = 1_200_000
"""Gradient entries (trajectories x parameters) and layer entries (rows x width) formed at a time; fixed, because
floating-point sums depend on it and results must not depend on the machine's size."""
LAYER_WIDTH = 64
"""Layer entries counted per row, whatever the policy's width."""


@dataclass(frozen=True)
class Gradients(Iterable[Tensor]):
    """The gradients of single trajectories, formed a few batches at a time by whoever asks for them.

    The signal is (batches, samples, horizon, output_dim).
    """

    trajectories: Trajectories
    signal: Tensor

    def __iter__(self) -> Iterator[Tensor]:
        """As chunks (some batches, samples, P)."""
        policy = self.trajectories.simulator.policy
        if not (compiled := _compiled(self.trajectories, self.signal)):
            for chunk in _chunks(self.trajectories, self.signal, policy.parameter_count):
                yield policy.pull_back(*chunk)
            return
        observations, signal = _rows(self.trajectories, self.signal)
        batches, samples = signal.shape[:2]
        for some in chunks_of_batches(batches, samples * policy.parameter_count):
            yield compiled.select(some).gradients(observations[some], signal[some])

    def moments(self) -> BatchMoments:
        """What is kept of them."""
        if not (compiled := _compiled(self.trajectories, self.signal)):
            return concatenate(map(reduce_chunk, self))
        return batch_moments(*compiled.moments(*_rows(self.trajectories, self.signal)))


def chunks_of_batches(batches: int, entries_per_batch: int) -> Iterator[slice]:
    """Slices of the batch axis of at most `CHUNK_ELEMENTS` entries, and of one batch at least."""
    step = max(1, CHUNK_ELEMENTS // max(1, entries_per_batch))
    for start in range(0, batches, step):
        yield slice(start, min(start + step, batches))


def per_trajectory_gradients(trajectories: Trajectories, signal: Tensor) -> Gradients:
    """Gradients of single trajectories, `g = sum_t J_mu(o_t)^T delta_t`, as chunks (some batches, samples, P)."""
    return Gradients(trajectories, signal)


def mean_gradients(trajectories: Trajectories, signal: Tensor) -> Tensor:
    """The mean gradient of each batch, (batches, P)."""
    policy = trajectories.simulator.policy
    if compiled := _compiled(trajectories, signal):
        return compiled.mean_gradients(*_rows(trajectories, signal))
    return torch.cat([policy.pull_back_mean(*chunk) for chunk in _chunks(trajectories, signal, 0)])


def unit_signals(trajectories: Trajectories, coordinate: int) -> list[Tensor]:
    """Every layer's signal of 1 on one coordinate of the policy's output, each (batches, samples, horizon, width)."""
    simulator = trajectories.simulator
    observations = trajectories.observations
    signal = observations.new_zeros(*observations.shape[:3], simulator.policy.output_dim)
    signal[..., coordinate] = 1
    parameters = simulator.parameters.detach().to(signal)
    return simulator.policy.layer_signals(parameters, trajectories.layer_inputs, signal)


def _chunks(
    trajectories: Trajectories, signal: Tensor, entries_per_sample: int
) -> Iterator[tuple[Tensor, list[Tensor], list[Tensor]]]:
    """Some batches at a time, the policy's parameters, the inputs of its layers and the signals on their outputs.

    The numbers have the signal's dtype.
    """
    signal = _while_active(trajectories, signal)
    simulator = trajectories.simulator
    batches, samples, horizon = signal.shape[:3]
    for chunk in chunks_of_batches(batches, samples * max(entries_per_sample, horizon * LAYER_WIDTH)):
        inputs = [each[chunk].to(signal) for each in trajectories.layer_inputs]
        parameters = simulator.select(chunk).parameters.detach().to(signal)
        yield parameters, inputs, simulator.policy.layer_signals(parameters, inputs, signal[chunk])


def _while_active(trajectories: Trajectories, signal: Tensor) -> Tensor:
    """The signal without what is on actions after an episode's end.

    Raises:
        ValueError: for one that is not as wide as the policy's output.
    """
    width = trajectories.simulator.policy.output_dim
    if signal.shape[-1] != width:
        raise ValueError(
            f"the signal is {signal.shape[-1]} wide, but the policy's output {width}: Trajectories.through_action() "
            "makes one of a signal on the action, or the estimator declares needs_fixed_std"
        )
    return signal if trajectories.active is None else torch.where(trajectories.active[..., None], signal, 0.0)


def _rows(trajectories: Trajectories, signal: Tensor) -> tuple[Tensor, Tensor]:
    """Observations in the signal's dtype, and the signal on them."""
    return trajectories.observations.detach().to(signal), _while_active(trajectories, signal).detach()


def _compiled(trajectories: Trajectories, signal: Tensor) -> Engine | None:
    simulator = trajectories.simulator
    return engine(simulator.policy, simulator.parameters.detach().to(signal))


def trace_variances(trajectories: Trajectories, signal: Tensor) -> Tensor:
    """Trace of the sample covariance of the per-trajectory gradients within each batch, (batches,) in float64."""
    return per_trajectory_gradients(trajectories, signal).moments().trace_variances.to(signal.device)


def step_trace_variances(trajectories: Trajectories, signal: Tensor, first: int = 0) -> Tensor:
    """The same for each step's own term `J_mu(o_t)^T delta_t`, (batches, steps) in float64.

    The signal is on the steps `first`, `first + 1` and so on: (batches, samples, steps, output_dim).
    """
    samples, steps = signal.shape[1:3]
    window = slice(first, first + steps)
    trajectories = replace(
        trajectories,
        observations=trajectories.observations[:, :, window],
        hidden=[each[:, :, window] for each in trajectories.hidden],
        active=None if trajectories.active is None else trajectories.active[:, :, window],
    )
    policy = trajectories.simulator.policy
    if compiled := _compiled(trajectories, signal.double()):
        return compiled.step_trace_variances(*_rows(trajectories, signal.double()))
    # one mean per step and batch, of P entries, is all that is formed
    chunks = _chunks(trajectories, signal.double(), steps * policy.parameter_count // samples)
    return torch.cat([policy.step_trace_variances(*chunk) for chunk in chunks])
