"""Several numbers of a row at a time, where the compiler does not see that it may.

Instructions that numba has no name for, in the compiler's own: of vectors that every processor has
or is given.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numba.np.arrayobj import make_array

BYTES = 32
"""Of a row that are looked at together."""
FOUR = 4
"""Numbers that are added together."""
WORD = ir.IntType(64)


def instruction(typed: Any) -> Any:
    """One for compiled functions: what it is given, and what the compiler makes of it."""
    return intrinsic(typed)


@instruction
def filled(typing, x, row, column):
    """Which numbers of 32 bytes of a row, from a column on, are not zero: the n-th bit for each.

    x: (row, column), whole numbers; the columns lie side by side.
    """

    def made(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kind = ir.IntType(signature.args[0].dtype.bitwidth)
        several = ir.VectorType(kind, BYTES * 8 // kind.width)
        there = _several(context, builder, signature.args[0], args[0], args[1:], several)
        bits = builder.icmp_unsigned("!=", there, ir.Constant(several, [0] * several.count))
        return builder.zext(builder.bitcast(bits, ir.IntType(several.count)), WORD)

    return types.uint64(x, row, column), made


@instruction
def number_of(typing, bits):
    """How many bits of a word are set."""

    def made(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.ctpop(args[0])

    return types.uint64(types.uint64), made


@instruction
def first_of(typing, bits):
    """The lowest bit of a word that is set; 64 where none is."""

    def made(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.cttz(args[0], ir.Constant(ir.IntType(1), 0))

    return types.uint64(types.uint64), made


@instruction
def add_times(typing, room, row, column, factor, by, k):
    """To four numbers of a row, from a column on, a factor times four of `by` from k on.

    room: (row, column); by: (1, n); single precision.
    """

    def made(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        several, kinds = ir.VectorType(ir.FloatType(), FOUR), signature.args
        by = _several(context, builder, kinds[4], args[4], (WORD(0), args[5]), several)
        nothing = ir.Constant(several, ir.Undefined)
        one = builder.insert_element(nothing, args[3], ir.Constant(ir.IntType(32), 0))
        each = ir.Constant(ir.VectorType(ir.IntType(32), FOUR), [0] * FOUR)
        product = builder.fmul(builder.shuffle_vector(one, nothing, each), by, flags=("contract",))
        at = _at(context, builder, kinds[0], args[0], args[1:3], several)
        total = builder.fadd(builder.load(at, align=1), product, flags=("contract",))
        builder.store(total, at, align=1)
        return context.get_dummy_value()

    return types.void(room, row, column, types.float32, by, k), made


def _at(context: Any, builder: Any, kind: Any, array: Any, place: Any, several: Any) -> Any:
    """Where several numbers of an array begin."""
    held = make_array(kind)(context, builder, array)
    sizes, strides = (cgutils.unpack_tuple(builder, t, 2) for t in (held.shape, held.strides))
    first = cgutils.get_item_pointer2(
        context, builder, held.data, sizes, strides, kind.layout, place, wraparound=False
    )
    return builder.bitcast(first, several.as_pointer())


def _several(context: Any, builder: Any, kind: Any, array: Any, place: Any, several: Any) -> Any:
    """Several numbers of an array."""
    at = _at(context, builder, kind, array, place, several)
    return builder.load(at, align=1)


INSTRUCTIONS = (filled, number_of, first_of, add_times, _at, _several)
