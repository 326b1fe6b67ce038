"""The engine behind rollout and pull-back: which policies have compiled kernels, and how these are called.

A `Network` with hidden layers of tanh goes through `scorepath.kernels` on the CPU. Open-loop and linear policies have
no activations that these would spare; they, other activations, a learned standard deviation, a user's own module, and
what lies on a CUDA device go through torch. Which it is depends on the policy, never on the machine: results differ in
rounding.

Kernels are compiled once and kept on disk, for the processor and the sources that they were compiled for: in the folder
`scorepath` of the user's cache ($XDG_CACHE_HOME or ~/.cache), or of the temporary files where that cannot be written;
else each process compiles its own. Batches are shared out among threads whole, so that their number changes nothing.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from scorepath.policies import Network, Policy

ROWS_OF_A_THREAD = 1024
"""A thread of its own takes a tenth of a millisecond, the time of a few hundred rows."""


@dataclass(frozen=True)
class Engine:
    """A network's kernels with parameters made ready for them.

    | symbol | tensor | shape |
    |---|---|---|
    | x | observations | (batches, samples, T, observation_dim) |
    | delta | signal on the policy's output | (batches, samples, T, action_dim) |
    """

    sizes: tuple[int, ...]
    parameters: np.ndarray
    """(1, P), or (batches, P) where each batch has its own."""
    transposed: np.ndarray
    layout: np.ndarray
    working_memory: int
    kernels: Any

    def select(self, batches: slice) -> Engine:
        """With the policies of some of the batches, if each has its own."""
        if len(self.parameters) == 1:
            return self
        return replace(self, parameters=self.parameters[batches], transposed=self.transposed[batches])

    def step(self, observation: Tensor, derivative: bool) -> tuple[Tensor, Tensor | None]:
        """The policy's output for observations (batches, samples, observation_dim), and its derivative if wanted.

        Returns:
            (batches, samples, action_dim) and (batches, samples, action_dim, observation_dim).
        """
        inputs, outputs, leading = self.sizes[0], self.sizes[-1], observation.shape[:-1]
        mean = observation.new_empty(*leading, outputs)
        slope = observation.new_empty(*leading, outputs, inputs) if derivative else None
        rows = (-1, leading[-1]) if len(self.parameters) > 1 else (1, -1)
        x = observation.detach().contiguous().numpy().reshape(*rows, inputs)
        means = mean.numpy().reshape(*x.shape[:2], outputs)
        slopes = np.empty((0, 0, 0, 0), x.dtype) if slope is None else slope.numpy().reshape(*means.shape, inputs)

        def part(batches: slice, samples: slice = slice(None)) -> None:
            of = (batches, samples)
            self.kernels.policy_step(
                self.parameters[batches], self.transposed[batches], self.layout, x[of], self.working_memory,
                means[of], slopes[of] if derivative else slopes,
            )  # fmt: skip

        if len(x) == 1:
            in_threads(x.shape[1], lambda samples: part(slice(None), samples), ROWS_OF_A_THREAD)
        else:
            in_threads(len(x), part, ROWS_OF_A_THREAD // x.shape[1] + 1)
        return mean, slope

    def gradients(self, x: Tensor, delta: Tensor) -> Tensor:
        """The gradient of each trajectory, (batches, samples, P)."""
        found = delta.new_empty(*delta.shape[:2], self.parameters.shape[1])
        rows, signals, gradients = x.contiguous().numpy(), delta.contiguous().numpy(), found.numpy()

        def part(batches: slice) -> None:
            self._pull(batches, rows, signals, gradients[batches])

        in_threads(len(signals), part)
        return found

    def mean_gradients(self, x: Tensor, delta: Tensor) -> Tensor:
        """The mean of each batch, (batches, P): its trajectories end to end are one long one."""
        ends = self.gradients(x.flatten(1, 2).unsqueeze(1), delta.flatten(1, 2).unsqueeze(1))
        return ends.squeeze(1) / delta.shape[1]

    def moments(self, x: Tensor, delta: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """What is kept of `gradients`, which are formed one batch at a time.

        Returns:
            Means (batches, P) and squared distances from them (batches, samples), both float64; how many gradients of
            each batch are not finite, and how many exactly zero, (batches,).
        """
        batches, samples = delta.shape[:2]
        count = self.parameters.shape[1]
        rows, signals = x.contiguous().numpy(), delta.contiguous().numpy()
        means, distances = np.empty((batches, count)), np.empty((batches, samples))
        nonfinite, zeros = np.empty(batches, np.int64), np.empty(batches, np.int64)

        def part(some: slice) -> None:
            gradients = np.empty((1, samples, count), signals.dtype)
            room = np.empty((2, count), signals.dtype)
            for b in range(batches)[some]:
                self._pull(slice(b, b + 1), rows, signals, gradients)
                nonfinite[b], zeros[b] = self.kernels.moments(gradients[0], room, means[b], distances[b])

        in_threads(batches, part)
        of = torch.from_numpy
        return of(means), of(distances), of(nonfinite), of(zeros)

    def step_trace_variances(self, x: Tensor, delta: Tensor) -> Tensor:
        """Trace of the sample covariance within each batch of every step's own term: (batches, T), float64."""
        batches, samples, steps = delta.shape[:3]
        # the sum over a batch takes the place of the sum over steps
        rows, signals = (each.transpose(1, 2).contiguous().numpy() for each in (x, delta))
        variances = np.empty((batches, steps))

        def part(some: slice) -> None:
            sums, squares = np.empty((1, steps, self.parameters.shape[1]), signals.dtype), np.empty((1, steps))
            for b in range(batches)[some]:
                self._pull(slice(b, b + 1), rows, signals, sums, squares)
                spread = squares[0] - np.square(sums[0], dtype=np.float64).sum(-1) / samples
                variances[b] = np.where(spread < 0, 0.0, spread) / (samples - 1)  # rounding aside

        in_threads(batches, part)
        return torch.from_numpy(variances)

    def _pull(
        self, batches: slice, x: np.ndarray, delta: np.ndarray, gradients: np.ndarray, squares: np.ndarray | None = None
    ) -> None:
        own = batches if len(self.parameters) > 1 else slice(None)
        squares = np.empty((0, 0)) if squares is None else squares
        self.kernels.pull(
            self.parameters[own], self.transposed[own], self.layout, x[batches], delta[batches], self.working_memory,
            gradients, squares,
        )  # fmt: skip


