"""Loops over blocks of 16 numbers as vector instructions, for the compiled step.

LLVM turns a loop into vector instructions only from about 32 rounds on, and most rows here are
shorter; so the few loops that matter are written out. All work on addresses, need no alignment and
count blocks of 16.
"""

# numba reads the types off the arguments
# mypy: disable-error-code="no-untyped-call,untyped-decorator,misc"

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

BLOCK = 16
FAST = ("reassoc", "contract", "nsz")
FLOATS = ir.VectorType(ir.FloatType(), BLOCK)
WORDS = ir.VectorType(ir.IntType(32), BLOCK)
_BITS = ir.VectorType(ir.IntType(1), BLOCK)


def load_block(builder: Any, kind: Any, base: Any, place: Any, size: int) -> Any:
    """Return the block of a kind that starts `place` numbers of `size` bytes after a base."""
    address = builder.add(base, builder.mul(place, ir.Constant(place.type, size)))
    loaded = builder.load(builder.inttoptr(address, kind.as_pointer()))
    loaded.align = size
    return loaded


def store_block(builder: Any, block: Any, base: Any, place: Any, size: int) -> None:
    """Write a block `place` numbers of `size` bytes after a base."""
    address = builder.add(base, builder.mul(place, ir.Constant(place.type, size)))
    builder.store(block, builder.inttoptr(address, block.type.as_pointer())).align = size


def spread(builder: Any, kind: Any, value: Any) -> Any:
    """Return a block of a kind that holds one value everywhere."""
    zero = ir.Constant(ir.IntType(32), 0)
    one = builder.insert_element(ir.Constant(kind, ir.Undefined), value, zero)
    first = ir.Constant(ir.VectorType(ir.IntType(32), kind.count), None)
    return builder.shuffle_vector(one, ir.Constant(kind, ir.Undefined), first)


def reduce_block(builder: Any, name: str, result: Any, arguments: list[Any]) -> Any:
    """Return what one of LLVM's reductions makes of a block."""
    kind = ir.FunctionType(result, [part.type for part in arguments])
    name = f"llvm.vector.reduce.{name}"
    function = builder.module.globals.get(name) or ir.Function(builder.module, kind, name)
    return builder.call(function, arguments, fastmath=FAST if "f" in name[19:] else ())


@contextmanager
def each_block(builder: Any, n: Any) -> Iterator[Any]:
    """Go round for 0 to n - 1, and leave the loop as it is.

    Unrolled eight times, as LLVM would have it, a loop of one to six rounds is mostly branches.
    """
    zero, one = ir.Constant(n.type, 0), ir.Constant(n.type, 1)
    before = builder.block
    body, after = (builder.append_basic_block(f"blocks.{part}") for part in ("body", "after"))
    builder.cbranch(builder.icmp_signed(">", n, zero), body, after)
    builder.position_at_end(body)
    index = builder.phi(n.type)
    index.add_incoming(zero, before)
    yield index
    following = builder.add(index, one)
    index.add_incoming(following, builder.block)
    again = builder.cbranch(builder.icmp_signed("<", following, n), body, after)
    again.set_metadata("llvm.loop", _unrolled_never(builder.module))
    builder.position_at_end(after)


def _unrolled_never(module: Any) -> Any:
    """Return what marks a loop as not to be unrolled: metadata that begins with itself."""
    never = module.add_metadata(["llvm.loop.unroll.disable"])
    mark = module.add_metadata([f"loop {len(module.metadata)}", never])
    mark.operands = (mark, never)
    return mark


@intrinsic
def dot(typingctx: Any, a: Any, b: Any, blocks: Any) -> Any:
    """Return the inner product of two rows of float32."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        total = cgutils.alloca_once_value(builder, ir.Constant(FLOATS, [0.0] * BLOCK))
        with each_block(builder, args[2]) as loop:
            place = builder.mul(loop, ir.Constant(loop.type, BLOCK))
            x = load_block(builder, FLOATS, args[0], place, 4)
            y = load_block(builder, FLOATS, args[1], place, 4)
            product = builder.fmul(x, y, flags=FAST)
            builder.store(builder.fadd(builder.load(total), product, flags=FAST), total)
        zero = ir.Constant(ir.FloatType(), 0.0)
        arguments = [zero, builder.load(total)]
        return reduce_block(builder, "fadd.v16f32", ir.FloatType(), arguments)

    return types.float32(types.intp, types.intp, types.intp), codegen


@intrinsic
def add(typingctx: Any, y: Any, x: Any, factor: Any, blocks: Any) -> Any:
    """Add factor times row x of float32 to row y."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        factor = spread(builder, FLOATS, args[2])
        with each_block(builder, args[3]) as loop:
            place = builder.mul(loop, ir.Constant(loop.type, BLOCK))
            more = builder.fmul(load_block(builder, FLOATS, args[1], place, 4), factor, flags=FAST)
            y = load_block(builder, FLOATS, args[0], place, 4)
            store_block(builder, builder.fadd(y, more, flags=FAST), args[0], place, 4)
        return context.get_dummy_value()

    return types.void(types.intp, types.intp, types.float32, types.intp), codegen


