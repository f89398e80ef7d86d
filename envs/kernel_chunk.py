"""The pieces of the compiled step, each over one chunk of users.

Every piece is a loop of its own, although one loop could do them all: few numbers are in use in
each, so that the processor has room for them.
"""

# numba reads the types off the arguments, so the functions below carry no annotations
# mypy: disable-error-code="no-untyped-def,no-untyped-call"

import numpy as np
from numba import carray

from simrec.envs.blocks import BLOCK, add, dot, fetch, holds, put
from simrec.envs.blocks import at as pointer
from simrec.envs.kernel_parts import choose, exp, luck_of
from simrec.envs.kernel_scores import score_four, score_one

# isort: off
# fmt: off
from simrec.envs.kernel_layout import (
    AHEAD, ALIKE, APPEARS, ASIDE, BASE, BATCH, BEFORE, BY_BOREDOM, BY_MARK, BY_RECORD, CHOICE,
    CHUNK, CLICKED, CLICKS, COUNTS, EFFECT, EXPIRES, HAS_LIVES, HAS_SATED, HAS_SEEN, HAS_TILT,
    HISTORY, ITEMS, KEYS, KINDS, LANES, LATELY, LEAVES, LENGTH, LIKED, LUCK, MARKS, MOST, NEAR,
    N_ITEMS, N_MARKS, ODDS, OUT_FEEDBACK, OUT_HISTORY, QUERY, SATED, SCRATCH, SEARCH, SEEN, SIGNALS,
    STEP, TABLE, TAPE, THEMES, TILT, TOPICS, VECTOR, WIDE, WINDOW, WITHIN, part,
)
# fmt: on
# isort: on


@part
def fetch_ahead(chunk, n, at, ints, slates):
    """Ask for what a chunk will need of the long rows; short ones the processor asks for itself."""
    batch, k = slates.shape
    tape, length = ints[TAPE], ints[LENGTH]
    start, newest = ints[BEFORE] + ints[HISTORY], length - 2 * k
    marked = ints[SEARCH] != BY_RECORD
    counts = carray(pointer(at[COUNTS]), (batch, 4), np.int64)
    items_at, liked_at, marks_at = at[ITEMS], at[LIKED], at[MARKS]
    history_at, feedback_at = at[OUT_HISTORY], at[OUT_FEEDBACK]
    for b in range(chunk, min(chunk + n, batch)):
        if marked:
            for line in range(0, N_MARKS * 8, 64):
                fetch(marks_at + b * N_MARKS * 8 + line)
        place = (b * tape + start + counts[b, STEP] * k) * 4
        for line in range(-2 * BLOCK * 4, BLOCK * 4, 64):
            fetch(items_at + place + line)
        fetch(liked_at + place)
        place = b * length + newest
        for line in range(0, 16 * k + 64, 64):
            fetch(history_at + place * 8 + line)
        for line in range(0, 8 * k + 64, 64):
            fetch(feedback_at + place * 4 + line)


@part
def _fetch_rows(first, last, at, ints, slates):
    """Ask for what the table holds of the items first to last - 1 of the slates, row after row."""
    n, row_bytes = slates.size, ints[WIDE] * 4
    table_at, aside_at = at[TABLE], at[ASIDE]
    items = carray(pointer(slates.ctypes.data), n, np.int64)
    for x in range(first, min(last, n)):
        row = table_at + items[x] * row_bytes
        fetch(aside_at + items[x] * 8)
        for line in range(0, row_bytes, 64):
            fetch(row + line)


