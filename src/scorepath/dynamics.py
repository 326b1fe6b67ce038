"""An environment's observation and step, and their vector-Jacobian products, compiled where its code can be.

They are recorded once (`scorepath.kernels.recording`) and become loops over rows, in place of a pass over memory, or
several, for each operation of torch. Which environments have them depends on what their code does: only operations that
the recording knows, and enough of them to be worth it. Where a loop meets what is not finite torch does that call, and
decides. Torch has all of it where a graph of the whole rollout is asked for, on a CUDA device, and where an environment
brings its own Jacobians.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from scorepath.engine import KINDS, cache_folder
from scorepath.environments.base import Environment
from scorepath.kernels.recording import Recorded, arguments, expressions, gradients

LEAST_OPERATIONS = 200
"""Of torch, in one trajectory's steps: what fewer would gain is less than recording takes, a few milliseconds."""
Function = Callable[..., Sequence[Tensor]]
_recording = threading.Lock()


@dataclass(frozen=True)
class Rows:
    """A compiled function of tensors (..., width). Where a width is 0, an argument or result is (...,)."""

    function: Function
    kernel: Callable[..., int]
    engine: Any
    constants: np.ndarray
    dtype: torch.dtype
    results: tuple[int, ...]

    def __call__(self, *given: Tensor) -> Any:
        leading = given[0].shape[:-1]
        rows = [
            each.contiguous() for each in given if each.dtype == self.dtype and each.shape[: len(leading)] == leading
        ]
        results = [given[0].new_empty((*leading, width) if width else leading) for width in self.results]
        places = [each.data_ptr() for each in (*rows, *results)]
        if len(rows) < len(given) or self.kernel(leading.numel(), self.constants.ctypes.data, *places):
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


def dynamics(environment: Environment, like: Tensor) -> Dynamics | None:
    """Those of an environment, for tensors of this kind; None where torch does it."""
    if like.device.type != "cpu" or like.dtype not in KINDS or not like.numel() or environment.brings_jacobians:
        return None
    try:
        return _dynamics(environment, like.dtype)
    except TypeError:  # a user's environment with a field that cannot be looked up
        return None


@cache
def _dynamics(environment: Environment, dtype: torch.dtype) -> Dynamics | None:
    state, widths = (
        environment.state_dim,
        (environment.state_dim, environment.action_dim, environment.process_noise_dim),
    )
    observe = lambda state: [environment.observe(state)]  # noqa: E731
    with _recording, torch.enable_grad():
        try:
            before = Recorded.calls
            environment.step(*arguments(widths, dtype))
            if (Recorded.calls - before) * environment.horizon < LEAST_OPERATIONS:
                return None
            return Dynamics(
                *_rows(observe, (state,), 1, (environment.observation_dim,), dtype),
                *_rows(environment.step, widths, 2, (state, 0), dtype),
            )
        except Exception:  # whatever anybody's code does when it is given no numbers
            return None


def _rows(
    function: Function, widths: tuple[int, ...], leaves: int, results: tuple[int, ...], dtype: torch.dtype
) -> tuple[Rows, Rows]:
    """A function and its vector-Jacobian product by its first arguments."""
    from scorepath.kernels.rows import compiled, source

    given, signals = arguments(widths, dtype), arguments([width or None for width in results], dtype, len(widths))
    found = [expressions(each) for each in function(*given)]
    assert [each.shape for each in found] == [each.shape for each in signals]
    flat, weights = (
        np.concatenate([each.ravel() for each in some]) for some in (found, [s.expressions for s in signals])
    )
    back = gradients(flat, weights, [each.expressions for each in given[:leaves]])

    def rows(
        function: Function, arguments: Sequence[int], outputs: Sequence[np.ndarray], widths: tuple[int, ...]
    ) -> Rows:
        text, constants = source(arguments, outputs, dtype == torch.float32)
        return Rows(function, *compiled(text, cache_folder()), constants, dtype, widths)

    return (
        rows(function, widths, found, results),
        rows(partial(_vjp, function, leaves, len(widths)), (*widths, *results), back, widths[:leaves]),
    )


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
