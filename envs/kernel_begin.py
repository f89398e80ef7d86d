"""Beginning sessions and keeping their record, compiled."""

# numba reads the types off the arguments, so the functions below carry no annotations
# mypy: disable-error-code="no-untyped-def,no-untyped-call"

import math
from typing import Any

import numpy as np
from numba import carray

from simrec.envs.block_copies import clear, copy, encode
from simrec.envs.blocks import BLOCK, fetch
from simrec.envs.blocks import at as pointer
from simrec.envs.kernel_parts import (
    ARRIVAL,
    mark_of,
    place,
    session_key,
    show,
    show_newest,
    then,
    unit,
)

# isort: off
# fmt: off
from simrec.envs.kernel_layout import (
    ARRIVALS, BATCH, BEFORE, BY_BOTH, BY_RECORD, CLICKS, COUNTS, EFFECT, EFFORT, EPISODE, HAS_DRIFT,
    HAS_FACTORS, HAS_RING, HAS_SATED, HAS_SEEN, HISTORY, KEYS, LATELY, MARKS, N_ARRIVALS, N_THEMES,
    N_USERS, OUT_FEEDBACK, OUT_HISTORY, OUT_STEP, OUT_WHO, REACH, RECORD, REWARD, RING, SATED,
    SEARCH, SEEN, STAMP, START_ITEMS, START_LIKED, STEP, STREAK, SUMS, TAPE, TOPICS, USER,
    USER_EFFECT, USER_VECTORS, VECTOR, WIDE, WIDTH, WINDOW, WORDS, entry, part,
)
# fmt: on
# isort: on


@part
def fetch_user(u, at, ints):
    """Ask for what the world holds of a user: the history before the session, and the tastes."""
    h, width = ints[HISTORY], ints[WIDTH]
    for line in range(0, h * 8 + 64, 64):
        fetch(at[START_ITEMS] + u * h * 8 + line)
    fetch(at[START_LIKED] + u * h * 4)
    if ints[HAS_FACTORS]:
        for line in range(0, width * 4, 64):
            fetch(at[USER_VECTORS] + u * width * 4 + line)


