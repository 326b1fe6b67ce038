"""Recorded expressions compiled into a loop over rows, by LLVM, which comes with Numba.

Nothing is reordered or contracted, so a row has the same bytes wherever it lies and however wide a processor's vectors
are. A loop returns 0, or else it met what torch has to decide: a result that is not finite, or an argument beyond the
reach of its own elementary functions. What it has written is then worth nothing.
"""

from __future__ import annotations

import ctypes
import hashlib
import math
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import llvmlite.binding as llvm
import numpy as np
from llvmlite import ir

from scorepath.kernels.recording import Expression, Unknown, in_order

MOST_OPERATIONS = 6_000
"""More take longer to compile than they would save."""
BIT, INTEGER, LONG = ir.IntType(1), ir.IntType(32), ir.IntType(64)
Value = Any


class Row:
    """LLVM's instructions for one row's operations."""

    def __init__(self, builder: Any, number: Any) -> None:
        self.builder, self.number, self.single = builder, number, number == ir.FloatType()
        self.bad: Value = LONG(0)

    def apply(self, operation: str, arguments: Sequence[Value]) -> Value:
        """An operation of `scorepath.kernels.recording`."""
        b = self.builder
        if operation in ("and", "or"):
            return (b.and_ if operation == "and" else b.or_)(*map(self.as_truth, arguments))
        if operation == "where":
            condition, *sides = arguments
            sides = sides if sides[0].type == sides[1].type else [self.as_number(side) for side in sides]
            return b.select(self.as_truth(condition), *sides)
        numbers = [self.as_number(each) for each in arguments]
        match operation:
            case "add" | "sub" | "mul" | "div" | "neg":
                return getattr(b, f"f{operation}")(*numbers)
            case "sin" | "cos":
                return self.sine(numbers[0], int(operation == "cos"))
            case "exp":
                return self.exponential(numbers[0], 0.0)
            case "tanh":
                return self.tanh(*numbers)
            case "stop":
                return numbers[0]
            case "sqrt" | "floor" | "fma":
                return self.call(operation, *numbers)
        return (b.fcmp_unordered if operation == "!=" else b.fcmp_ordered)(operation, *numbers)

    def call(self, name: str, *arguments: Value) -> Value:
        """One of LLVM's own functions."""
        kind = arguments[0].type
        types = ir.FunctionType(kind, [kind] * len(arguments))
        return self.builder.call(self.builder.module.declare_intrinsic(f"llvm.{name}", [kind], types), arguments)

    def as_number(self, x: Value) -> Value:
        return self.builder.uitofp(x, self.number) if x.type == BIT else x

    def as_truth(self, x: Value) -> Value:
        return x if x.type == BIT else self.builder.fcmp_unordered("!=", x, x.type(0.0))

    def leave_to_torch(self, condition: Value) -> None:
        self.bad = self.builder.or_(self.bad, self.builder.zext(condition, LONG))

    def within(self, x: Value, most: float) -> Value:
        """The number, if torch need not decide."""
        inside = self.builder.fcmp_ordered("<=", self.call("fabs", x), x.type(most))
        self.leave_to_torch(self.builder.not_(inside))
        return self.builder.select(inside, x, x.type(0.0))

    def polynomial(self, x: Value, coefficients: Sequence[float]) -> Value:
        """Lowest power first."""
        total = x.type(coefficients[-1])
        for coefficient in coefficients[-2::-1]:
            total = self.call("fma", total, x, x.type(coefficient))
        return total

    def reduced(self, x: Value, period: float, rest: float) -> tuple[Value, Value]:
        """n and `x - n (period + rest)`, at most half a period."""
        n = self.call("rint", self.builder.fmul(x, x.type(1 / period)))
        return n, self.call("fma", n, x.type(-rest), self.call("fma", n, x.type(-period), x))

    def sine(self, x: Value, quarters: int) -> Value:
        """sin(x + quarters pi / 2), by Taylor's polynomials up to pi / 4, in double precision."""
        b, terms = self.builder, 5 if self.single else 8
        x = self.within(x, 2.0**20)
        wide = b.fpext(x, ir.DoubleType()) if self.single else x
        n, r = self.reduced(wide, math.pi / 2, 6.123233995736766e-17)
        square = b.fmul(r, r)
        odd = self.polynomial(square, [(-1) ** k / math.factorial(2 * k + 1) for k in range(1, terms)])
        even = self.polynomial(square, [(-1) ** k / math.factorial(2 * k) for k in range(terms + 1)])
        turn = b.add(b.fptosi(n, INTEGER), INTEGER(quarters))
        value = b.select(b.trunc(turn, BIT), even, self.call("fma", b.fmul(odd, square), r, r))
        value = b.select(b.trunc(b.lshr(turn, INTEGER(1)), BIT), b.fneg(value), value)
        return b.fptrunc(value, self.number) if self.single else value

    def exponential(self, x: Value, less: float) -> Value:
        """exp(x) - less, without cancellation: `2^n exp r` with Taylor's polynomial of exp r."""
        b, most, terms = self.builder, 87.0 if self.single else 708.0, 8 if self.single else 14
        low = b.fcmp_ordered("<", x, x.type(-most))
        x = self.within(b.select(low, x.type(-most), x), most)
        period = 355 / 512 if self.single else math.log(2)  # few digits: n times it is exact
        n, r = self.reduced(x, period, math.log(2) - period if self.single else 2.3190468138462996e-17)
        whole, shift, bias = (INTEGER, 23, 127) if self.single else (LONG, 52, 1023)
        exponent = b.add(b.fptosi(n, whole), whole(bias))
        power = b.bitcast(b.shl(exponent, whole(shift)), self.number)
        tail = self.polynomial(r, [1 / math.factorial(k) for k in range(1, terms)])
        value = self.call("fma", b.fmul(power, r), tail, b.fsub(power, x.type(less)))
        return b.select(low, x.type(-less), value)

    def tanh(self, x: Value) -> Value:
        """`e / (e + 2)` with `e = exp 2x - 1`."""
        b, most = self.builder, x.type(20.0)
        for sign, beyond in ((most, ">"), (b.fneg(most), "<")):
            x = b.select(b.fcmp_ordered(beyond, x, sign), sign, x)
        e = self.exponential(b.fadd(x, x), less=1.0)
        return b.fdiv(e, b.fadd(e, x.type(2.0)))


