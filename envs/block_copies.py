"""Copying rows of numbers of one kind to another as vector instructions, for the compiled step.

As `simrec.envs.blocks`, but most count numbers: `widen` and `floats` from 16 on, `narrow` from 8.
"""

# numba reads the types off the arguments
# mypy: disable-error-code="no-untyped-call,untyped-decorator,misc"

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from simrec.envs.blocks import BLOCK, FLOATS, WORDS, each_block, load_block, spread, store_block

_LONGS = ir.VectorType(ir.IntType(64), BLOCK)
_BYTES = ir.VectorType(ir.IntType(8), BLOCK)
_HALF_BYTES, _HALF_WORDS, _HALF_LONGS = (
    ir.VectorType(ir.IntType(n), BLOCK // 2) for n in (8, 32, 64)
)
_HALF_FLOATS = ir.VectorType(ir.FloatType(), BLOCK // 2)


def _overlapping(builder: Any, n: Any, each: Callable[[Any], None], size: int = BLOCK) -> None:
    """Call `each` with the first number of every block; the last one ends at n exactly."""
    sizes = ir.Constant(n.type, size)
    one = ir.Constant(n.type, 1)
    with each_block(builder, builder.udiv(builder.sub(n, one), sizes)) as loop:
        each(builder.mul(loop, sizes))
    each(builder.sub(n, sizes))


@intrinsic
def widen(typingctx: Any, y: Any, x: Any, n: Any) -> Any:
    """Write n int32 of row x to row y of int64."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        def each(place: Any) -> None:
            block = load_block(builder, WORDS, args[1], place, 4)
            store_block(builder, builder.sext(block, _LONGS), args[0], place, 8)

        _overlapping(builder, args[2], each)
        return context.get_dummy_value()

    return types.void(types.intp, types.intp, types.intp), codegen


@intrinsic
def narrow(typingctx: Any, y: Any, x: Any, n: Any) -> Any:
    """Write n int64 of row x to row y of int32."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        def each(place: Any) -> None:
            block = load_block(builder, _HALF_LONGS, args[1], place, 8)
            store_block(builder, builder.trunc(block, _HALF_WORDS), args[0], place, 4)

        _overlapping(builder, args[2], each, BLOCK // 2)
        return context.get_dummy_value()

    return types.void(types.intp, types.intp, types.intp), codegen


@intrinsic
def floats(typingctx: Any, y: Any, x: Any, n: Any) -> Any:
    """Write n bytes of row x to row y of float32."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        def each(place: Any) -> None:
            block = builder.zext(load_block(builder, _BYTES, args[1], place, 1), WORDS)
            store_block(builder, builder.sitofp(block, FLOATS), args[0], place, 4)

        _overlapping(builder, args[2], each)
        return context.get_dummy_value()

    return types.void(types.intp, types.intp, types.intp), codegen


@intrinsic
def blank(typingctx: Any, longs: Any, singles: Any, blocks: Any) -> Any:
    """Write -1 to a row of int64, and 0 to one of float32."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        with each_block(builder, args[2]) as loop:
            place = builder.mul(loop, ir.Constant(loop.type, BLOCK))
            store_block(builder, ir.Constant(_LONGS, [-1] * BLOCK), args[0], place, 8)
            store_block(builder, ir.Constant(FLOATS, [0.0] * BLOCK), args[1], place, 4)
        return context.get_dummy_value()

    return types.void(types.intp, types.intp, types.intp), codegen


@intrinsic
def copy(typingctx: Any, y: Any, x: Any, blocks: Any) -> Any:
    """Write row x, of blocks of 64 bytes, to row y."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        with each_block(builder, args[2]) as loop:
            place = builder.mul(loop, ir.Constant(loop.type, BLOCK))
            store_block(builder, load_block(builder, WORDS, args[1], place, 4), args[0], place, 4)
        return context.get_dummy_value()

    return types.void(types.intp, types.intp, types.intp), codegen


@intrinsic
def clear(typingctx: Any, y: Any, blocks: Any) -> Any:
    """Write 0 to row y, of blocks of 64 bytes."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        with each_block(builder, args[1]) as loop:
            place = builder.mul(loop, ir.Constant(loop.type, BLOCK))
            store_block(builder, ir.Constant(WORDS, [0] * BLOCK), args[0], place, 4)
        return context.get_dummy_value()

    return types.void(types.intp, types.intp), codegen


@intrinsic
def above(typingctx: Any, y: Any, x: Any, n: Any) -> Any:
    """Write to n bytes of row y whether the float32 of row x are above 0; at least 8 of them."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        zeros = ir.Constant(_HALF_FLOATS, [0.0] * (BLOCK // 2))

        def each(place: Any) -> None:
            block = load_block(builder, _HALF_FLOATS, args[1], place, 4)
            found = builder.fcmp_ordered(">", block, zeros)
            store_block(builder, builder.zext(found, _HALF_BYTES), args[0], place, 1)

        _overlapping(builder, args[2], each, BLOCK // 2)
        return context.get_dummy_value()

    return types.void(types.intp, types.intp, types.intp), codegen


@intrinsic
def unfold(typingctx: Any, y: Any, bits: Any) -> Any:
    """Write the lowest 16 bits of a number to row y as 16 bytes of 0 or 1."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        places = ir.Constant(WORDS, list(range(BLOCK)))
        ones = ir.Constant(WORDS, [1] * BLOCK)
        found = builder.and_(builder.lshr(spread(builder, WORDS, args[1]), places), ones)
        zero = ir.Constant(ir.IntType(64), 0)
        store_block(builder, builder.trunc(found, _BYTES), args[0], zero, 1)
        return context.get_dummy_value()

    return types.void(types.intp, types.int32), codegen
