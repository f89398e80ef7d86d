"""The step of latent-factor users as one compiled pass over the batch (numba).

It does what `simrec.envs.reference` does, on the same arrays; a test compares the two. Only the k
shown items are touched: one packed row of the item table each, fetched ahead of time. Arrays come
in as addresses (see `simrec.envs.compiled`), because handing forty arrays to compiled code costs
more than a step of one user. Rows are padded with zeros to blocks of 16 numbers.
"""

# numba reads the types off the arguments, so the functions below carry no annotations
# mypy: disable-error-code="no-untyped-def,no-untyped-call"

from typing import Any

import numpy as np
from numba import carray

from simrec.envs.blocks import at as pointer
from simrec.envs.blocks import fetch_row
from simrec.envs.kernel_after import display, look_on, remember, settle
from simrec.envs.kernel_begin import begin_row, fetch_user, who_arrives
from simrec.envs.kernel_chunk import respond, score
from simrec.envs.kernel_heed import heed
from simrec.envs.kernel_parts import fetch_shown, place, session_key, show

# isort: off
# fmt: off
from simrec.envs.kernel_layout import (
    BATCH, BEFORE, BY_BUDGET, BY_LIKES, BY_MINUTES, CHUNK, CLICKS, COUNTS, ENDED, EPISODE,
    HAS_WATCH, HISTORY, HORIZON, KEYS, LAST_COUNTS, LAST_FEEDBACK, LAST_HISTORY, LAST_STEP,
    LAST_SUMS, LEAVES, N_ITEMS, OUT_FEEDBACK, OUT_HISTORY, OUT_STEP, OUT_WHO, PAYS, RECORD, REWARD,
    STAMP, STEP, SUMS, TAPE, USER, WINDOW, entry, part,
)
# fmt: on
# isort: on


@part
def _refused(at, ints, again, slates):
    """Return True if an item is outside the catalogue, or a session has no room for a step.

    That cannot be where sessions begin again at once.
    """
    batch, k = slates.shape
    n_items, horizon = ints[N_ITEMS], ints[HORIZON]
    counts = carray(pointer(at[COUNTS]), (4, batch), np.int64)
    items = carray(pointer(slates.ctypes.data), batch * k, np.int64)
    wrong = 0
    if not again:
        for b in range(batch):
            wrong |= counts[STEP, b] >= horizon
    for x in range(batch * k):
        wrong |= (items[x] < 0) | (items[x] >= n_items)
    return wrong != 0


@part
def _greet(at, ints, seed, known, n_ended):
    """See who comes next to the rows listed in ENDED from `known` on, and ask for what it takes."""
    batch = ints[BATCH]
    counts = carray(pointer(at[COUNTS]), (4, batch), np.int64)
    keys = carray(pointer(at[KEYS]), (batch,), np.uint64)
    ended = carray(pointer(at[ENDED]), (1 + batch,), np.int64)
    last_counts = carray(pointer(at[LAST_COUNTS]), (batch, 3), np.int64)
    for x in range(known + 1, n_ended + 1):
        b = ended[x]
        last_counts[b, 0] = counts[USER, b]
        last_counts[b, 1] = counts[EPISODE, b]
        last_counts[b, 2] = counts[STEP, b]
        keys[b] = session_key(b, counts[EPISODE, b] + 1, seed, at, ints)
        user = who_arrives(keys[b], at, ints)
        fetch_user(user, at, ints)
        fetch_shown(b, at, ints, OUT_HISTORY, OUT_FEEDBACK)
        tape = b * ints[TAPE] + ints[BEFORE]
        fetch_row(at[RECORD] + tape * 4, ints[HISTORY] * 4)
        counts[USER, b] = user


