"""The pieces of the compiled step, each over one chunk of users.

Every piece is a loop of its own, although one loop could do them all: few numbers are in use in
each, so that the processor has room for them.
"""

# numba reads the types off the arguments, so the functions below carry no annotations
# mypy: disable-error-code="no-untyped-def,no-untyped-call"

import math

import numpy as np
from numba import carray

from simrec.envs.blocks import BLOCK, add, dot, fetch, holds, pile, put
from simrec.envs.blocks import at as pointer
from simrec.envs.kernel_parts import choose, exp, luck_of, show, watch_ratio
from simrec.envs.signals import LIKE_FROM

# isort: off
# fmt: off
from simrec.envs.kernel_layout import (
    AHEAD, ALIKE, APPEARS, BATCH, BEFORE, BEST, BY_BOREDOM, BY_BUDGET, BY_CLICKS, BY_LIKES, BY_MARK,
    BY_MINUTES, BY_RECORD, CHOICE, CHUNK, CLICKED, CLICKS, COUNTS, EFFECT, EFFORT, ENDED, EPISODE,
    EXPIRES, HAS_LIVES, HAS_RING, HAS_SATED, HAS_SEEN, HAS_TILT, HAS_WATCH, HISTORY, HORIZON, ITEMS,
    KEYS, LATELY, LEAVES, LENGTH, LIKED, LIKES, LUCK, MARKS, MINUTES, MOST, NEAR, N_ITEMS, N_MARKS,
    ODDS, OUT_CUT, OUT_FEEDBACK, OUT_HISTORY, OUT_LEFT, OUT_REWARD, OUT_STEP, OUT_WATCH, OUT_WHO,
    PATIENCE, PAYS, REACH, REWARD, RING, SATED, SCRATCH, SEARCH, SEEN, SHOWN, SIGNALS, STEP, STREAK,
    SUMS, TABLE, TAPE, TARGET, TILT, TOPICS, USER, VECTOR, WIDE, WIDTH, WINDOW, WITHIN, part,
)
# fmt: on
# isort: on


@part
def _drift(vector, reach, table, slate, clicked, clicks, rate, target, width):
    """Move one taste vector towards the mean direction of what was clicked.

    The reach has the sign of the scale, which the vectors of the table are multiplied with.
    """
    for d in range(width):
        target[d] = 0.0
    for j in range(len(slate)):
        if clicked[j] > 0:
            row = table[slate[j]]
            square = np.float32(0.0)
            for d in range(width):
                square += row[d] * row[d]
            unit = np.float32(1.0) / max(np.float32(math.sqrt(square)), np.float32(1e-12))
            for d in range(width):
                target[d] += row[d] * unit
    keep = np.float32(1.0 - rate)
    move = np.float32(rate * reach / clicks)
    for d in range(width):
        vector[d] = keep * vector[d] + move * target[d]


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


@part
def look_on(chunk, n, at, ints, k):
    """Fill the signals beside the clicks: minutes, likes and the best watch ratio of the step."""
    has_watch = ints[HAS_WATCH]
    z = carray(pointer(at[SCRATCH]), (CHUNK, k), np.float64)
    clicked = carray(pointer(at[CLICKED]), (CHUNK, k), np.float32)
    within = carray(pointer(at[WITHIN]), (CHUNK, k), np.float64)
    signals = carray(pointer(at[SIGNALS]), (CHUNK, 4), np.float64)
    watch = carray(pointer(at[OUT_WATCH]), (ints[BATCH], k), np.float32)
    for c in range(n):
        minutes, likes, best = 0.0, 0.0, 0.0
        for j in range(k):
            ratio = watch_ratio(z[c, j], within[c, j]) if clicked[c, j] > 0 else 0.0
            minutes += ratio
            likes += 1.0 if ratio >= LIKE_FROM else 0.0
            best = max(best, ratio)
            if has_watch:
                watch[chunk + c, j] = ratio
        signals[c, MINUTES], signals[c, LIKES], signals[c, BEST] = minutes, likes, best


