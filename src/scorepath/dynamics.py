"""An environment's observation and step, and their vector-Jacobian products, compiled where its code can be.

They are recorded once (`scorepath.kernels.recording`) and become loops over rows, in place of a pass over memory, or
several, for each operation of torch. Which environments have them depends on what their code does: only operations that
the recording knows, and enough of them to be worth it. Where a loop meets what is not finite torch does that call, and
decides. A recording holds for what its environment did then: somebody else's is asked before each use, at a few places
and by torch, whether it still does that, and is recorded anew where it does not. Torch has all of it where a graph of
the whole rollout is asked for, on a CUDA device, and where an environment brings its own Jacobians.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from scorepath.engine import KINDS, cache_folder
from scorepath.environments.base import Environment
from scorepath.kernels.recording import Recorded, Unknown, arguments, expressions, gradients

LEAST_OPERATIONS = 200
"""Of torch, in one trajectory's steps: what fewer would gain is less than recording takes, a few milliseconds."""
PLACES = 64
"""At which an environment is asked what it does."""
OWN = "scorepath."
Function = Callable[..., Sequence[Tensor]]
Widths = tuple[int | None, ...]
_recording = threading.Lock()
_alone: ContextVar[bool] = ContextVar("_alone", default=False)


@dataclass(frozen=True)
class Rows:
    """A compiled function of tensors (..., width), or (...,) where the width is None."""

    function: Function
    kernel: Callable[..., int]
    engine: Any
    constants: np.ndarray
    dtype: torch.dtype
    widths: Widths
    results: Widths

    def __call__(self, *given: Tensor) -> Any:
        """One tensor, or a list of several."""
        leading = given[0].shape[:-1]
        count = leading.numel()
        # the loop would read whatever lies there
        fits = all(
            each.dtype == self.dtype and each.numel() == count * (1 if width is None else width)
            for each, width in zip(given, self.widths, strict=True)
        )
        rows = [each.contiguous() for each in given]
        results = [given[0].new_empty(leading if width is None else (*leading, width)) for width in self.results]
        places = [each.data_ptr() for each in (*rows, *results)]
        if not fits or self.kernel(count, self.constants.ctypes.data, *places):
            results = list(self.function(*given))
        return results[0] if len(results) == 1 else results


@dataclass(frozen=True)
class Dynamics:
    """What a rollout and backpropagation through it ask of an environment.

    | function | arguments | results |
    |---|---|---|
    | observe | state | observation |
    | observe_vjp | state; signal on the observation | signal on the state |
    | step | state, action, process noise | next state, reward |
    | step_vjp | the same; signals on next state and reward | signals on state and action |
    """

    observe: Rows
    observe_vjp: Rows
    step: Rows
    step_vjp: Rows


@contextmanager
def torch_alone() -> Iterator[None]:
    """Meanwhile torch does everything: where two of its own ways are compared, to rounding that chaos amplifies."""
    before = _alone.set(True)
    try:
        yield
    finally:
        _alone.reset(before)


def dynamics(environment: Environment, like: Tensor) -> Dynamics | None:
    """Those of an environment, for tensors of this kind; None where torch does it."""
    if _alone.get():
        return None
    if like.device.type != "cpu" or like.dtype not in KINDS or not like.numel() or environment.brings_jacobians:
        return None
    try:
        return _dynamics(environment, like.dtype, _conduct(environment, like.dtype))
    except Exception:  # such as a field that cannot be looked up, or code that refuses these places
        return None


def _conduct(environment: Environment, dtype: torch.dtype) -> bytes:
    """What it does at a few places, by torch: this changes with whatever its code reads besides its fields.

    Attributes, lists, globals, weights. Scorepath's own environments read their fields alone, and are not asked.
    """
    if type(environment).__module__.startswith(OWN):
        return b""
    generator, sizes = torch.Generator().manual_seed(0), torch.logspace(-2, 2, PLACES, dtype=dtype)[:, None]
    widths = environment.state_dim, environment.action_dim, environment.process_noise_dim
    state, action, noise = (sizes * torch.randn(PLACES, width, generator=generator, dtype=dtype) for width in widths)
    with torch.no_grad():
        results = environment.observe(state.clone()), *environment.step(state, action, noise)
    return b"".join(each.numpy().tobytes() for each in results)


@lru_cache(1024)
def _dynamics(environment: Environment, dtype: torch.dtype, conduct: bytes) -> Dynamics | None:
    if _conduct(environment, dtype) != conduct:  # it draws random numbers, or remembers
        return None
    state, action, noise = environment.state_dim, environment.action_dim, environment.process_noise_dim

    def observe(state: Tensor) -> Sequence[Tensor]:
        return [environment.observe(state)]

    with _recording, torch.enable_grad():
        try:
            before = Recorded.calls
            step = _Recording(environment.step, (state, action, noise), 2, (state, None), dtype)
            if (Recorded.calls - before) * environment.horizon < LEAST_OPERATIONS:
                return None
            observed = _Recording(observe, (state,), 1, (environment.observation_dim,), dtype)
            return Dynamics(observed.forwards(), observed.backwards(), step.forwards(), step.backwards())
        except Exception:  # whatever anybody's code does when it is given no numbers
            return None


class _Recording:
    """A function as expressions, to be differentiated by its first arguments, `leaves` in number."""

    def __init__(self, function: Function, widths: Widths, leaves: int, results: Widths, dtype: torch.dtype) -> None:
        self.function, self.widths, self.leaves, self.results, self.dtype = function, widths, leaves, results, dtype
        self.given = arguments(widths, dtype)
        self.found = [expressions(each) for each in function(*self.given)]

    def forwards(self) -> Rows:
        """The function."""
        return self._rows(self.function, self.widths, self.found, self.results)

    def backwards(self) -> Rows:
        """Its vector-Jacobian product: the function's arguments and a signal on each result."""
        signals = [each.expressions for each in arguments(self.results, self.dtype, len(self.widths))]
        if [each.shape for each in signals] != [each.shape for each in self.found]:
            raise Unknown("results of other widths than are declared")
        outputs, weights = (np.concatenate([each.ravel() for each in some]) for some in (self.found, signals))
        found = gradients(outputs, weights, [each.expressions for each in self.given[: self.leaves]])
        by_torch = partial(_vjp, self.function, self.leaves, len(self.widths))
        return self._rows(by_torch, (*self.widths, *self.results), found, self.widths[: self.leaves])

    def _rows(self, function: Function, widths: Widths, outputs: Sequence[np.ndarray], results: Widths) -> Rows:
        from scorepath.kernels.rows import compiled, source

        text, constants = source(widths, outputs, self.dtype == torch.float32)
        return Rows(function, *compiled(text, cache_folder()), constants, self.dtype, widths, results)


def _vjp(function: Function, leaves: int, count: int, *given: Tensor) -> Sequence[Tensor]:
    """The same by torch."""
    at = [each.detach().requires_grad_() for each in given[:leaves]]
    with torch.enable_grad():
        pairs = zip(function(*at, *given[leaves:count]), given[count:], strict=True)
        used = [(result, signal) for result, signal in pairs if result.requires_grad]
        if not used:
            return [torch.zeros_like(each) for each in at]
        results, signals = zip(*used, strict=True)
        return torch.autograd.grad(results, at, signals, materialize_grads=True)
