"""The innermost loops of sparse products: blocks of sums that stay in vector registers.

LLVM does not keep arrays of sums in registers by itself, so these loops are written in its own language, with vectors
as wide as the processor's. Everything around them is ordinary compiled Python (``products_kernels``).
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from llvmlite.binding import get_host_cpu_features
from numba import types
from numba.core import cgutils as untyped_cgutils
from numba.extending import intrinsic

cgutils: Any = untyped_cgutils

ROWS = 6
"""Rows of sums in a block. Six by two vectors leave room for the operands in 16 registers."""

VECTORS = 2
"""Vectors side by side in a block."""

_INDEX = ir.IntType(64)


def _vector_bytes() -> int:
    features = get_host_cpu_features()
    if features.get("avx512f"):
        return 64
    return 32 if features.get("avx") else 16


BLOCK_BYTES = VECTORS * _vector_bytes()
"""Width of a block: 32 float32 with AVX-512, 16 with AVX2, 8 with NEON."""


def _add_products(
    _typing: Any,
    features: Any,
    width: Any,
    weights: Any,
    offset: Any,
    inputs: Any,
    outputs: Any,
    first: Any,
    count: Any,
    out: Any,
    out_width: Any,
    column: Any,
) -> tuple[Any, Any]:
    """out[outputs[p], column:] += features[inputs[p]] @ block for the ``count`` <= ROWS pairs p from ``first`` on.

    The block (width, BLOCK) begins ``offset`` elements into ``weights``. All arrays are C-contiguous; ``width`` and
    ``out_width`` are the row lengths of ``features`` and ``out``. No output row occurs twice.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        emit = _Emitter(context, builder, signature, arguments)
        sources, targets = [], []
        for row in range(ROWS):
            pair = builder.add(arguments[6], emit.clamped(row, arguments[7]))
            sources.append(emit.address(0, builder.mul(emit.row_number(4, pair), arguments[1])))
            target = builder.mul(emit.row_number(5, pair), arguments[9])
            targets.append(emit.address(8, builder.add(target, arguments[10])))
        sums = emit.zero_sums()
        with cgutils.for_range(builder, arguments[1]) as loop:
            place = builder.add(arguments[3], builder.mul(loop.index, emit.index(VECTORS * emit.lanes)))
            right = emit.vectors(emit.address(2, place))
            emit.accumulate(sums, [builder.gep(source, [loop.index]) for source in sources], right)
        emit.add_to_memory(sums, targets, arguments[7])
        return context.get_dummy_value()

    return types.void(features, width, weights, offset, inputs, outputs, first, count, out, out_width, column), generate


add_products: Any = intrinsic(_add_products)


