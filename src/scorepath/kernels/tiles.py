"""Compiled pieces: a matrix product whose sums stay in vector registers, and tanh.

The product is a tile of rows x columns at a time (Goto & van de Geijn 2008), written in LLVM's instructions because its
own vectoriser does not find that shape. Numba compiles it for the processor that it finds.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import llvmlite.binding
import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils, config
from numba.extending import intrinsic, overload

OPTIONS: dict[str, Any] = {
    # sums may be reordered, in one way for each kind of processor; what is not finite stays so
    "fastmath": {"contract", "reassoc", "nsz"},
    "error_model": "numpy",
    "boundscheck": False,
    "nogil": True,
}


# --- vectors ----------------------------------------------------------------------------------------------------------


def _vector_bytes() -> int:
    given = config.CPU_FEATURES
    if given is None:
        return 64 if llvmlite.binding.get_host_cpu_features().get("avx512f") else 32
    return 64 if "+avx512f" in given else 32


VECTOR = _vector_bytes()
WIDE = VECTOR == 64
"""Whether there are 32 vector registers, as with AVX-512, or 16."""
INDEX = ir.IntType(64)
Builder = Any


def _tile(rows: int, vectors: int, masked: bool = False) -> Callable[..., None]:
    """C = start + A B for so many rows and vectors of columns; with a mask for one vector of `columns` columns.

    The intrinsic's arguments: A and its offset, row stride and column stride; how many columns A has; B, offset, row
    stride; start, offset, row stride; C, offset, row stride; columns.
    """

    @intrinsic
    def tile(
        context, a, a_at, a_row, a_column, depth, b, b_at, b_row, start, start_at, start_row, c, c_at, c_row, columns
    ):
        kinds = (a, a_at, a_row, a_column, depth, b, b_at, b_row, start, start_at, start_row, c, c_at, c_row, columns)
        signature = types.void(*kinds)
        single = a.dtype == types.float32
        number = ir.FloatType() if single else ir.DoubleType()
        lanes = VECTOR // (4 if single else 8)
        vector, mask_type = ir.VectorType(number, lanes), ir.VectorType(ir.IntType(1), lanes)
        name = f"v{lanes}f{32 if single else 64}"

        def generate(target: Any, builder: Builder, sig: Any, arguments: Any) -> Any:
            values = dict(zip(
                ("a", "a_at", "a_row", "a_column", "depth", "b", "b_at", "b_row", "start", "start_at", "start_row",
                 "c", "c_at", "c_row", "columns"), arguments, strict=True))  # fmt: skip

            def address(array: str) -> Any:
                kind = sig.args[list(values).index(array)]
                data = target.make_array(kind)(target, builder, values[array]).data
                return builder.gep(data, [values[f"{array}_at"]])

            def function(kind: str, result: Any, inputs: list[Any]) -> Any:
                return cgutils.get_or_insert_function(builder.module, ir.FunctionType(result, inputs), kind)

            pointer = vector.as_pointer()
            align = ir.Constant(ir.IntType(32), 4 if single else 8)
            zero = ir.Constant(vector, [0.0] * lanes)
            mask = None
            if masked:
                numbers = ir.Constant(ir.VectorType(INDEX, lanes), list(range(lanes)))
                many = _everywhere(builder, values["columns"], lanes)
                mask = builder.icmp_signed("<", numbers, many)

            def load(place: Any) -> Any:
                place = builder.bitcast(place, pointer)
                if mask is None:
                    found = builder.load(place)
                    found.align = 4 if single else 8
                    return found
                llvm = function(f"llvm.masked.load.{name}.p0", vector, [pointer, ir.IntType(32), mask_type, vector])
                return builder.call(llvm, [place, align, mask, zero])

            def store(value: Any, place: Any) -> None:
                place = builder.bitcast(place, pointer)
                if mask is None:
                    builder.store(value, place).align = 4 if single else 8
                    return
                llvm = function(
                    f"llvm.masked.store.{name}.p0", ir.VoidType(), [vector, pointer, ir.IntType(32), mask_type]
                )
                builder.call(llvm, [value, place, align, mask])

            def cell(array: str, row: int, column: int) -> Any:
                offset = builder.mul(values[f"{array}_row"], INDEX(row))
                return builder.gep(places[array], [builder.add(offset, INDEX(column * lanes))])

            fma = function(f"llvm.fma.{name}", vector, [vector, vector, vector])
            places = {array: address(array) for array in ("a", "b", "start", "c")}
            a_rows = [builder.gep(places["a"], [builder.mul(values["a_row"], INDEX(row))]) for row in range(rows)]
            first = [[load(cell("start", row, column)) for column in range(vectors)] for row in range(rows)]
            before = builder.block
            loop, after = builder.append_basic_block("tile.loop"), builder.append_basic_block("tile.after")
            builder.branch(loop)
            builder.position_at_end(loop)
            k = builder.phi(INDEX)
            k.add_incoming(INDEX(0), before)
            sums = [[builder.phi(vector) for _ in range(vectors)] for _ in range(rows)]
            for row in range(rows):
                for column in range(vectors):
                    sums[row][column].add_incoming(first[row][column], before)
            b_row = builder.gep(places["b"], [builder.mul(k, values["b_row"])])
            factors = [load(builder.gep(b_row, [INDEX(column * lanes)])) for column in range(vectors)]
            a_offset = builder.mul(k, values["a_column"])
            results = []
            for row in range(rows):
                spread = _everywhere(builder, builder.load(builder.gep(a_rows[row], [a_offset])), lanes)
                results.append([builder.call(fma, [spread, factors[c], sums[row][c]]) for c in range(vectors)])
            following = builder.add(k, INDEX(1))
            k.add_incoming(following, loop)
            for row in range(rows):
                for column in range(vectors):
                    sums[row][column].add_incoming(results[row][column], loop)
            builder.cbranch(builder.icmp_signed("<", following, values["depth"]), loop, after)
            builder.position_at_end(after)
            for row in range(rows):
                for column in range(vectors):
                    store(results[row][column], cell("c", row, column))
            return target.get_dummy_value()

        return signature, generate

    return tile


def _everywhere(builder: Builder, value: Any, lanes: int) -> Any:
    """A vector of one value."""
    kind = ir.VectorType(value.type, lanes)
    undefined = ir.Constant(kind, ir.Undefined)
    first = builder.insert_element(undefined, value, ir.IntType(32)(0))
    return builder.shuffle_vector(first, undefined, ir.Constant(ir.VectorType(ir.IntType(32), lanes), [0] * lanes))


MANY, HALF = (4, 2) if WIDE else (2, 1)
tile_6_many, tile_2_many, tile_1_many = (_tile(rows, MANY) for rows in (6, 2, 1))
tile_6_half, tile_2_half, tile_1_half = (_tile(rows, HALF) for rows in (6, 2, 1))
tile_6_part, tile_2_part, tile_1_part = (_tile(rows, 1, masked=True) for rows in (6, 2, 1))


@njit(**OPTIONS)
def product(a, a_at, a_row, a_column, rows, depth, b, b_at, b_row, columns, start, start_at, start_row, c, c_at, c_row):
    """C = start + A B, with A (rows x depth) at any strides and the rows of B, start and C contiguous."""
    lanes = VECTOR // a.itemsize
    j = 0
    while j < columns:
        left = columns - j
        width = MANY * lanes if left >= MANY * lanes else HALF * lanes if left >= HALF * lanes else min(left, lanes)
        r = 0
        while r < rows:
            tall = 6 if rows - r >= 6 else 2 if rows - r >= 2 else 1
            at, bt, st, ct = a_at + r * a_row, b_at + j, start_at + r * start_row + j, c_at + r * c_row + j
            if width == MANY * lanes:
                if tall == 6:
                    tile_6_many(a, at, a_row, a_column, depth, b, bt, b_row, start, st, start_row, c, ct, c_row, width)
                elif tall == 2:
                    tile_2_many(a, at, a_row, a_column, depth, b, bt, b_row, start, st, start_row, c, ct, c_row, width)
                else:
                    tile_1_many(a, at, a_row, a_column, depth, b, bt, b_row, start, st, start_row, c, ct, c_row, width)
            elif width == HALF * lanes:
                if tall == 6:
                    tile_6_half(a, at, a_row, a_column, depth, b, bt, b_row, start, st, start_row, c, ct, c_row, width)
                elif tall == 2:
                    tile_2_half(a, at, a_row, a_column, depth, b, bt, b_row, start, st, start_row, c, ct, c_row, width)
                else:
                    tile_1_half(a, at, a_row, a_column, depth, b, bt, b_row, start, st, start_row, c, ct, c_row, width)
            elif tall == 6:
                tile_6_part(a, at, a_row, a_column, depth, b, bt, b_row, start, st, start_row, c, ct, c_row, width)
            elif tall == 2:
                tile_2_part(a, at, a_row, a_column, depth, b, bt, b_row, start, st, start_row, c, ct, c_row, width)
            else:
                tile_1_part(a, at, a_row, a_column, depth, b, bt, b_row, start, st, start_row, c, ct, c_row, width)
            r += tall
        j += width


# --- tanh -------------------------------------------------------------------------------------------------------------


@intrinsic
def nearest(context, x):
    """The nearest integer, as a number."""

    def generate(target: Any, builder: Builder, signature: Any, arguments: Any) -> Any:
        (value,) = arguments
        kind = "float" if signature.args[0] == types.float32 else "double"
        name = "llvm.rint.f32" if kind == "float" else "llvm.rint.f64"
        return builder.call(
            builder.module.declare_intrinsic(name, (), ir.FunctionType(value.type, [value.type])), [value]
        )

    return x(x), generate


@intrinsic
def power_of_two(context, n):
    """2^n for a number that is an integer."""

    def generate(target: Any, builder: Builder, signature: Any, arguments: Any) -> Any:
        (value,) = arguments
        single = signature.args[0] == types.float32
        whole, shift, bias = (ir.IntType(32), 23, 127) if single else (ir.IntType(64), 52, 1023)
        biased = builder.add(builder.fptosi(value, whole), whole(bias))
        return builder.bitcast(builder.shl(biased, whole(shift)), value.type)

    return n(n), generate


f4, f8 = np.float32, np.float64
ONE4, TWO4, MOST4, LOG2E4, LN24 = f4(1), f4(2), f4(30), f4(1 / np.log(2)), f4(np.log(2))
ONE8, TWO8, MOST8, LOG2E8, LN28 = f8(1), f8(2), f8(60), f8(1 / np.log(2)), f8(np.log(2))
(A2, A3, A4, A5, A6, A7) = (f4(1 / each) for each in (2, 6, 24, 120, 720, 5040))
(B2, B3, B4, B5, B6, B7, B8, B9, B10, B11, B12, B13) = (
    f8(1 / each) for each in (2, 6, 24, 120, 720, 5040, 40320, 362880, 3628800, 39916800, 479001600, 6227020800)
)


def tanh(x: Any) -> Any:
    """`1 - 2 / (1 + exp 2x)`: its error is that of rounding a number near 1, as in `scorepath.policies`.

    `exp z = 2^n exp r` with `|r| <= ln 2 / 2` and Taylor's polynomial of exp r.
    """
    raise NotImplementedError


@overload(tanh, jit_options=OPTIONS, inline="never")
def _tanh(x):
    def single(x):
        z = x + x
        z = MOST4 if z > MOST4 else z
        z = -MOST4 if z < -MOST4 else z
        n = nearest(z * LOG2E4)
        r = z - n * LN24
        e = (((((((A7 * r + A6) * r + A5) * r + A4) * r + A3) * r + A2) * r + ONE4) * r + ONE4) * power_of_two(n)
        return ONE4 - TWO4 / (ONE4 + e)

    def double(x):
        z = x + x
        z = MOST8 if z > MOST8 else z
        z = -MOST8 if z < -MOST8 else z
        n = nearest(z * LOG2E8)
        r = z - n * LN28
        e = ((((B13 * r + B12) * r + B11) * r + B10) * r + B9) * r + B8
        e = ((((((e * r + B7) * r + B6) * r + B5) * r + B4) * r + B3) * r + B2) * r + ONE8
        e = (e * r + ONE8) * power_of_two(n)
        return ONE8 - TWO8 / (ONE8 + e)

    return single if x == types.float32 else double


@njit(**OPTIONS)
def tanh_in_place(values, start, stop):
    """Where a value is not a number it stays so: `r` is not a number then."""
    part = values[start:stop]
    for i in range(len(part)):
        part[i] = tanh(part[i])
