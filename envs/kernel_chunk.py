"""The pieces of the compiled step, each over one chunk of users.

Every piece is a loop of its own, although one loop could do them all: few numbers are in use in
each, so that the processor has room for them.
"""

# numba reads the types off the arguments, so the functions below carry no annotations
# mypy: disable-error-code="no-untyped-def,no-untyped-call"

import numpy as np
from numba import carray

from simrec.envs.block_copies import encode_eight
from simrec.envs.blocks import BLOCK, add, dot, fetch, fetch_row, put
from simrec.envs.blocks import at as pointer
from simrec.envs.kernel_parts import choose, exp, fetch_shown, luck_of
from simrec.envs.kernel_scores import (
    score_each,
    score_eight,
    score_four,
    score_one,
    score_two,
)

# isort: off
# fmt: off
from simrec.envs.kernel_layout import (
    AHEAD, ALIKE, ASIDE, BASE, BATCH, BEFORE, BY_BOREDOM, BY_RECORD, CHOICE, CHUNK, CLICKED, CLICKS,
    COUNTS, CROWD, EFFECT, HAS_SATED, HAS_SEEN, HAS_TILT, HISTORY, HITS, KEYS, KINDS, LANES,
    LANE_KEYS, LANE_STEPS, LATELY, LEAVES, LENGTH, LUCK, MARKS, MOST, NEAR, N_ITEMS, ODDS,
    OUT_FEEDBACK, OUT_HISTORY, QUERY, RECORD, SATED, SCRATCH, SEARCH, SEEN, SHOWN, SIGNALS, STEP,
    TABLE, TAPE, THEMES, TILT, TOPICS, VECTOR, WEIGHTS, WIDE, WINDOW, WITHIN, WORDS, YOUNG, part,
)
# fmt: on
# isort: on


@part
def _fetch_rows(first, last, items, table, row_bytes, aside):
    """Ask for what the table holds of the items whose numbers lie from `first` on."""
    for place in range(items + first * 8, items + last * 8, 8):
        item = carray(pointer(place), 1, np.int64)[0]
        row = table + item * row_bytes
        fetch(aside + item * 8)
        for line in range(0, row_bytes, 64):
            fetch(row + line)


@part
def _fetch_newest(b, step, at, ints):
    """Ask for what a step reads and writes of a session's record, marks and observation."""
    length, k, words = ints[LENGTH], ints[SHOWN], ints[WORDS]
    place = b * ints[TAPE] + ints[BEFORE] + ints[HISTORY] + (step - 1) * k
    new = min(2 * k, length)
    fetch_row(at[RECORD] + place * 4, 2 * k * 4)
    fetch_row(at[OUT_HISTORY] + ((b + 1) * length - new) * 8, new * 8)
    fetch_row(at[OUT_FEEDBACK] + ((b + 1) * length - new) * 4, new * 4)
    if ints[SEARCH] != BY_RECORD:
        fetch_row(at[MARKS] + b * words * 8, words * 8)


