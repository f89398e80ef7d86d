"""The piece of the compiled step that finds the items which users have seen before."""

# numba reads the types off the arguments, so the functions below carry no annotations
# mypy: disable-error-code="no-untyped-def,no-untyped-call"

import numpy as np
from numba import carray

from simrec.envs.blocks import BLOCK, fetch, holds
from simrec.envs.blocks import at as pointer
from simrec.envs.kernel_parts import mark_of

# isort: off
# fmt: off
from simrec.envs.kernel_layout import (
    APPEARS, BEFORE, BY_MARK, BY_RECORD, CHUNK, COUNTS, EXPIRES, FOUND, HAS_LIVES, HISTORY, HITS,
    LANE_STEPS, LENGTH, MARKS, N_ITEMS, ODDS, RECORD, SEARCH, STEP, TAPE, WORDS, part,
)
# fmt: on
# isort: on


@part
def _ignore(k, n, at):
    """Set the odds to 0 of the items that HITS lists: a bit each, 16 places of a slate a word."""
    odds = carray(pointer(at[ODDS]), (k, CHUNK), np.float64)
    hits = carray(pointer(at[HITS]), ((k + BLOCK - 1) // BLOCK, CHUNK), np.int32)
    side = CHUNK if n > BLOCK else BLOCK
    for j in range(k):
        word, bit = hits[j // BLOCK], np.int32(1 << (j % BLOCK))
        for c in range(side):
            odds[j, c] = 0.0 if word[c] & bit else odds[j, c]


@part
def _heed_record(chunk, n, at, ints, slates):
    """Set the odds to 0 of items that the users have seen, by a look at the whole record."""
    k, tape, start = slates.shape[1], ints[TAPE], ints[BEFORE] + ints[HISTORY]
    blocks = (ints[LENGTH] + BLOCK - 1) // BLOCK
    steps = carray(pointer(at[LANE_STEPS]), (CHUNK,), np.int64)
    hits = carray(pointer(at[HITS]), (CHUNK,), np.int32)  # of the at most 8 places of such slates
    for c in range(n):
        b = chunk + c
        slate = carray(pointer(slates.ctypes.data + b * k * 8), k, np.int64)
        past = at[RECORD] + (b * tape + start + steps[c] * k - blocks * BLOCK) * 4
        seen = np.int32(0)
        for j in range(k):
            known = holds(past, np.int32(slate[j]), blocks)
            for i in range(j):
                known |= slate[i] == slate[j]
            seen |= np.int32(known) << np.int32(j)
        hits[c] = seen
    _ignore(k, n, at)


@part
def _heed_marks(chunk, n, at, ints, slates):
    """Set the odds to 0 of items that the users have seen, by their marks, and mark the slates."""
    k, words = slates.shape[1], ints[WORDS]
    n_hits = (k + BLOCK - 1) // BLOCK
    hits = carray(pointer(at[HITS]), (n_hits, CHUNK), np.int32)
    items_at, marks_at = slates.ctypes.data + chunk * k * 8, at[MARKS] + chunk * words * 8
    for c in range(n):
        marks = carray(pointer(marks_at + c * words * 8), words, np.uint64)
        for x in range(n_hits):
            few = min(BLOCK, k - x * BLOCK)
            items = carray(pointer(items_at + (c * k + x * BLOCK) * 8), few, np.uint64)
            seen = np.uint64(0)
            for j in range(few):
                word = (items[j] >> np.uint64(6)) & np.uint64(words - 1)
                bit, before = items[j] & np.uint64(63), marks[word]
                marks[word] = before | (np.uint64(1) << bit)
                seen |= ((before >> bit) & np.uint64(1)) << np.uint64(j)
            hits[x, c] = seen
    _ignore(k, n, at)


@part
def _heed_both(chunk, n, at, ints, slates):
    """Do so where items share marks: the record tells which of those marked have been seen."""
    batch, k = slates.shape
    tape, h, words = ints[TAPE], ints[HISTORY], ints[WORDS]
    counts = carray(pointer(at[COUNTS]), (4, batch), np.int64)
    odds = carray(pointer(at[ODDS]), (k * CHUNK,), np.float64)
    items = carray(pointer(slates.ctypes.data + chunk * k * 8), n * k, np.int64)
    marks = carray(pointer(at[MARKS] + chunk * words * 8), n * words, np.uint64)
    found = carray(pointer(at[FOUND]), (k * CHUNK,), np.int64)
    n_found = 0
    for c in range(n):
        for j in range(k):
            word, bits = mark_of(items[c * k + j], words, True)
            place = np.uint64(c * words) + word
            before = marks[place]
            marks[place] = before | bits
            found[n_found] = j * CHUNK + c  # written over, unless it counts
            n_found += (before & bits) == bits
    starts = at[RECORD] + (chunk * tape + ints[BEFORE]) * 4
    for x in range(n_found):
        c = found[x] % CHUNK
        for line in range(0, (h + counts[STEP, chunk + c] * k) * 4, 64):
            fetch(starts + c * tape * 4 + line)
    for x in range(n_found):
        j, c = found[x] // CHUNK, found[x] % CHUNK
        item, length = items[c * k + j], h + counts[STEP, chunk + c] * k
        blocks = (length + BLOCK - 1) // BLOCK
        known = holds(starts + (c * tape + length - blocks * BLOCK) * 4, np.int32(item), blocks)
        for i in range(j):  # or it is earlier in the slate
            known |= items[c * k + i] == item
        if known:
            odds[j * CHUNK + c] = 0.0


@part
def heed(chunk, n, at, ints, date, slates):
    """Set the odds to 0 of items that the users have seen, or that are not there."""
    k, n_items, search = slates.shape[1], ints[N_ITEMS], ints[SEARCH]
    if search == BY_RECORD:
        _heed_record(chunk, n, at, ints, slates)
    elif search == BY_MARK:
        _heed_marks(chunk, n, at, ints, slates)
    else:
        _heed_both(chunk, n, at, ints, slates)
    if ints[HAS_LIVES]:
        odds = carray(pointer(at[ODDS]), (k * CHUNK,), np.float64)
        appears = carray(pointer(at[APPEARS]), (n_items,), np.int64)
        expires = carray(pointer(at[EXPIRES]), (n_items,), np.int64)
        for c in range(n):
            for j in range(k):
                item = slates[chunk + c, j]
                if not (appears[item] <= date < expires[item]):
                    odds[j * CHUNK + c] = 0.0