class Answer(torch.autograd.Function):
    """The policy's output as a function of the observation, for a graph that stops at the actions.

    Backwards it is a product with the derivative, not a pass through the layers: where one of them is not finite, what
    comes out is not finite either, but it need not be the same.
    """

    @staticmethod
    def forward(context: Any, observation: Tensor, compiled: Engine) -> Tensor:
        mean, slope = compiled.step(observation, True)
        context.save_for_backward(slope)
        return mean

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(context: Any, signal: Tensor) -> tuple[Tensor, None]:
        (slope,) = context.saved_tensors
        if signal.shape[-1] == 1:
            return signal * slope[..., 0, :], None
        return (signal.unsqueeze(-2) @ slope).squeeze(-2), None


def engine(policy: Policy, parameters: Tensor, backwards: bool = True) -> Engine | None:
    """The kernels of this policy, in the precision of its parameters, (P,) or (batches, P); None if torch does it.

    Without `backwards` they are ready for outputs alone, sooner where there is a policy per trajectory.
    """
    if type(policy) is not Network or len(policy.sizes) == 2 or policy.activation != "tanh":
        return None
    if parameters.device.type != "cpu" or parameters.dtype not in KINDS:
        return None
    kernels = load(parameters.dtype)
    layout, working_memory = _layout(policy, kernels)
    theta = np.ascontiguousarray(parameters.detach().numpy().reshape(-1, policy.parameter_count))
    transposed = np.empty_like(theta)
    kernels.transpose(theta, layout, 0 if backwards else len(layout) - 1, transposed)
    return Engine(policy.sizes, theta, transposed, layout, working_memory, kernels)


@cache
def _layout(network: Network, kernels: Any) -> tuple[np.ndarray, int]:
    """Where things are, see `scorepath.kernels.network`; and how many numbers of working memory that takes."""
    rows, at, room = [], 0, 0
    for inputs, outputs in pairwise(network.sizes):
        bias = at + inputs * outputs
        rows.append((inputs, outputs, at, bias if network.bias else -1, room, room + kernels.ROWS * outputs))
        at, room = bias + outputs * network.bias, room + 2 * kernels.ROWS * outputs
    return np.array(rows, np.int64), max(room, *network.sizes)


def in_threads(count: int, part: Callable[[slice], None], least: int = 1) -> None:
    """Do all of `count` things, in as many threads as torch may have, of at least so many things each."""
    threads = max(1, min(torch.get_num_threads(), count // least))
    ends = [count * thread // threads for thread in range(threads + 1)]
    if threads == 1:
        part(slice(0, count))
    else:
        list(_pool(threads, os.getpid()).map(part, map(slice, ends[:-1], ends[1:])))  # raises what a part has raised


@cache
def _pool(threads: int, process: int) -> concurrent.futures.ThreadPoolExecutor:
    """Threads that wait for more: a rollout asks at every step. They are this process's, for none survives a fork."""
    return concurrent.futures.ThreadPoolExecutor(threads)


# --- compiled once ----------------------------------------------------------------------------------------------------

KINDS = (torch.float32, torch.float64)


@cache
def load(dtype: torch.dtype) -> Any:
    """The kernels of one float type, from disk or compiled now; one process compiles while others wait for it."""
    kernels, kind = _kernels(), str(dtype).removeprefix("torch.")
    with _alone():
        try:
            kernels.prepare(kind)
        except Exception:  # whatever reading a file raises that a crash of the machine has cut off
            shutil.rmtree(cache_folder() or "", ignore_errors=True)
            kernels.prepare(kind)
    return kernels


@cache
def _kernels() -> Any:
    from numba.core import config

    folder = cache_folder()
    before = config.CACHE_DIR
    config.CACHE_DIR = str(folder or "")
    try:
        from scorepath.kernels import network

        if folder:
            network.keep()
    finally:
        config.CACHE_DIR = before
    return network


@cache
def cache_folder() -> Path | None:
    """Where compiled kernels are kept: a folder of this user alone, that can be written; None if there is none."""
    sources = sorted(Path(__file__).with_name("kernels").glob("*.py"))
    digest = hashlib.sha256(b"\0".join(source.read_bytes() for source in sources)).hexdigest()[:16]
    user = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    for folder in (Path(user) / "scorepath", Path(tempfile.gettempdir()) / f"scorepath-{os.getuid()}"):
        with contextlib.suppress(OSError):
            if not folder.is_absolute():  # nobody's home
                continue
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            own = folder / f"kernels-{digest}"
            own.mkdir(mode=0o700, exist_ok=True)
            # what is read from there is executed
            if folder.stat().st_uid == os.getuid() and not folder.stat().st_mode & 0o022 and os.access(own, os.W_OK):
                return own
    return None


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """Wait until no other process compiles; the lock ends with its process, however that ends."""
    folder = cache_folder()
    with contextlib.ExitStack() as stack:
        if folder:
            with contextlib.suppress(OSError):
                fcntl.flock(stack.enter_context(open(folder / "lock", "w")), fcntl.LOCK_EX)
        yield