@part
def _wishes(chunk, n, at, ints, floats, k):
    """Fill what each user's moods make of topics, what an item starts from, and the luck."""
    batch, topics, window = ints[BATCH], ints[TOPICS], ints[WINDOW]
    has_sated, has_seen = ints[HAS_SATED], ints[HAS_SEEN]
    moods = has_sated or has_seen or ints[HAS_TILT]
    intercept, boredom, satiation, novelty = floats[1], floats[2], floats[10], floats[12]
    topic_bytes, blocks = topics * 4, topics // BLOCK
    counts = carray(pointer(at[COUNTS]), (batch, 4), np.int64)
    keys = carray(pointer(at[KEYS]), (batch,), np.uint64)
    effect = carray(pointer(at[EFFECT]), (batch,), np.float32)
    base = carray(pointer(at[BASE]), (CHUNK,), np.float64)
    luck = carray(pointer(at[LUCK]), (CHUNK,), np.float64)
    for c in range(n):
        b = chunk + c
        shown = counts[b, STEP] * k
        query = at[QUERY] + c * topic_bytes
        weight = np.float32(-boredom / max(min(window, shown), 1))
        put(query, at[LATELY] + b * topic_bytes, weight, blocks)
        base[c] = intercept + effect[b]
        if moods:
            add(query, at[TILT], np.float32(1.0), blocks)
            if has_sated:
                add(query, at[SATED] + b * topic_bytes, np.float32(-satiation), blocks)
            if has_seen:
                part = np.float32(-novelty / max(shown, 1))
                add(query, at[SEEN] + b * topic_bytes, part, blocks)
                base[c] += novelty
    if n == CHUNK:  # a number known beforehand makes vector instructions of it
        for c in range(CHUNK):
            luck[c] = luck_of(keys[chunk + c], counts[chunk + c, STEP], 0)
    else:
        for c in range(n):
            luck[c] = luck_of(keys[chunk + c], counts[chunk + c, STEP], 0)