@part
def _wishes(chunk, n, at, ints, floats, k):
    """Fill what each user's moods make of topics, what an item starts from, and the luck.

    Rows whose session now has its first step are listed in YOUNG, their number in front.
    """
    batch, topics, window = ints[BATCH], ints[TOPICS], ints[WINDOW]
    has_sated, has_seen = ints[HAS_SATED], ints[HAS_SEEN]
    moods = has_sated or has_seen or ints[HAS_TILT]
    intercept, satiation, novelty = floats[1], floats[10], floats[12]
    topic_bytes, blocks = topics * 4, topics // BLOCK
    steps = carray(pointer(at[COUNTS] + (STEP * batch + chunk) * 8), n, np.int64)
    keys = carray(pointer(at[KEYS] + chunk * 8), n, np.uint64)
    effect = carray(pointer(at[EFFECT] + chunk * 4), n, np.float32)
    weights = carray(pointer(at[WEIGHTS]), (window + 1,), np.float32)
    query_at, lately = at[QUERY], at[LATELY]
    base = carray(pointer(at[BASE]), (CHUNK,), np.float64)
    luck = carray(pointer(at[LUCK]), (CHUNK,), np.float64)
    lane_keys = carray(pointer(at[LANE_KEYS]), (CHUNK,), np.uint64)
    lane_steps = carray(pointer(at[LANE_STEPS]), (CHUNK,), np.int64)
    young = carray(pointer(at[YOUNG]), (2 + CHUNK,), np.int64)
    n_young = 0
    for c in range(n):
        lane_keys[c] = keys[c]
    for c in range(n):
        lane_steps[c] = steps[c]
    for c in range(n):
        base[c] = effect[c]
    for c in range(n):
        base[c] += intercept
    for c in range(n):
        young[1 + n_young] = chunk + c  # written over, unless it counts
        n_young += lane_steps[c] == 0
    for c in range(n):
        b, shown = chunk + c, lane_steps[c] * k
        query = query_at + c * topic_bytes
        put(query, lately + b * topic_bytes, weights[min(window, shown)], blocks)
        if moods:
            add(query, at[TILT], np.float32(1.0), blocks)
            if has_sated:
                add(query, at[SATED] + b * topic_bytes, np.float32(-satiation), blocks)
            if has_seen:
                part = np.float32(-novelty / max(shown, 1))
                add(query, at[SEEN] + b * topic_bytes, part, blocks)
                base[c] += novelty
    young[0] = n_young
    for x in range(1, 1 + n_young):
        fetch_shown(young[x], at, ints, OUT_HISTORY, OUT_FEEDBACK)
    for c in range(CHUNK if n > BLOCK else BLOCK):
        luck[c] = luck_of(lane_keys[c], lane_steps[c], 0)


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
    crowded = batch * ints[LENGTH] > CROWD
    steps = carray(pointer(at[LANE_STEPS]), (CHUNK,), np.int64)
    far, end, ahead = ints[N_ITEMS] * row_bytes > NEAR, (batch - chunk) * k, max(AHEAD // k, 1)
    if far and chunk == 0:
        _fetch_rows(0, min(ahead * k, end), items, table, row_bytes, aside)
    _wishes(chunk, n, at, ints, floats, k)
    if k == 1:
        for c in range(0, n - 3, 4):
            if far:
                ask = min(c + ahead, end)
                _fetch_rows(ask, min(ask + 4, end), items, table, row_bytes, aside)
            score_each(items + c * 8, z_at + c * 8, 8, kinds + c * 8, table, row_bytes, aside,
                       own + c * row_bytes, row_bytes, themes, topic_bytes,
                       query + c * topic_bytes, topic_bytes)  # fmt: skip
        for c in range(n // 4 * 4, n):
            score_one(items + c * 8, z_at + c * 8, 8, kinds + c * 8, table, row_bytes, aside,
                      own + c * row_bytes, 0, themes, topic_bytes,
                      query + c * topic_bytes, 0)  # fmt: skip
    else:
        for c in range(n):
            if far:
                ask = min((c + ahead) * k, end)
                _fetch_rows(ask, min(ask + k, end), items, table, row_bytes, aside)
            if crowded:
                _fetch_newest(chunk + c, steps[c], at, ints)
            x, y = c * k * 8, z_at + c * 8
            for _ in range(k // 8):
                score_eight(items + x, y, CHUNK * 8, kinds + x, table, row_bytes, aside,
                            own, 0, themes, topic_bytes, query, 0)  # fmt: skip
                x, y = x + 64, y + 8 * CHUNK * 8
            if k & 4:
                score_four(items + x, y, CHUNK * 8, kinds + x, table, row_bytes, aside,
                           own, 0, themes, topic_bytes, query, 0)  # fmt: skip
                x, y = x + 32, y + 4 * CHUNK * 8
            if k & 2:
                score_two(items + x, y, CHUNK * 8, kinds + x, table, row_bytes, aside,
                          own, 0, themes, topic_bytes, query, 0)  # fmt: skip
                x, y = x + 16, y + 2 * CHUNK * 8
            if k & 1:
                score_one(items + x, y, CHUNK * 8, kinds + x, table, row_bytes, aside,
                          own, 0, themes, topic_bytes, query, 0)  # fmt: skip
            own += row_bytes
            query += topic_bytes
    base = carray(pointer(at[BASE]), (CHUNK,), np.float64)
    z = carray(pointer(z_at), (k * CHUNK,), np.float64)
    odds = carray(pointer(at[ODDS]), (k * CHUNK,), np.float64)
    side = CHUNK if n > BLOCK else BLOCK  # users side by side: few, for one alone
    for j in range(k):
        for c in range(side):
            x = j * CHUNK + c
            z[x] = min(max(z[x] + base[c], -MOST), MOST)
            odds[x] = exp(z[x])
    if leaves == BY_BOREDOM:
        alike = carray(pointer(at[ALIKE]), (CHUNK,), np.float64)
        counts = carray(pointer(at[COUNTS]), (4, batch), np.int64)
        kind = carray(pointer(kinds), (CHUNK * k,), np.int64)
        for c in range(n):
            b = chunk + c
            lately = at[LATELY] + b * topic_bytes
            total = 0.0
            for j in range(k):
                total += dot(themes + kind[c * k + j] * topic_bytes, lately, topics // BLOCK)
            alike[c] = total / max(min(window, counts[STEP, b] * k), 1)


@part
def respond(chunk, n, at, ints, floats, watched, slates):
    """Let the users choose, and write slates and clicks to their records."""
    batch, k = slates.shape
    tape, start = ints[TAPE], ints[BEFORE] + ints[HISTORY]
    keys = carray(pointer(at[LANE_KEYS]), (CHUNK,), np.uint64)
    steps = carray(pointer(at[LANE_STEPS]), (CHUNK,), np.int64)
    luck = carray(pointer(at[LUCK]), (CHUNK,), np.float64)
    clicks = carray(pointer(at[SIGNALS]), (4, CHUNK), np.float64)[CLICKS]
    odds = carray(pointer(at[ODDS]), (k, CHUNK), np.float64)
    clicked = carray(pointer(at[CLICKED]), (k, CHUNK), np.float32)
    within = carray(pointer(at[WITHIN]), (k, CHUNK), np.float64)
    lanes = carray(pointer(at[LANES]), (4, CHUNK), np.float64)
    words, side = (k + BLOCK - 1) // BLOCK, CHUNK if n > BLOCK else BLOCK
    hits = carray(pointer(at[HITS]), (words, CHUNK), np.int32)
    choose(ints[CHOICE], side, floats[3], floats[4], watched, keys, steps, luck, lanes, odds,
           clicked, within)  # fmt: skip
    for c in range(side):
        clicks[c] = 0.0
    for j in range(k):
        word, bit = hits[j // BLOCK], np.int32(j % BLOCK)
        if bit == 0:
            for c in range(side):
                word[c] = 0
        for c in range(side):
            word[c] |= np.int32(clicked[j, c]) << bit
            clicks[c] += clicked[j, c]
    record_at, slates_at = at[RECORD], slates.ctypes.data
    whole = n if chunk + n < batch else n - 1  # of the last user nothing follows the slate
    for c in range(n):
        b = chunk + c
        codes, slate = record_at + (b * tape + start + steps[c] * k) * 4, slates_at + b * k * 8
        if k >= 8 and c < whole:  # what follows the k codes is written later
            for x in range((k + 7) // 8):
                bits = hits[x // 2, c] >> np.int32(8 * (x % 2))
                encode_eight(codes + x * 32, slate + x * 64, bits)
        else:
            record = carray(pointer(codes), k, np.int32)
            items = carray(pointer(slate), k, np.int64)
            for j in range(k):
                record[j] = 2 * items[j] + ((hits[j // BLOCK, c] >> np.int32(j % BLOCK)) & 1)