@part
def remember(chunk, n, at, ints, floats, oldest, slates):
    """Change what the users think of: the topics shown lately, their moods and their tastes."""
    batch, k = slates.shape
    n_items, width, wide, topics, window = (
        ints[N_ITEMS], ints[WIDTH], ints[WIDE], ints[TOPICS], ints[WINDOW]
    )  # fmt: skip
    has_sated, has_seen, has_ring = ints[HAS_SATED], ints[HAS_SEEN], ints[HAS_RING]
    drift, recovery = floats[9], floats[11]
    row_bytes, topic_bytes, blocks = (wide + topics) * 4, topics * 4, topics // BLOCK
    themes_at, slates_at = at[TABLE] + wide * 4, slates.ctypes.data
    lately_at, ring_at = at[LATELY], at[RING]
    if has_ring:
        for j in range(k):
            place = oldest + j if oldest + j < window else oldest + j - window
            for b in range(chunk, chunk + n):
                themes = themes_at + slates[b, j] * row_bytes
                slot = ring_at + (place * batch + b) * topic_bytes
                add(lately_at + b * topic_bytes, slot, np.float32(-1.0), blocks)
                put(slot, themes, np.float32(1.0), blocks)
                add(lately_at + b * topic_bytes, themes, np.float32(1.0), blocks)
    else:  # the slate fills the window
        for b in range(chunk, chunk + n):
            last = slates_at + (b * k + k - window) * 8
            pile(lately_at + b * topic_bytes, themes_at, row_bytes, last, window, blocks)
    if has_sated or has_seen or drift > 0.0:
        clicked = carray(pointer(at[CLICKED]), (CHUNK, k), np.float32)
        signals = carray(pointer(at[SIGNALS]), (CHUNK, 4), np.float64)
        vector = carray(pointer(at[VECTOR]), (batch, wide + topics), np.float32)
        reach = carray(pointer(at[REACH]), (batch,), np.float32)
        table = carray(pointer(at[TABLE]), (n_items, wide + topics), np.float32)
        target = carray(pointer(at[TARGET]), (wide,), np.float32)
        for c in range(n):
            b = chunk + c
            tired, seen = at[SATED] + b * topic_bytes, at[SEEN] + b * topic_bytes
            if has_sated:
                put(tired, tired, np.float32(recovery), blocks)
            for j in range(k):
                themes = themes_at + slates[b, j] * row_bytes
                if has_sated and clicked[c, j] > 0:
                    add(tired, themes, clicked[c, j], blocks)
                if has_seen:
                    add(seen, themes, np.float32(1.0), blocks)
            clicks = signals[c, CLICKS]
            if drift > 0.0 and clicks > 0.0:
                _drift(
                    vector[b], floats[0] * reach[b], table, slates[b], clicked[c], clicks, drift,
                    target, width,
                )  # fmt: skip


@part
def settle(chunk, n, at, ints, floats, n_ended):
    """Pay the rewards and see who goes; return how many sessions are listed in ENDED then."""
    batch, k = ints[BATCH], ints[SHOWN]
    horizon, patience, pays, leaves = ints[HORIZON], ints[PATIENCE], ints[PAYS], ints[LEAVES]
    minutes, tolerance, budget, refund = floats[5], floats[6], floats[7], floats[8]
    counts = carray(pointer(at[COUNTS]), (batch, 4), np.int64)
    sums = carray(pointer(at[SUMS]), (batch, 3), np.float64)
    alike = carray(pointer(at[ALIKE]), (CHUNK,), np.float64)
    signals = carray(pointer(at[SIGNALS]), (CHUNK, 4), np.float64)
    step_out = carray(pointer(at[OUT_STEP]), (batch,), np.int64)
    reward = carray(pointer(at[OUT_REWARD]), (batch,), np.float64)
    left_out = carray(pointer(at[OUT_LEFT]), (batch,), np.bool_)
    cut_out = carray(pointer(at[OUT_CUT]), (batch,), np.bool_)
    ended = carray(pointer(at[ENDED]), (1 + batch,), np.int64)
    for c in range(n):
        b = chunk + c
        clicks = signals[c, CLICKS]
        good = alike[c] < tolerance * k if leaves == BY_BOREDOM else clicks > 0.0
        streak = (counts[b, STREAK] + 1) * (1 - np.int64(good))
        left = streak >= patience
        if leaves == BY_BUDGET:
            sums[b, EFFORT] += 1.0 - refund * signals[c, BEST]
            left = sums[b, EFFORT] >= budget
        if pays == BY_CLICKS:
            earned = clicks
        elif pays == BY_MINUTES:
            earned = minutes * signals[c, MINUTES]
        elif pays == BY_LIKES:
            earned = signals[c, LIKES]
        else:
            earned = 0.0 if left else 1.0
        step = counts[b, STEP] + 1
        cut = (not left) & (step >= horizon)
        counts[b, STREAK], counts[b, STEP], step_out[b] = streak, step, step
        sums[b, CLICKS] += clicks
        sums[b, REWARD] += earned
        reward[b], left_out[b], cut_out[b] = earned, left, cut
        ended[1 + n_ended] = b  # written over, unless it counts
        n_ended += np.int64(left | cut)
    return n_ended


@part
def display(chunk, n, at, ints, again, fresh):
    """Show the records of sessions that go on; without `again` of those that ended as well."""
    batch, k, length = ints[BATCH], ints[SHOWN], ints[LENGTH]
    start, newest = ints[BEFORE] + ints[HISTORY] - length, length - 2 * k
    counts = carray(pointer(at[COUNTS]), (batch, 4), np.int64)
    left = carray(pointer(at[OUT_LEFT]), (batch,), np.bool_)
    cut = carray(pointer(at[OUT_CUT]), (batch,), np.bool_)
    who = carray(pointer(at[OUT_WHO]), (batch, 2), np.int64)
    for b in range(chunk, chunk + n):
        step = counts[b, STEP]
        if (step > 1) & (not fresh):  # if it ended, this will be written over
            show(b, start + step * k, newest, at, ints, OUT_HISTORY, OUT_FEEDBACK)
        elif not (again and (left[b] or cut[b])):  # two steps ago there was another session
            show(b, start + step * k, 0, at, ints, OUT_HISTORY, OUT_FEEDBACK)
            who[b, 0] = counts[b, USER]
            who[b, 1] = counts[b, EPISODE]