def _add_outer_products(
    _typing: Any,
    left: Any,
    left_width: Any,
    left_column: Any,
    right: Any,
    right_width: Any,
    right_column: Any,
    inputs: Any,
    outputs: Any,
    first: Any,
    end: Any,
    count: Any,
    out: Any,
    offset: Any,
) -> tuple[Any, Any]:
    """out[r] += left[inputs[p], left_column + r] * right[outputs[p], right_column:] for all pairs p, r < ``count``.

    Pairs are ``first`` to ``end - 1``; the ``count`` <= ROWS rows of ``out`` begin at element ``offset`` and are
    ``right_width`` apart.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        emit = _Emitter(context, builder, signature, arguments)
        columns = [builder.add(arguments[2], emit.clamped(row, arguments[11 - 1 + 0])) for row in range(ROWS)]
        sums = emit.zero_sums()
        with cgutils.for_range_slice(builder, arguments[8], arguments[9], emit.index(1)) as (pair, _):
            source = builder.mul(emit.row_number(6, pair), arguments[1])
            target = builder.mul(emit.row_number(7, pair), arguments[4])
            right_vectors = emit.vectors(emit.address(3, builder.add(target, arguments[5])))
            emit.accumulate(sums, [emit.address(0, builder.add(source, column)) for column in columns], right_vectors)
        rows = [builder.add(arguments[12], builder.mul(emit.index(row), arguments[4])) for row in range(ROWS)]
        emit.add_to_memory(sums, [emit.address(11, row) for row in rows], arguments[10])
        return context.get_dummy_value()

    return types.void(
        left, left_width, left_column, right, right_width, right_column, inputs, outputs, first, end, count, out, offset
    ), generate


add_outer_products: Any = intrinsic(_add_outer_products)


class _Emitter:
    """Writes the pieces of both loops; arguments are named by their position."""

    def __init__(self, context: Any, builder: Any, signature: Any, arguments: Any) -> None:
        self._builder = builder
        self._data = {
            i: cgutils.create_struct_proxy(kind)(context, builder, arguments[i]).data
            for i, kind in enumerate(signature.args)
            if isinstance(kind, types.Array)
        }
        number = signature.args[0].dtype
        self._align = number.bitwidth // 8
        self.lanes = BLOCK_BYTES // VECTORS // self._align
        self._vector = ir.VectorType(context.get_value_type(number), self.lanes)

    @staticmethod
    def index(value: int) -> Any:
        return _INDEX(value)

    def address(self, array: int, element: Any) -> Any:
        return self._builder.gep(self._data[array], [element])

    def row_number(self, array: int, place: Any) -> Any:
        """An int32 of an array of rows."""
        return self._builder.sext(self._builder.load(self.address(array, place)), _INDEX)

    def clamped(self, row: int, count: Any) -> Any:
        """``row``, or the last of ``count`` rows where that is less: it is computed again, and not stored."""
        is_inside = self._builder.icmp_signed("<", _INDEX(row), count)
        return self._builder.select(is_inside, _INDEX(row), self._builder.sub(count, _INDEX(1)))

    def zero_sums(self) -> list[list[Any]]:
        zero = ir.Constant(self._vector, None)
        return [[cgutils.alloca_once_value(self._builder, zero) for _ in range(VECTORS)] for _ in range(ROWS)]

    def vectors(self, start: Any) -> list[Any]:
        return [self._builder.load(place, align=self._align) for place in self._places(start)]

    def accumulate(self, sums: list[list[Any]], scalars: list[Any], right: list[Any]) -> None:
        """sums[row] += (number at scalars[row]) * right."""
        for row_sums, place in zip(sums, scalars, strict=True):
            left = self._splat(self._builder.load(place))
            for total, vector in zip(row_sums, right, strict=True):
                product = self._builder.fmul(left, vector, flags=("contract",))
                self._builder.store(self._builder.fadd(self._builder.load(total), product, flags=("contract",)), total)

    def add_to_memory(self, sums: list[list[Any]], starts: list[Any], count: Any) -> None:
        """Add the first ``count`` rows of sums to the memory at their ``starts``."""
        for row, (row_sums, start) in enumerate(zip(sums, starts, strict=True)):
            with self._builder.if_then(self._builder.icmp_signed("<", _INDEX(row), count), likely=True):
                for total, place in zip(row_sums, self._places(start), strict=True):
                    before = self._builder.load(place, align=self._align)
                    self._builder.store(self._builder.fadd(before, self._builder.load(total)), place, align=self._align)

    def _places(self, start: Any) -> list[Any]:
        places = [self._builder.gep(start, [_INDEX(i * self.lanes)]) for i in range(VECTORS)]
        return [self._builder.bitcast(place, self._vector.as_pointer()) for place in places]

    def _splat(self, scalar: Any) -> Any:
        empty = ir.Constant(self._vector, ir.Undefined)
        first = self._builder.insert_element(empty, scalar, ir.IntType(32)(0))
        everywhere = ir.Constant(ir.VectorType(ir.IntType(32), self.lanes), None)
        return self._builder.shuffle_vector(first, empty, everywhere)
