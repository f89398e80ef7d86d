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

# isort: off
# fmt: off
from simrec.envs.kernel_layout import (
    AHEAD, ALIKE, APPEARS, BEFORE, BY_BOREDOM, BY_MARK, BY_RECORD, CHOICE, CHUNK, CLICKED, CLICKS,
    COUNTS, EFFECT, EXPIRES, HAS_LIVES, HAS_SATED, HAS_SEEN, HAS_TILT, HISTORY, ITEMS, KEYS, LATELY,
    LEAVES, LENGTH, LIKED, LUCK, MARKS, MOST, NEAR, N_ITEMS, N_MARKS, ODDS, OUT_FEEDBACK,
    OUT_HISTORY, SATED, SCRATCH, SEARCH, SEEN, SIGNALS, STEP, TABLE, TAPE, TILT, TOPICS, VECTOR,
    WIDE, WINDOW, WITHIN, part,
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
def score(chunk, n, at, ints, floats, slates):
    """Fill the utilities z of the slates, their exponentials, and the luck of the step."""
    batch, k = slates.shape
    wide, topics, window, leaves = ints[WIDE], ints[TOPICS], ints[WINDOW], ints[LEAVES]
    has_sated, has_seen = ints[HAS_SATED], ints[HAS_SEEN]
    moods = has_sated or has_seen or ints[HAS_TILT]
    intercept, boredom, satiation, novelty = floats[1], floats[2], floats[10], floats[12]
    counts = carray(pointer(at[COUNTS]), (batch, 4), np.int64)
    keys = carray(pointer(at[KEYS]), (batch,), np.uint64)
    effect = carray(pointer(at[EFFECT]), (batch,), np.float32)
    every_z = carray(pointer(at[SCRATCH]), (CHUNK * k,), np.float64)
    odds = carray(pointer(at[ODDS]), (CHUNK * k,), np.float64)
    luck = carray(pointer(at[LUCK]), (CHUNK,), np.float64)
    alike = carray(pointer(at[ALIKE]), (CHUNK,), np.float64)
    table_at, slates_at, z_at = at[TABLE], slates.ctypes.data, at[SCRATCH]
    row_bytes, to_topics, topic_bytes = (wide + topics) * 4, wide * 4, topics * 4
    blocks, topic_blocks = (wide + topics) // BLOCK, topics // BLOCK
    ahead, far = (AHEAD + k - 1) // k, ints[N_ITEMS] * row_bytes > NEAR
    for c in range(n):
        b = chunk + c
        if far and b + ahead < batch:
            coming = carray(pointer(slates_at + (b + ahead) * k * 8), k, np.int64)
            for j in range(k):
                address = table_at + coming[j] * row_bytes
                for line in range(0, row_bytes, 64):
                    fetch(address + line)
        slate = carray(pointer(slates_at + b * k * 8), k, np.int64)
        z = carray(pointer(z_at + c * k * 8), k, np.float64)
        shown = counts[b, STEP] * k
        lately = at[LATELY] + b * topic_bytes
        # the query: its inner product with an item's row is the item's utility
        share = 1.0 / max(min(window, shown), 1)
        base = intercept + effect[b]
        query = at[VECTOR] + b * row_bytes
        put(query + to_topics, lately, np.float32(-boredom * share), topic_blocks)
        if moods:
            add(query + to_topics, at[TILT], np.float32(1.0), topic_blocks)
            if has_sated:
                tired = at[SATED] + b * topic_bytes
                add(query + to_topics, tired, np.float32(-satiation), topic_blocks)
            if has_seen:
                part = np.float32(-novelty / max(shown, 1))
                add(query + to_topics, at[SEEN] + b * topic_bytes, part, topic_blocks)
                base += novelty
        for j in range(k):
            z[j] = base + dot(table_at + slate[j] * row_bytes, query, blocks)
        if leaves == BY_BOREDOM:
            alike[c] = 0.0
            for j in range(k):
                row = table_at + slate[j] * row_bytes
                alike[c] += dot(row + to_topics, lately, topic_blocks) * share
    for x in range(n * k):
        every_z[x] = min(max(every_z[x], -MOST), MOST)
        odds[x] = exp(every_z[x])
    for c in range(n):
        luck[c] = luck_of(keys[chunk + c], counts[chunk + c, STEP], 0)


@part
def heed(chunk, n, at, ints, date, slates):
    """Set the odds to 0 of items that the users have seen, or that are not there."""
    batch, k = slates.shape
    n_items, search, tape = ints[N_ITEMS], ints[SEARCH], ints[TAPE]
    start, blocks = ints[BEFORE] + ints[HISTORY], (ints[LENGTH] + BLOCK - 1) // BLOCK
    counts = carray(pointer(at[COUNTS]), (batch, 4), np.int64)
    slates_at, odds_at, items_at, marks_at = slates.ctypes.data, at[ODDS], at[ITEMS], at[MARKS]
    for c in range(n):
        b = chunk + c
        slate = carray(pointer(slates_at + b * k * 8), k, np.int64)
        odds = carray(pointer(odds_at + c * k * 8), k, np.float64)
        past = items_at + (b * tape + start + counts[b, STEP] * k - blocks * BLOCK) * 4
        if search == BY_RECORD:
            for j in range(k):
                known = holds(past, np.int32(slate[j]), blocks)
                for i in range(j):
                    known |= slate[i] == slate[j]
                odds[j] = 0.0 if known else odds[j]
            continue
        marks = carray(pointer(marks_at + b * N_MARKS * 8), N_MARKS, np.uint64)
        for j in range(k):
            item = slate[j]
            word, bit = (item >> 6) & (N_MARKS - 1), np.uint64(1) << np.uint64(item & 63)
            before = marks[word]
            marks[word] = before | bit
            known = (before & bit) != np.uint64(0)
            if search == BY_MARK:
                odds[j] = 0.0 if known else odds[j]
            elif known:  # seen before, or earlier in the slate, or another item's mark
                if holds(past, np.int32(item), blocks):
                    odds[j] = 0.0
                for i in range(j):
                    if slate[i] == item:
                        odds[j] = 0.0
    if ints[HAS_LIVES]:
        appears = carray(pointer(at[APPEARS]), (n_items,), np.int64)
        expires = carray(pointer(at[EXPIRES]), (n_items,), np.int64)
        every = carray(pointer(odds_at), n * k, np.float64)
        shown = carray(pointer(slates_at + chunk * k * 8), n * k, np.int64)
        for x in range(n * k):
            if not (appears[shown[x]] <= date < expires[shown[x]]):
                every[x] = 0.0


@part
def respond(chunk, n, at, ints, floats, watched, slates):
    """Let the users choose, and write slates and clicks to their records."""
    batch, k = slates.shape
    choice, tape, start = ints[CHOICE], ints[TAPE], ints[BEFORE] + ints[HISTORY]
    attention, browse = floats[3], floats[4]
    counts = carray(pointer(at[COUNTS]), (batch, 4), np.int64)
    keys = carray(pointer(at[KEYS]), (batch,), np.uint64)
    luck = carray(pointer(at[LUCK]), (CHUNK,), np.float64)
    signals = carray(pointer(at[SIGNALS]), (CHUNK, 4), np.float64)
    every_odds = carray(pointer(at[ODDS]), (CHUNK * k,), np.float64)
    every_click = carray(pointer(at[CLICKED]), (CHUNK * k,), np.float32)
    every_within = carray(pointer(at[WITHIN]), (CHUNK * k,), np.float64)
    slates_at, odds_at, clicked_at = slates.ctypes.data, at[ODDS], at[CLICKED]
    within_at, items_at, liked_at = at[WITHIN], at[ITEMS], at[LIKED]
    if k == 1:  # where all kinds agree
        for c in range(n):
            q = every_odds[c] / (1.0 + every_odds[c])
            every_click[c] = 1.0 if luck[c] < q else 0.0
            if watched:
                every_within[c] = min(luck[c] / max(q, 1e-300), 1.0)
    else:
        for c in range(n):
            odds = carray(pointer(odds_at + c * k * 8), k, np.float64)
            clicked = carray(pointer(clicked_at + c * k * 4), k, np.float32)
            within = carray(pointer(within_at + c * k * 8), k, np.float64)
            b = chunk + c
            step = counts[b, STEP]
            choose(choice, k, attention, browse, keys[b], step, luck[c], odds, clicked, within)
    for c in range(n):
        b = chunk + c
        place = (b * tape + start + counts[b, STEP] * k) * 4
        slate = carray(pointer(slates_at + b * k * 8), k, np.int64)
        clicked = carray(pointer(clicked_at + c * k * 4), k, np.float32)
        record = carray(pointer(items_at + place), k, np.int32)
        liked = carray(pointer(liked_at + place), k, np.float32)
        clicks = np.float32(0.0)
        for j in range(k):
            clicks += clicked[j]
            record[j] = slate[j]
            liked[j] = clicked[j]
        signals[c, CLICKS] = clicks