def source(widths: Sequence[int | None], outputs: Sequence[np.ndarray], single: bool) -> tuple[str, np.ndarray]:
    """LLVM's text of `rows(n, constants, inputs..., outputs...)`, and the constants: all literals but 0 and 1.

    So functions that differ in knobs alone have one text.

    Args:
        widths: of the inputs.
        outputs: expressions of each output's columns.
        single: float32, else float64.

    Raises:
        Unknown: if it were too long.
    """
    number = ir.FloatType() if single else ir.DoubleType()
    columns = [each.ravel().tolist() for each in outputs]
    expressions = in_order([cell for each in columns for cell in each])
    if len(expressions) > MOST_OPERATIONS:
        raise Unknown(f"{len(expressions)} operations")
    pointers = [number.as_pointer()] * (1 + len(widths) + len(columns))
    function = ir.Function(ir.Module("rows"), ir.FunctionType(LONG, [LONG, *pointers]), "rows")
    for argument in function.args[1:]:
        argument.add_attribute("noalias")
    n, constants, *arrays = function.args
    entry, loop, end = (function.append_basic_block(name) for name in ("entry", "loop", "end"))
    before, builder = ir.IRBuilder(entry), ir.IRBuilder(loop)
    at, bad = builder.phi(LONG), builder.phi(LONG)
    row = Row(builder, number)
    literals: dict[float, Value] = {}
    values: dict[int, Value] = {}

    def cell(array: int, width: int, column: int) -> Value:
        return builder.gep(arrays[array], [builder.add(builder.mul(at, LONG(width)), LONG(column))])

    def value(each: Any) -> Value:
        if isinstance(each, Expression):
            return values[each.order]
        if isinstance(each, bool) or each in (0, 1):
            return BIT(each) if isinstance(each, bool) else number(float(each))
        if each not in literals:
            literals[each] = before.load(before.gep(constants, [LONG(len(literals))]))
        return literals[each]

    for each in expressions:
        if each.operation == "input":
            array, column = each.arguments
            values[each.order] = builder.load(cell(array, widths[array] or 1, column))
        else:
            values[each.order] = row.apply(each.operation, list(map(value, each.arguments)))
    for array, cells in enumerate(columns, len(widths)):
        for column, each in enumerate(cells):
            result = row.as_number(value(each))
            row.leave_to_torch(builder.fcmp_unordered("uno", builder.fsub(result, result), number(0.0)))
            builder.store(result, cell(array, len(cells), column))
    following, worse = builder.add(at, LONG(1)), builder.or_(bad, row.bad)
    for phi, later in ((at, following), (bad, worse)):
        phi.add_incoming(LONG(0), entry)
        phi.add_incoming(later, loop)
    builder.cbranch(builder.icmp_signed("<", following, n), loop, end)
    before.branch(loop)
    ir.IRBuilder(end).ret(worse)
    return str(function.module), np.array(list(literals), np.float32 if single else np.float64)


@cache
def compiled(text: str, folder: Path | None) -> tuple[Callable[..., int], Any]:
    """The loop of this text, from disk or compiled now, and what has to live as long."""
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    # as Numba is told, so that both are held to other vectors by the same two words
    processor = os.environ.get("NUMBA_CPU_NAME") or llvm.get_host_cpu_name()
    features = os.environ.get("NUMBA_CPU_FEATURES") or llvm.get_host_cpu_features().flatten()
    machine = llvm.Target.from_default_triple().create_target_machine(processor, features, opt=2, jit=True)
    digest = hashlib.sha256("\0".join((text, processor, features, str(llvm.llvm_version_info))).encode()).hexdigest()
    file = folder / f"rows-{digest[:32]}" if folder else None
    if (code := _read(file)) is None:
        module = llvm.parse_assembly(text)
        tuning = llvm.create_pipeline_tuning_options(speed_level=2)
        tuning.loop_vectorization, tuning.loop_interleaving = True, False  # the latter takes longest
        passes = llvm.create_pass_builder(machine, tuning)
        passes.getModulePassManager().run(module, passes)
        code = machine.emit_object(module)
        _write(file, code)
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), machine)
    engine.add_object_file(llvm.ObjectFileRef.from_data(code))
    engine.finalize_object()
    kind = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64, *[ctypes.c_void_p] * text.count("noalias"))
    return kind(engine.get_function_address("rows")), engine


def _read(file: Path | None) -> bytes | None:
    """Code that is whole: what a crash of the machine has cut off would take the process with it."""
    with suppress(OSError):
        if file:
            whole = file.read_bytes()
            return whole[32:] if hashlib.sha256(whole[32:]).digest() == whole[:32] else None
    return None


def _write(file: Path | None, code: bytes) -> None:
    with suppress(OSError):  # the disk is full, say
        if file:
            draft = file.with_name(f"{file.name}.{os.getpid()}")
            draft.write_bytes(hashlib.sha256(code).digest() + code)
            draft.rename(file)
