"""Copying rows of numbers of one kind to another as vector instructions, for the compiled step.

As `simrec.envs.blocks`, but most count numbers, from 8 on. A code is twice an item, plus 1 if it is
liked: so that a session's record is one row, and -2 stands for an empty place.
"""

# numba reads the types off the arguments
# mypy: disable-error-code="no-untyped-call,untyped-decorator,misc"

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from simrec.envs.blocks import BLOCK, FLOATS, WORDS, each_block, load_block, spread, store_block

_WORDS, _LONGS = (ir.VectorType(ir.IntType(n), BLOCK // 2) for n in (32, 64))
_FLOATS = ir.VectorType(ir.FloatType(), BLOCK // 2)
_BLANKS = ir.VectorType(ir.IntType(64), BLOCK)


def _overlapping(builder: Any, n: Any, each: Callable[[Any], None]) -> None:
    """Call `each` with the first number of every block; the last one ends at n exactly."""
    sizes = ir.Constant(n.type, BLOCK // 2)
    one = ir.Constant(n.type, 1)
    with each_block(builder, builder.udiv(builder.sub(n, one), sizes)) as loop:
        each(builder.mul(loop, sizes))
    each(builder.sub(n, sizes))


def _number(kind: Any, value: int) -> Any:
    """Return a block that holds one number everywhere."""
    return ir.Constant(kind, [value] * kind.count)


@intrinsic
def reveal(typingctx: Any, longs: Any, singles: Any, codes: Any, n: Any) -> Any:
    """Write n codes of a record as items, to a row of int64, and as likes, to one of float32."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        longs, singles, codes, n = args

        def each(place: Any) -> None:
            block = load_block(builder, _WORDS, codes, place, 4)
            items = builder.ashr(block, _number(_WORDS, 1))
            likes = builder.and_(block, _number(_WORDS, 1))
            store_block(builder, builder.sext(items, _LONGS), longs, place, 8)
            store_block(builder, builder.sitofp(likes, _FLOATS), singles, place, 4)

        _overlapping(builder, n, each)
        return context.get_dummy_value()

    return types.void(*(types.intp,) * 4), codegen


@intrinsic
def encode(typingctx: Any, codes: Any, longs: Any, singles: Any, n: Any) -> Any:
    """Write n codes of items, a row of int64, of which those are liked that singles > 0 say."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        codes, longs, singles, n = args

        def each(place: Any) -> None:
            items = builder.trunc(load_block(builder, _LONGS, longs, place, 8), _WORDS)
            likes = load_block(builder, _FLOATS, singles, place, 4)
            liked = builder.zext(builder.fcmp_ordered(">", likes, _number(_FLOATS, 0)), _WORDS)
            twice = builder.shl(items, _number(_WORDS, 1))
            store_block(builder, builder.or_(twice, liked), codes, place, 4)

        _overlapping(builder, n, each)
        return context.get_dummy_value()

    return types.void(*(types.intp,) * 4), codegen


@intrinsic
def encode_eight(typingctx: Any, codes: Any, longs: Any, bits: Any) -> Any:
    """Write 8 codes of items, a row of int64, of which those are liked that 8 bits say."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        codes, longs, bits = args
        zero = ir.Constant(ir.IntType(64), 0)
        items = builder.trunc(load_block(builder, _LONGS, longs, zero, 8), _WORDS)
        places = ir.Constant(_WORDS, list(range(_WORDS.count)))
        liked = builder.and_(
            builder.lshr(spread(builder, _WORDS, bits), places), _number(_WORDS, 1)
        )
        twice = builder.shl(items, _number(_WORDS, 1))
        store_block(builder, builder.or_(twice, liked), codes, zero, 4)
        return context.get_dummy_value()

    return types.void(types.intp, types.intp, types.int32), codegen


@intrinsic
def blank(typingctx: Any, longs: Any, singles: Any, blocks: Any) -> Any:
    """Write -1 to a row of int64, and 0 to one of float32."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        with each_block(builder, args[2]) as loop:
            place = builder.mul(loop, ir.Constant(loop.type, BLOCK))
            store_block(builder, _number(_BLANKS, -1), args[0], place, 8)
            store_block(builder, _number(FLOATS, 0), args[1], place, 4)
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
