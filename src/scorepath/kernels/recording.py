"""What a function of rows computes, written down: torch operations as expressions of single numbers, and derivatives.

The function is called once, with one row of tensors that hold expressions beside their shape. Whatever else it does
with them than the operations of `RULES` ends the recording: asking for a number, writing in place, differentiation of
its own. At kinks the derivatives are torch's: `where` passes a signal to the side that was taken.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor


class Unknown(Exception):
    """The function does what cannot be recorded."""


@dataclass(frozen=True, eq=False)
class Expression:
    """An operation on expressions and literals; `input` has the numbers of an argument and of its column."""

    operation: str
    arguments: tuple[Any, ...]
    order: int = field(default_factory=count().__next__)
    """Later than that of its arguments."""

    @property
    def is_truth(self) -> bool:
        """Whether it is a boolean, not a number."""
        return self.operation in (">", ">=", "<", "<=", "==", "!=", "and", "or")


def in_order(outputs: Sequence[Any]) -> list[Expression]:
    """All expressions that these are made of, arguments first."""
    found: dict[int, Expression] = {}
    waiting = list(outputs)
    while waiting:
        now = waiting.pop()
        if isinstance(now, Expression) and now.order not in found:
            found[now.order] = now
            waiting += now.arguments
    return [found[order] for order in sorted(found)]


# --- operations on arrays of expressions ------------------------------------------------------------------------------


def _each(operation: str, arguments: int) -> Callable[..., Any]:
    """An operation number by number."""
    return np.frompyfunc(lambda *each: Expression(operation, each), arguments, 1)


neg, sin, cos, exp, sqrt, tanh, floor, stop = (
    _each(name, 1) for name in ("neg", "sin", "cos", "exp", "sqrt", "tanh", "floor", "stop")
)
add, sub, mul, div = (_each(name, 2) for name in ("add", "sub", "mul", "div"))
gt, ge, lt, le, eq, ne = (_each(name, 2) for name in (">", ">=", "<", "<=", "==", "!="))
both, either, fma, where = _each("and", 2), _each("or", 2), _each("fma", 3), _each("where", 3)


def _sum(x: np.ndarray, dim: Any = None, keepdim: bool = False) -> Any:
    axes = range(x.ndim) if dim is None else [dim] if isinstance(dim, int) else dim
    for axis in sorted((axis % x.ndim for axis in axes), reverse=True):
        x = add.reduce(x, axis, keepdims=keepdim)  # type: ignore[attr-defined]
    return x


def _matmul(a: np.ndarray, b: np.ndarray) -> Any:
    if b.ndim == 1:
        return _sum(mul(a, b), -1)
    return _sum(mul(a[..., :, None], b), -2)


def _power(x: Any, power: Any) -> Any:
    if power not in (1, 2, 3):
        raise Unknown(f"power {power}")
    return {1: x, 2: mul(x, x), 3: mul(mul(x, x), x)}[power]


def _index(x: np.ndarray, index: Any) -> Any:
    return np.asarray(x, dtype=object)[index]


def _clamp(x: Any, min: Any = None, max: Any = None) -> Any:
    x = x if min is None else where(lt(x, min), min, x)
    return x if max is None else where(gt(x, max), max, x)


def _hardtanh(x: Any, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> Any:
    return where(le(x, min_val), min_val, where(ge(x, max_val), max_val, x))


def _extreme(better: Callable[..., Any]) -> Callable[..., Any]:
    """The larger or smaller; where they are equal, or one is no number, half a signal goes to each."""
    return lambda a, b: where(better(a, b), a, where(better(b, a), b, fma(b, 0.5, mul(a, 0.5))))


def _abs(x: Any) -> Any:
    return where(gt(x, 0.0), x, where(lt(x, 0.0), neg(x), mul(x, 0.0)))


def _to(x: np.ndarray, kind: Any) -> Any:
    kind = kind if isinstance(kind, torch.dtype) else None  # else another tensor, whose type has been looked at
    is_truth = all(isinstance(each, Expression) and each.is_truth for each in x.flat)
    return where(x, 1.0, 0.0) if is_truth and kind != torch.bool else x


def _reversed(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda a, b: function(b, a)


RULES: dict[str, Callable[..., Any]] = {
    "add": lambda a, b, alpha=1: add(a, b) if alpha == 1 else fma(b, alpha, a),
    "sub": lambda a, b, alpha=1: sub(a, b) if alpha == 1 else fma(b, -alpha, a),
    "rsub": lambda a, b, alpha=1: sub(b, a) if alpha == 1 else fma(a, -alpha, b),
    "addcmul": lambda a, b, c, value=1: fma(b if value == 1 else mul(b, value), c, a),
    "lerp": lambda a, b, weight: fma(weight, sub(b, a), a),
    "mul": mul, "div": div, "true_divide": div, "__rsub__": _reversed(sub), "__rdiv__": _reversed(div),
    "reciprocal": lambda x: div(1.0, x), "neg": neg, "square": lambda x: mul(x, x), "pow": _power,
    "sin": sin, "cos": cos, "exp": exp, "sqrt": sqrt, "tanh": tanh, "floor": floor, "abs": _abs,
    "remainder": lambda a, b: sub(a, mul(b, floor(div(a, b)))), "detach": stop, "clone": lambda x: x,
    "relu": lambda x, inplace=False: where(le(x, 0.0), 0.0, x), "hardtanh": _hardtanh,
    "clamp": _clamp, "clamp_min": _clamp, "clamp_max": lambda x, max: _clamp(x, None, max),
    "maximum": _extreme(gt), "minimum": _extreme(lt), "where": where,
    "gt": gt, "ge": ge, "lt": lt, "le": le, "eq": eq, "ne": ne, "logical_and": both, "__and__": both,
    "logical_or": either, "__or__": either, "to": _to,
    "sum": _sum, "mean": lambda x, dim: div(_sum(x, dim), float(x.shape[dim])), "matmul": _matmul,
    "__getitem__": _index, "stack": lambda xs, dim=0: np.stack(xs, dim),
    "cat": lambda xs, dim=0: np.concatenate(xs, dim),
    "unbind": lambda x, dim=0: list(np.moveaxis(x, dim, 0)),
    "unsqueeze": lambda x, dim: np.expand_dims(x, dim), "squeeze": lambda x, dim: np.squeeze(x, dim),
    "expand_as": lambda x, y: np.broadcast_to(x, y.shape),
    "reshape": lambda x, *shape: x.reshape(*shape),
}  # fmt: skip
FACTS = ("shape", "dtype", "device", "ndim", "dim", "size", "new_tensor", "new_zeros", "zeros_like", "ones_like")
"""What may be asked of a tensor without asking for its numbers."""


class Recorded(Tensor):
    """A tensor with the expression of each of its numbers, whose own numbers mean nothing."""

    expressions: np.ndarray
    calls: ClassVar[int] = 0
    """Operations recorded so far."""

    @classmethod
    def __torch_function__(cls, function: Any, kinds: Any, arguments: Any = (), options: Any = None) -> Any:
        name = function.__self__.__name__ if function.__name__ == "__get__" else function.__name__
        options = options or {}
        if name in FACTS or (name == "to" and not isinstance(arguments[0], Recorded)):
            with torch._C.DisableTorchFunctionSubclass():
                return function(*arguments, **options)
        if name not in RULES or not torch.is_grad_enabled():  # without a graph: a derivative of its own
            raise Unknown(name)
        given = [*arguments, *options.values()]
        tensors = [each for one in given for each in (one if isinstance(one, (tuple, list)) else [one])]
        tensors = [each for each in tensors if isinstance(each, Tensor)]
        wanted = next((each for each in given if isinstance(each, torch.dtype)), None)
        floats = [each.dtype for each in tensors if each.dtype.is_floating_point and (each.dim() or len(tensors) == 1)]
        number = floats[0] if floats else wanted or torch.get_default_dtype()
        if set(floats) - {number} or wanted not in (None, number, torch.bool):
            raise Unknown(f"{name} of several types")
        Recorded.calls += 1
        result = RULES[name](*map(expressions, arguments), **{key: expressions(each) for key, each in options.items()})
        return [recorded(each, number) for each in result] if name == "unbind" else recorded(result, number)


def recorded(cells: Any, number: torch.dtype) -> Recorded:
    """A tensor of these expressions."""
    cells = np.asarray(cells, dtype=object)
    truth = all(isinstance(each, bool) or (isinstance(each, Expression) and each.is_truth) for each in cells.flat)
    with torch._C.DisableTorchFunctionSubclass():
        tensor = torch.zeros(cells.shape, dtype=torch.bool if truth and cells.size else number)
        tensor = tensor.as_subclass(Recorded)
    tensor.expressions = cells
    return tensor


def expressions(argument: Any) -> Any:
    """Those of a tensor, or the literals that a constant one holds; anything else as it is."""
    if isinstance(argument, (tuple, list)):
        return type(argument)(map(expressions, argument))
    if isinstance(argument, Recorded):
        return argument.expressions
    return np.asarray(argument.tolist(), dtype=object) if isinstance(argument, Tensor) else argument


def arguments(widths: Sequence[int | None], dtype: torch.dtype, first: int = 0) -> list[Recorded]:
    """Tensors of one row, of which this is the first by number; None stands for a number alone."""
    made = []
    for number, width in enumerate(widths, first):
        cells = [Expression("input", (number, column)) for column in range(1 if width is None else width)]
        row = np.array([*cells, None], dtype=object)[:-1]
        made.append(recorded(row if width is None else row[None], dtype))
    return made


# --- differentiation --------------------------------------------------------------------------------------------------

Back = Callable[..., Sequence[Any]]
BACK: dict[str, Back] = {
    "add": lambda g, y, a, b: (g, g),
    "sub": lambda g, y, a, b: (g, neg(g)),
    "mul": lambda g, y, a, b: (mul(g, b), mul(g, a)),
    "div": lambda g, y, a, b: (div(g, b), neg(mul(g, div(y, b)))),
    "fma": lambda g, y, a, b, c: (mul(g, b), mul(g, a), g),
    "neg": lambda g, y, x: (neg(g),),
    "sin": lambda g, y, x: (mul(g, cos(x)),),
    "cos": lambda g, y, x: (neg(mul(g, sin(x))),),
    "exp": lambda g, y, x: (mul(g, y),),
    "sqrt": lambda g, y, x: (div(g, mul(y, 2.0)),),
    "tanh": lambda g, y, x: (mul(g, sub(1.0, mul(y, y))),),
    "where": lambda g, y, c, a, b: (None, where(c, g, 0.0), where(c, 0.0, g)),
}
"""Signals on an operation's arguments, from that on its result y; what is not here lets none through."""


def gradients(outputs: np.ndarray, signals: np.ndarray, leaves: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Those of the outputs' sum weighted by signals; 0 where nothing depends."""
    found: dict[int, Any] = {}

    def arrive(at: Any, signal: Any) -> None:
        if isinstance(at, Expression) and signal is not None:
            found[at.order] = add(found[at.order], signal) if at.order in found else signal

    for output, signal in zip(outputs, signals, strict=True):
        arrive(output, signal)
    for each in reversed(in_order(outputs.tolist())):
        if each.order in found and each.operation in BACK:
            for at, signal in zip(
                each.arguments, BACK[each.operation](found[each.order], each, *each.arguments), strict=True
            ):
                arrive(at, signal)
    return [np.array([found.get(each.order, 0.0) for each in leaf.flat], dtype=object) for leaf in leaves]