@part
def _begin_again(at, ints, known, n_ended):
    """Keep the ends of the sessions listed in ENDED from `known` on, and begin the next ones."""
    batch = ints[BATCH]
    counts = carray(pointer(at[COUNTS]), (4, batch), np.int64)
    sums = carray(pointer(at[SUMS]), (3, batch), np.float64)
    keys = carray(pointer(at[KEYS]), (batch,), np.uint64)
    ended = carray(pointer(at[ENDED]), (1 + batch,), np.int64)
    step_out = carray(pointer(at[OUT_STEP]), (batch,), np.int64)
    who = carray(pointer(at[OUT_WHO]), (batch, 2), np.int64)
    last_step = carray(pointer(at[LAST_STEP]), (batch,), np.int64)
    last_sums = carray(pointer(at[LAST_SUMS]), (batch, 2), np.float64)
    for x in range(known + 1, n_ended + 1):
        b = ended[x]
        step = counts[STEP, b]
        show(b, step, x - 1, at, ints, LAST_HISTORY, LAST_FEEDBACK)
        last_step[x - 1] = step
        last_sums[b, 0] = sums[CLICKS, b]
        last_sums[b, 1] = sums[REWARD, b]
        begin_row(b, counts[USER, b], counts[EPISODE, b] + 1, keys[b], at, ints)
        show(b, 0, b, at, ints, OUT_HISTORY, OUT_FEEDBACK)
        step_out[b] = 0
        who[b, 0] = counts[USER, b]
        who[b, 1] = counts[EPISODE, b]


@part
def _forget_ends(at, batch):
    """Clear the counts and sums of the sessions that ended two steps ago."""
    ended = carray(pointer(at[ENDED]), (1 + batch,), np.int64)
    counts = carray(pointer(at[LAST_COUNTS]), (batch, 3), np.int64)
    sums = carray(pointer(at[LAST_SUMS]), (batch, 2), np.float64)
    for x in range(1, 1 + ended[0]):
        for y in range(3):
            counts[ended[x], y] = 0
        for y in range(2):
            sums[ended[x], y] = 0.0


@part
def _advance(at, ints, floats, seed, date, again, first, slates):
    """Show slates (B, k) to FactorUsers; return how many sessions ended, or -1 for a wrong item.

    With `again` the sessions that ended begin again at once, and their last observations and sums
    are kept beside; their rows are listed either way. Histories begin at `first` of their rooms;
    at 0 all of every observation is written, else what was not there two steps ago.
    """
    if _refused(at, ints, again, slates):
        return -1
    fresh = place(at, first)
    batch, k = slates.shape
    watched = (
        ints[PAYS] in (BY_MINUTES, BY_LIKES) or ints[LEAVES] == BY_BUDGET or ints[HAS_WATCH] > 0
    )
    oldest = date * k % ints[WINDOW]
    ended = carray(pointer(at[ENDED]), (1 + batch,), np.int64)
    if again:
        _forget_ends(at, batch)
    n_ended = 0
    for chunk in range(0, batch, CHUNK):
        n = min(CHUNK, batch - chunk)
        score(chunk, n, at, ints, floats, slates)
        heed(chunk, n, at, ints, date, slates)
        respond(chunk, n, at, ints, floats, watched, slates)
        if watched:
            look_on(chunk, n, at, ints, k)
        remember(chunk, n, at, ints, floats, oldest, slates)
        known = n_ended
        n_ended = settle(chunk, n, at, ints, floats, known)
        if again:
            _greet(at, ints, seed, known, n_ended)
        display(chunk, n, at, ints, again, fresh)
        if again:
            _begin_again(at, ints, known, n_ended)
    ended[0] = n_ended
    return n_ended


def _advance_entry(stamp: int) -> Any:
    @entry
    def advance(at, ints, floats, seed, date, again, first, slates):
        return _advance(at, ints, floats, seed, date, again, first, slates) if stamp else 0

    return advance


#: Show slates (B, k); return how many sessions ended, listed in ENDED, or -1 for a wrong item.
advance = _advance_entry(STAMP)