@part
def begin_row(b, u, episode, key, at, ints):
    """Begin one session's state: user u in batch row b. The caller shows it."""
    batch, h, before, tape, width, wide, topics = (
        ints[BATCH], ints[HISTORY], ints[BEFORE], ints[TAPE], ints[WIDTH], ints[WIDE], ints[TOPICS]
    )  # fmt: skip
    n_users = ints[N_USERS]
    counts = carray(pointer(at[COUNTS]), (4, batch), np.int64)
    sums = carray(pointer(at[SUMS]), (3, batch), np.float64)
    keys = carray(pointer(at[KEYS]), (batch,), np.uint64)
    record_at = at[RECORD] + (b * tape + before) * 4
    start_items_at, start_liked_at = at[START_ITEMS] + u * h * 8, at[START_LIKED] + u * h * 4
    start_items = carray(pointer(start_items_at), h, np.int64)
    own = at[USER_VECTORS] + u * width * 4
    keys[b] = key
    counts[STEP, b] = 0
    counts[STREAK, b] = 0
    counts[USER, b] = u
    counts[EPISODE, b] = episode
    sums[CLICKS, b] = 0.0
    sums[REWARD, b] = 0.0
    sums[EFFORT, b] = 0.0
    if h >= BLOCK // 2:
        encode(record_at, start_items_at, start_liked_at, h)
    else:
        record = carray(pointer(record_at), h, np.int32)
        start_liked = carray(pointer(start_liked_at), h, np.float32)
        for x in range(h):
            record[x] = 2 * start_items[x] + (start_liked[x] > 0)
    if ints[SEARCH] != BY_RECORD:
        words = ints[WORDS]
        marks = carray(pointer(at[MARKS] + b * words * 8), words, np.uint64)
        clear(at[MARKS] + b * words * 8, words // 8)
        for x in range(h):
            word, bits = mark_of(start_items[x], words, ints[SEARCH] == BY_BOTH)
            marks[word] |= bits
    if ints[HAS_RING]:
        ring = carray(pointer(at[RING]), (ints[WINDOW], batch), np.int32)
        for x in range(ints[WINDOW]):
            ring[x, b] = ints[N_THEMES]  # the row of zeros after the themes
    if ints[HAS_SATED]:
        clear(at[SATED] + b * topics * 4, topics // BLOCK)
    if ints[HAS_SEEN]:
        clear(at[SEEN] + b * topics * 4, topics // BLOCK)
    if ints[HAS_FACTORS]:
        clear(at[LATELY] + b * topics * 4, topics // BLOCK)
        effect = carray(pointer(at[EFFECT]), (batch,), np.float32)
        reach = carray(pointer(at[REACH]), (batch,), np.float32)
        vector = carray(pointer(at[VECTOR] + b * wide * 4), wide, np.float32)
        taste = carray(pointer(own), width, np.float32)
        copy(at[VECTOR] + b * wide * 4, own, width // BLOCK)
        effect[b] = carray(pointer(at[USER_EFFECT]), (n_users,), np.float32)[u]
        for d in range(width // BLOCK * BLOCK, width):
            vector[d] = taste[d]
        if ints[HAS_DRIFT]:
            square = np.float32(0.0)
            for d in range(width):
                square += taste[d] * taste[d]
            reach[b] = math.sqrt(square)


@part
def who_arrives(key, at, ints):
    """Return the user that comes for the session with this luck."""
    arrivals = carray(pointer(at[ARRIVALS]), (ints[N_ARRIVALS],), np.int64)
    luck = unit(then(then(key, np.int64(0)), ARRIVAL))
    return arrivals[np.int64(luck * len(arrivals))]


@part
def _begin(at, ints, seed, rows, episodes, users):
    """Begin episodes (n,) in batch rows (n,); users (n,) below 0 are drawn and written."""
    batch = ints[BATCH]
    step = carray(pointer(at[OUT_STEP]), (batch,), np.int64)
    who = carray(pointer(at[OUT_WHO]), (batch, 2), np.int64)
    for r in range(len(rows)):
        b = rows[r]
        key = session_key(b, episodes[r], seed, at, ints)
        if users[r] < 0:
            users[r] = who_arrives(key, at, ints)
        begin_row(b, users[r], episodes[r], key, at, ints)
        show(b, 0, b, at, ints, OUT_HISTORY, OUT_FEEDBACK)
        step[b] = 0
        who[b, 0] = users[r]
        who[b, 1] = episodes[r]
    return len(rows)


@part
def _record(at, ints, first, slates, clicked):
    """Append a step, slates (B, k) and clicked (B, k), to every record and show it.

    Histories begin at `first` of their rooms; at 0 all of every observation is written.
    """
    fresh = place(at, first)
    batch, k = slates.shape
    h, before, tape = ints[HISTORY], ints[BEFORE], ints[TAPE]
    counts = carray(pointer(at[COUNTS]), (4, batch), np.int64)
    record = carray(pointer(at[RECORD]), (batch, tape), np.int32)
    step = carray(pointer(at[OUT_STEP]), (batch,), np.int64)
    for b in range(batch):
        end = before + h + counts[STEP, b] * k
        for j in range(k):
            record[b, end + j] = 2 * slates[b, j] + (clicked[b, j] > 0)
        counts[STEP, b] += 1
        step[b] = counts[STEP, b]
        if fresh or step[b] == 1:
            show(b, step[b], b, at, ints, OUT_HISTORY, OUT_FEEDBACK)
        else:
            show_newest(b, 1, at, ints)
    return batch


def _begin_entry(stamp: int) -> Any:
    @entry
    def begin(at, ints, seed, rows, episodes, users):
        return _begin(at, ints, seed, rows, episodes, users) if stamp else 0

    return begin


#: Begin episodes (n,) in batch rows (n,); users (n,) below 0 are drawn and written.
begin = _begin_entry(STAMP)


def _record_entry(stamp: int) -> Any:
    @entry
    def record(at, ints, first, slates, clicked):
        return _record(at, ints, first, slates, clicked) if stamp else 0

    return record


#: Append a step, slates (B, k) and clicked (B, k), to every record and show it.
record = _record_entry(STAMP)