@intrinsic
def put(typingctx: Any, y: Any, x: Any, factor: Any, blocks: Any) -> Any:
    """Write factor times row x of float32 to row y."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        factor = spread(builder, FLOATS, args[2])
        with each_block(builder, args[3]) as loop:
            place = builder.mul(loop, ir.Constant(loop.type, BLOCK))
            x = load_block(builder, FLOATS, args[1], place, 4)
            store_block(builder, builder.fmul(x, factor, flags=FAST), args[0], place, 4)
        return context.get_dummy_value()

    return types.void(types.intp, types.intp, types.float32, types.intp), codegen


@intrinsic
def pile(typingctx: Any, y: Any, x: Any, stride: Any, places: Any, n: Any, blocks: Any) -> Any:
    """Write to row y the sum of n > 0 rows of float32, which begin stride * places[j] after x."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        y, x, stride, places, n, blocks = args
        long = ir.IntType(64)

        def part(j: Any, place: Any) -> Any:
            address = builder.add(places, builder.mul(j, ir.Constant(j.type, 8)))
            row = builder.load(builder.inttoptr(address, long.as_pointer()))
            return load_block(builder, FLOATS, builder.add(x, builder.mul(row, stride)), place, 4)

        total = cgutils.alloca_once(builder, FLOATS)
        with each_block(builder, blocks) as loop:
            place = builder.mul(loop, ir.Constant(loop.type, BLOCK))
            builder.store(part(ir.Constant(long, 0), place), total)
            with each_block(builder, builder.sub(n, ir.Constant(n.type, 1))) as rest:
                more = part(builder.add(rest, ir.Constant(long, 1)), place)
                builder.store(builder.fadd(builder.load(total), more), total)
            store_block(builder, builder.load(total), y, place, 4)
        return context.get_dummy_value()

    kinds = (types.intp,) * 6
    return types.void(*kinds), codegen


@intrinsic
def holds(typingctx: Any, row: Any, item: Any, blocks: Any) -> Any:
    """Return True if a row of codes (see `simrec.envs.block_copies`) holds an item."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        ones = ir.Constant(WORDS, [1] * BLOCK)
        twice = builder.shl(args[1], ir.Constant(args[1].type, 1))
        wanted = builder.or_(spread(builder, WORDS, twice), ones)  # as if it were liked
        found = cgutils.alloca_once_value(builder, ir.Constant(_BITS, [0] * BLOCK))
        with each_block(builder, args[2]) as loop:
            place = builder.mul(loop, ir.Constant(loop.type, BLOCK))
            codes = builder.or_(load_block(builder, WORDS, args[0], place, 4), ones)
            same = builder.icmp_signed("==", codes, wanted)
            builder.store(builder.or_(builder.load(found), same), found)
        return reduce_block(builder, "or.v16i1", ir.IntType(1), [builder.load(found)])

    return types.boolean(types.intp, types.int32, types.intp), codegen


def _prefetch(builder: Any, address: Any, *, write: bool = False) -> None:
    """Ask for a cache line: into the second cache, or into the first to be written."""
    word = ir.IntType(32)
    pointer = builder.inttoptr(address, ir.IntType(8).as_pointer())
    kind = ir.FunctionType(ir.VoidType(), [pointer.type, word, word, word])
    name = "llvm.prefetch.p0"
    function = builder.module.globals.get(name) or ir.Function(builder.module, kind, name)
    builder.call(function, [pointer, word(int(write)), word(3 if write else 2), word(1)])


@intrinsic
def fetch(typingctx: Any, address: Any) -> Any:
    """Ask the processor for the cache line at an address (llvm.prefetch, read).

    It is asked for into the second cache, which waits for more lines at a time than the first: rows
    of a big table come a third faster so.
    """

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        _prefetch(builder, args[0])
        return context.get_dummy_value()

    return types.void(types.intp), codegen


def _row_fetcher(*, write: bool) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        line = ir.Constant(args[0].type, 64)
        # as many for every row of a size, wherever it begins: so the processor knows what follows
        count = builder.lshr(builder.add(args[1], ir.Constant(line.type, 127)), line.type(6))
        with each_block(builder, count) as loop:
            _prefetch(builder, builder.add(args[0], builder.mul(loop, line)), write=write)
        return context.get_dummy_value()

    return types.void(types.intp, types.intp), codegen


@intrinsic
def fetch_row(typingctx: Any, address: Any, size: Any) -> Any:
    """Ask for the cache lines of a row of bytes, as `fetch`."""
    return _row_fetcher(write=False)


@intrinsic
def fetch_room(typingctx: Any, address: Any, size: Any) -> Any:
    """Ask for the cache lines of a row of bytes that is soon to be written, into the first cache.

    It must be a short row: more than a few push each other out of there.
    """
    return _row_fetcher(write=True)


@intrinsic
def at(typingctx: Any, address: Any) -> Any:
    """Return an address as a pointer."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.inttoptr(args[0], context.get_value_type(signature.return_type))

    return types.voidptr(types.intp), codegen


@intrinsic
def bits(typingctx: Any, word: Any) -> Any:
    """Return the float64 that has these bits."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.bitcast(args[0], context.get_value_type(signature.return_type))

    return types.float64(types.int64), codegen
