"""The utilities of items as inner products, for the compiled step."""

# numba reads the types off the arguments
# mypy: disable-error-code="no-untyped-call,untyped-decorator,misc"

from collections.abc import Iterable
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from simrec.envs.blocks import BLOCK, FAST, FLOATS, each_block, load_block, reduce_block

_LONG, _INT, _FLOAT, _DOUBLE = ir.IntType(64), ir.IntType(32), ir.FloatType(), ir.DoubleType()


def _lanes(places: Iterable[int]) -> Any:
    """Return the places of a shuffle as a constant."""
    numbers = list(places)
    return ir.Constant(ir.VectorType(_INT, len(numbers)), numbers)


def _folded(builder: Any, vector: Any) -> Any:
    """Return the upper half of a vector added to its lower half."""
    half = vector.type.count // 2
    none = ir.Constant(vector.type, ir.Undefined)
    lower, upper = (
        builder.shuffle_vector(vector, none, _lanes(range(first, first + half)))
        for first in (0, half)
    )
    return builder.fadd(lower, upper, flags=FAST)


def _neighbours(builder: Any, a: Any, b: Any) -> Any:
    """Return sums of neighbouring numbers of two vectors of 8, two of a and two of b in turn."""
    even, odd = ([x + y for x in (0, 4) for y in (z, z + 2, z + 8, z + 10)] for z in (0, 1))
    return builder.fadd(
        builder.shuffle_vector(a, b, _lanes(even)),
        builder.shuffle_vector(a, b, _lanes(odd)),
        flags=FAST,
    )


def _sums(builder: Any, totals: list[Any]) -> list[Any]:
    """Return the sum of each of some blocks; four together take fewer additions."""
    if len(totals) > 4:
        return _sums(builder, totals[:4]) + _sums(builder, totals[4:])
    if len(totals) < 4:
        zero = ir.Constant(_FLOAT, 0.0)
        return [reduce_block(builder, "fadd.v16f32", _FLOAT, [zero, total]) for total in totals]
    a, b, c, d = (_folded(builder, total) for total in totals)
    eight = _neighbours(builder, _neighbours(builder, a, b), _neighbours(builder, c, d))
    four = _folded(builder, eight)
    return [builder.extract_element(four, ir.Constant(_INT, x)) for x in range(4)]


def _scorer(count: int, *, together: bool) -> Any:
    """Return the code that scores `count` items, of one user or each of another one."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        (items, z, z_step, kinds, table, row_bytes, aside, own, own_step, themes, topic_bytes,
         query, query_step) = args  # fmt: skip

        def place(base: Any, n: Any, size: Any) -> Any:
            size = ir.Constant(_LONG, size) if isinstance(size, int) else size
            n = ir.Constant(_LONG, n) if isinstance(n, int) else n
            return builder.add(base, builder.mul(n, size))

        def read(kind: Any, address: Any) -> Any:
            return builder.load(builder.inttoptr(address, kind.as_pointer()))

        def write(value: Any, address: Any) -> None:
            builder.store(value, builder.inttoptr(address, value.type.as_pointer()))

        every = range(count)
        item = [read(_LONG, place(items, x, 8)) for x in every]
        beside = [place(aside, i, 8) for i in item]
        kind = [builder.sext(read(_INT, place(i, 1, 4)), _LONG) for i in beside]
        zeros = ir.Constant(FLOATS, [0.0] * BLOCK)
        totals = [cgutils.alloca_once_value(builder, zeros) for _ in every]
        for total in totals:
            builder.store(zeros, total)
        for base, rows, size, other, step in (
            (table, item, row_bytes, own, own_step),
            (themes, kind, topic_bytes, query, query_step),
        ):
            xs = [place(base, row, size) for row in rows]
            ys = [place(other, 0 if together else x, step) for x in every]
            with each_block(builder, builder.lshr(size, ir.Constant(_LONG, 6))) as block:
                first = builder.mul(block, ir.Constant(_LONG, BLOCK))
                for x, y, total in zip(xs, ys, totals, strict=True):
                    product = builder.fmul(
                        load_block(builder, FLOATS, x, first, 4),
                        load_block(builder, FLOATS, y, first, 4),
                        flags=FAST,
                    )
                    builder.store(builder.fadd(builder.load(total), product, flags=FAST), total)
        found = _sums(builder, [builder.load(total) for total in totals])
        for x in every:
            utility = builder.fadd(found[x], read(_FLOAT, beside[x]), flags=FAST)
            write(builder.fpext(utility, _DOUBLE), place(z, x, z_step))
            write(kind[x], place(kinds, x, 8))
        return context.get_dummy_value()

    return types.void(*(types.intp,) * 13), codegen


def _intrinsic(count: int, *, together: bool) -> Any:
    """Return a compiled function that scores `count` items.

    It writes each item's utility, without what its user starts from, and the kind of its topics.
    `items` is where the items' numbers (int64) lie; `z` where their utilities (float64) go,
    `z_step` bytes from one to the next; `kinds` where their kinds (int64) go. Of whole blocks are
    the rows of `table` (`row_bytes`), the items' vectors, and of `themes` (`topic_bytes`), the
    topics of the kinds; `aside` has each item's effect (float32) and kind (int32). `own` is the
    user's vector, and `query` what the user's moods make of the topics; if the items are not of one
    user together, the next item's user has them `own_step` and `query_step` bytes further.
    """

    @intrinsic
    def score(
        typingctx: Any, items: Any, z: Any, z_step: Any, kinds: Any, table: Any, row_bytes: Any,
        aside: Any, own: Any, own_step: Any, themes: Any, topic_bytes: Any, query: Any,
        query_step: Any,
    ) -> Any:  # fmt: skip
        return _scorer(count, together=together)

    return score


#: One item.
score_one = _intrinsic(1, together=True)
#: Four items of four users, and two, four or eight of one: these keep the processor busy.
score_each = _intrinsic(4, together=False)
score_two, score_four, score_eight = (_intrinsic(n, together=True) for n in (2, 4, 8))