@part
def score(chunk, n, at, ints, floats, slates):
    """Fill the utilities z of the slates, their exponentials, and the luck of the step."""
    batch, k = slates.shape
    topics, window, leaves = ints[TOPICS], ints[WINDOW], ints[LEAVES]
    row_bytes, topic_bytes = ints[WIDE] * 4, topics * 4
    table, aside, themes, query, z_at, kinds = (
        at[TABLE], at[ASIDE], at[THEMES], at[QUERY], at[SCRATCH], at[KINDS]
    )  # fmt: skip
    items, own = slates.ctypes.data + chunk * k * 8, at[VECTOR] + chunk * row_bytes
    far = ints[N_ITEMS] * row_bytes > NEAR
    _wishes(chunk, n, at, ints, floats, k)
    if k == 1:
        if far:
            _fetch_rows(chunk + CHUNK, chunk + 2 * CHUNK, at, ints, slates)
        for c in range(0, n - 3, 4):
            score_four(items + c * 8, z_at + c * 8, 8, kinds + c * 8, table, row_bytes, aside,
                       own + c * row_bytes, row_bytes, themes, topic_bytes,
                       query + c * topic_bytes, topic_bytes)  # fmt: skip
        for c in range(n // 4 * 4, n):
            score_one(items + c * 8, z_at + c * 8, 8, kinds + c * 8, table, row_bytes, aside,
                      own + c * row_bytes, 0, themes, topic_bytes,
                      query + c * topic_bytes, 0)  # fmt: skip
    else:
        for c in range(n):
            if far:
                ask = (chunk + c) * k + AHEAD
                _fetch_rows(ask, ask + k, at, ints, slates)
            x, y = c * k * 8, z_at + c * 8
            for _ in range(k // 4):
                score_four(items + x, y, CHUNK * 8, kinds + x, table, row_bytes, aside,
                           own, 0, themes, topic_bytes, query, 0)  # fmt: skip
                x, y = x + 32, y + 4 * CHUNK * 8
            for _ in range(k % 4):
                score_one(items + x, y, CHUNK * 8, kinds + x, table, row_bytes, aside,
                          own, 0, themes, topic_bytes, query, 0)  # fmt: skip
                x, y = x + 8, y + CHUNK * 8
            own += row_bytes
            query += topic_bytes
    base = carray(pointer(at[BASE]), (CHUNK,), np.float64)
    z = carray(pointer(z_at), (k * CHUNK,), np.float64)
    odds = carray(pointer(at[ODDS]), (k * CHUNK,), np.float64)
    for j in range(k):
        for c in range(CHUNK):
            x = j * CHUNK + c
            z[x] = min(max(z[x] + base[c], -MOST), MOST)
            odds[x] = exp(z[x])
    if leaves == BY_BOREDOM:
        alike = carray(pointer(at[ALIKE]), (CHUNK,), np.float64)
        counts = carray(pointer(at[COUNTS]), (batch, 4), np.int64)
        kind = carray(pointer(kinds), (CHUNK * k,), np.int64)
        for c in range(n):
            b = chunk + c
            lately = at[LATELY] + b * topic_bytes
            total = 0.0
            for j in range(k):
                total += dot(themes + kind[c * k + j] * topic_bytes, lately, topics // BLOCK)
            alike[c] = total / max(min(window, counts[b, STEP] * k), 1)


@part
def heed(chunk, n, at, ints, date, slates):
    """Set the odds to 0 of items that the users have seen, or that are not there."""
    batch, k = slates.shape
    n_items, search, tape = ints[N_ITEMS], ints[SEARCH], ints[TAPE]
    start, blocks = ints[BEFORE] + ints[HISTORY], (ints[LENGTH] + BLOCK - 1) // BLOCK
    counts = carray(pointer(at[COUNTS]), (batch, 4), np.int64)
    odds = carray(pointer(at[ODDS]), (k * CHUNK,), np.float64)
    slates_at, items_at, marks_at = slates.ctypes.data, at[ITEMS], at[MARKS]
    for c in range(n):
        b = chunk + c
        slate = carray(pointer(slates_at + b * k * 8), k, np.int64)
        past = items_at + (b * tape + start + counts[b, STEP] * k - blocks * BLOCK) * 4
        if search == BY_RECORD:
            for j in range(k):
                known = holds(past, np.int32(slate[j]), blocks)
                for i in range(j):
                    known |= slate[i] == slate[j]
                odds[j * CHUNK + c] = 0.0 if known else odds[j * CHUNK + c]
            continue
        marks = carray(pointer(marks_at + b * N_MARKS * 8), N_MARKS, np.uint64)
        for j in range(k):
            item = slate[j]
            word, bit = (item >> 6) & (N_MARKS - 1), np.uint64(1) << np.uint64(item & 63)
            before = marks[word]
            marks[word] = before | bit
            known = (before & bit) != np.uint64(0)
            if search == BY_MARK:
                odds[j * CHUNK + c] = 0.0 if known else odds[j * CHUNK + c]
            elif known:  # seen before, or earlier in the slate, or another item's mark
                if holds(past, np.int32(item), blocks):
                    odds[j * CHUNK + c] = 0.0
                for i in range(j):
                    if slate[i] == item:
                        odds[j * CHUNK + c] = 0.0
    if ints[HAS_LIVES]:
        appears = carray(pointer(at[APPEARS]), (n_items,), np.int64)
        expires = carray(pointer(at[EXPIRES]), (n_items,), np.int64)
        for c in range(n):
            for j in range(k):
                item = slates[chunk + c, j]
                if not (appears[item] <= date < expires[item]):
                    odds[j * CHUNK + c] = 0.0


@part
def respond(chunk, n, at, ints, floats, watched, slates):
    """Let the users choose, and write slates and clicks to their records."""
    batch, k = slates.shape
    tape, start = ints[TAPE], ints[BEFORE] + ints[HISTORY]
    counts = carray(pointer(at[COUNTS]), (batch, 4), np.int64)
    keys = carray(pointer(at[KEYS] + chunk * 8), (n,), np.uint64)
    luck = carray(pointer(at[LUCK]), (CHUNK,), np.float64)
    signals = carray(pointer(at[SIGNALS]), (CHUNK, 4), np.float64)
    odds = carray(pointer(at[ODDS]), (k, CHUNK), np.float64)
    clicked = carray(pointer(at[CLICKED]), (k, CHUNK), np.float32)
    within = carray(pointer(at[WITHIN]), (k, CHUNK), np.float64)
    lanes = carray(pointer(at[LANES]), (4, CHUNK), np.float64)
    steps = counts[chunk : chunk + n, STEP]
    choose(ints[CHOICE], n, floats[3], floats[4], watched, keys, steps, luck, lanes, odds, clicked,
           within)  # fmt: skip
    items_at, liked_at = at[ITEMS], at[LIKED]
    for c in range(n):
        b = chunk + c
        place = (b * tape + start + counts[b, STEP] * k) * 4
        record = carray(pointer(items_at + place), k, np.int32)
        liked = carray(pointer(liked_at + place), k, np.float32)
        clicks = np.float32(0.0)
        for j in range(k):
            clicks += clicked[j, c]
            record[j] = slates[b, j]
            liked[j] = clicked[j, c]
        signals[c, CLICKS] = clicks
