"""The step of latent-factor users as one compiled pass over the batch (numba).

It does what `simrec.envs.reference` does, on the same arrays; a test compares the two. Only the k
shown items are touched: one packed row of the item table each, fetched ahead of time. Arrays come
in as addresses (see `simrec.envs.compiled`), because handing forty arrays to compiled code costs
more than a step of one user. Rows are padded with zeros to blocks of 16 numbers.
"""

# numba reads the types off the arguments, so the functions below carry no annotations
# mypy: disable-error-code="no-untyped-def,no-untyped-call"

import math
from typing import Any

import numpy as np
from numba import carray

from simrec.envs.blocks import BLOCK, add, dot, fetch, holds, put
from simrec.envs.blocks import at as pointer
from simrec.envs.kernel_begin import begin_row, who_arrives
from simrec.envs.kernel_parts import choose, exp, luck_of, session_key, show, watch_ratio
from simrec.envs.signals import LIKE_FROM

# isort: off
# fmt: off
from simrec.envs.kernel_layout import (
    AHEAD, ALIKE, APPEARS, BEFORE, BY_BOREDOM, BY_BUDGET, BY_CLICKS, BY_LIKES, BY_MINUTES, CHOICE,
    CHUNK, CLICKED, CLICKS, COUNTS, EFFECT, EFFORT, ENDED, EPISODE, EXPIRES, HAS_LIVES, HAS_SATED,
    HAS_SEEN, HAS_TILT, HAS_WATCH, HISTORY, HORIZON, ITEMS, KEYS, LAST_COUNTS, LAST_FEEDBACK,
    LAST_HISTORY, LAST_STEP, LAST_SUMS, LATELY, LEAVES, LENGTH, LIKED, LUCK, MARKS, MOST, N_ITEMS,
    N_MARKS, ODDS, OUT_CUT, OUT_FEEDBACK, OUT_HISTORY, OUT_LEFT, OUT_REWARD, OUT_STEP, OUT_WATCH,
    OUT_WHO, PATIENCE, PAYS, REACH, REWARD, RING, SATED, SCRATCH, SEEN, STAMP, STEP, STREAK, SUMS,
    TABLE, TAPE, TARGET, TILT, TOPICS, USER, VECTOR, WIDE, WIDTH, WINDOW, WITHIN, entry, part,
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
def _advance(at, ints, floats, seed, date, again, slates):
    """Show slates (B, k) to FactorUsers; return how many sessions ended, or -1 for a wrong item.

    With `again` the sessions that ended begin again at once, and their last observations and sums
    are kept beside; their rows are listed either way.
    """
    batch, k = slates.shape
    n_items = ints[N_ITEMS]
    counts = carray(pointer(at[COUNTS]), (batch, 4), np.int64)
    wrong = 0
    for b in range(batch):
        wrong += counts[b, STEP] >= ints[HORIZON]  # there is no room for another step
        for j in range(k):
            wrong += (slates[b, j] < 0) | (slates[b, j] >= n_items)
    if wrong:
        return -1
    length, h, before, tape = ints[LENGTH], ints[HISTORY], ints[BEFORE], ints[TAPE]
    width, wide, topics, window = ints[WIDTH], ints[WIDE], ints[TOPICS], ints[WINDOW]
    horizon, patience, choice, pays, leaves = (
        ints[HORIZON], ints[PATIENCE], ints[CHOICE], ints[PAYS], ints[LEAVES]
    )  # fmt: skip
    has_sated, has_seen, has_watch = ints[HAS_SATED], ints[HAS_SEEN], ints[HAS_WATCH]
    sign, intercept, boredom, attention, browse, minutes = (
        floats[0], floats[1], floats[2], floats[3], floats[4], floats[5]
    )  # fmt: skip
    tolerance, budget, refund, drift = floats[6], floats[7], floats[8], floats[9]
    satiation, recovery, novelty = floats[10], floats[11], floats[12]
    moods = has_sated or has_seen or ints[HAS_TILT]
    watched = pays in (BY_MINUTES, BY_LIKES) or leaves == BY_BUDGET or has_watch
    lives = ints[HAS_LIVES]

    sums = carray(pointer(at[SUMS]), (batch, 3), np.float64)
    keys = carray(pointer(at[KEYS]), (batch,), np.uint64)
    items = carray(pointer(at[ITEMS]), (batch, tape), np.int32)
    liked = carray(pointer(at[LIKED]), (batch, tape), np.float32)
    effect = carray(pointer(at[EFFECT]), (batch,), np.float32)
    vector = carray(pointer(at[VECTOR]), (batch, wide + topics), np.float32)
    reach = carray(pointer(at[REACH]), (batch,), np.float32)
    marks = carray(pointer(at[MARKS]), (batch, N_MARKS), np.uint64)
    table = carray(pointer(at[TABLE]), (n_items, wide + topics), np.float32)
    appears = carray(pointer(at[APPEARS]), (n_items,), np.int64)
    expires = carray(pointer(at[EXPIRES]), (n_items,), np.int64)
    step_out = carray(pointer(at[OUT_STEP]), (batch,), np.int64)
    reward = carray(pointer(at[OUT_REWARD]), (batch,), np.float64)
    left_out = carray(pointer(at[OUT_LEFT]), (batch,), np.bool_)
    cut_out = carray(pointer(at[OUT_CUT]), (batch,), np.bool_)
    who = carray(pointer(at[OUT_WHO]), (batch, 2), np.int64)
    watch = carray(pointer(at[OUT_WATCH]), (batch, k), np.float32)
    ended = carray(pointer(at[ENDED]), (batch,), np.int64)
    last_step = carray(pointer(at[LAST_STEP]), (batch,), np.int64)
    last_counts = carray(pointer(at[LAST_COUNTS]), (batch, 3), np.int64)
    last_sums = carray(pointer(at[LAST_SUMS]), (batch, 2), np.float64)
    target = carray(pointer(at[TARGET]), (wide,), np.float32)
    z = carray(pointer(at[SCRATCH]), (CHUNK, k), np.float64)
    odds = carray(pointer(at[ODDS]), (CHUNK, k), np.float64)
    every_z = carray(pointer(at[SCRATCH]), (CHUNK * k,), np.float64)
    every_odds = carray(pointer(at[ODDS]), (CHUNK * k,), np.float64)
    luck = carray(pointer(at[LUCK]), (CHUNK,), np.float64)
    alike = carray(pointer(at[ALIKE]), (CHUNK,), np.float64)
    clicked = carray(pointer(at[CLICKED]), (k,), np.float32)
    within = carray(pointer(at[WITHIN]), (k,), np.float64)

    table_at, lately_at, vector_at, tilt_at = at[TABLE], at[LATELY], at[VECTOR], at[TILT]
    sated_at, seen_at, ring_at, items_at = at[SATED], at[SEEN], at[RING], at[ITEMS]
    row_bytes = (wide + topics) * 4
    wide_blocks, topic_blocks = wide // BLOCK, topics // BLOCK
    to_topics, topic_bytes = wide * 4, topics * 4
    n_ended = 0
    for chunk in range(0, batch, CHUNK):
        n = min(CHUNK, batch - chunk)
        for c in range(n):
            b = chunk + c
            if b + AHEAD < batch:
                for j in range(k):
                    address = table_at + slates[b + AHEAD, j] * row_bytes
                    for line in range(0, row_bytes, 64):
                        fetch(address + line)
            shown = counts[b, STEP] * k
            lately = lately_at + b * topic_bytes
            # the query: its inner product with an item's row is the item's utility
            share = 1.0 / max(min(window, shown), 1)
            base = intercept + effect[b]
            query = vector_at + b * row_bytes
            put(query + to_topics, lately, np.float32(-boredom * share), topic_blocks)
            if moods:
                add(query + to_topics, tilt_at, np.float32(1.0), topic_blocks)
                if has_sated:
                    tired = sated_at + b * topic_bytes
                    add(query + to_topics, tired, np.float32(-satiation), topic_blocks)
                if has_seen:
                    part = np.float32(-novelty / max(shown, 1))
                    add(query + to_topics, seen_at + b * topic_bytes, part, topic_blocks)
                    base += novelty
            for j in range(k):
                row = table_at + slates[b, j] * row_bytes
                u = base + dot(row, query, wide_blocks + topic_blocks)
                z[c, j] = min(max(u, -MOST), MOST)
            if leaves == BY_BOREDOM:
                alike[c] = 0.0
                for j in range(k):
                    row = table_at + slates[b, j] * row_bytes
                    alike[c] += dot(row + to_topics, lately, topic_blocks) * share
        for x in range(n * k):
            every_odds[x] = exp(every_z[x])
        for c in range(n):
            luck[c] = luck_of(keys[chunk + c], counts[chunk + c, STEP], 0)
        for c in range(n):
            b = chunk + c
            step = counts[b, STEP]
            shown = step * k
            end = before + h + shown
            slate = slates[b]
            past_blocks = (h + shown + BLOCK - 1) // BLOCK
            past = items_at + (b * tape + end - past_blocks * BLOCK) * 4
            for j in range(k):
                item = slate[j]
                word, bit = (item >> 6) & (N_MARKS - 1), np.uint64(1) << np.uint64(item & 63)
                if marks[b, word] & bit:  # perhaps seen before, or earlier in the slate
                    if holds(past, np.int32(item), past_blocks):
                        odds[c, j] = 0.0
                    for i in range(j):
                        if slate[i] == item:
                            odds[c, j] = 0.0
                marks[b, word] |= bit
                if lives and not (appears[item] <= date < expires[item]):
                    odds[c, j] = 0.0
            if k == 1:  # where all kinds agree
                q = odds[c, 0] / (1.0 + odds[c, 0])
                clicked[0] = 1.0 if luck[c] < q else 0.0
                within[0] = min(luck[c] / max(q, 1e-300), 1.0)
            else:
                choose(choice, k, attention, browse, keys[b], step, luck[c], at, c)
            lately = lately_at + b * topic_bytes
            clicks, likes, minutes_here, best = 0.0, 0.0, 0.0, 0.0
            for j in range(k):
                clicks += clicked[j]
                items[b, end + j] = slate[j]
                liked[b, end + j] = clicked[j]
            if watched:
                for j in range(k):
                    ratio = watch_ratio(z[c, j], within[j]) if clicked[j] > 0 else 0.0
                    minutes_here += ratio
                    likes += 1.0 if ratio >= LIKE_FROM else 0.0
                    best = max(best, ratio)
                    if has_watch:
                        watch[b, j] = ratio
            if k >= window:
                put(lately, lately, np.float32(0.0), topic_blocks)
            for j in range(max(0, k - window), k):
                themes = table_at + slate[j] * row_bytes + to_topics
                slot = ring_at + (b * window + (shown + j) % window) * topic_bytes
                if k < window and shown + j >= window:
                    add(lately, slot, np.float32(-1.0), topic_blocks)
                put(slot, themes, np.float32(1.0), topic_blocks)
                add(lately, themes, np.float32(1.0), topic_blocks)
            if has_sated or has_seen:
                tired, seen = sated_at + b * topic_bytes, seen_at + b * topic_bytes
                if has_sated:
                    put(tired, tired, np.float32(recovery), topic_blocks)
                for j in range(k):
                    themes = table_at + slate[j] * row_bytes + to_topics
                    if has_sated:
                        add(tired, themes, clicked[j], topic_blocks)
                    if has_seen:
                        add(seen, themes, np.float32(1.0), topic_blocks)
            if drift > 0.0 and clicks > 0.0:
                _drift(
                    vector[b], sign * reach[b], table, slate, clicked, clicks, drift, target, width
                )
            good = alike[c] < tolerance * k if leaves == BY_BOREDOM else clicks > 0.0
            counts[b, STREAK] = 0 if good else counts[b, STREAK] + 1
            sums[b, EFFORT] += 1.0 - refund * best
            if leaves == BY_BUDGET:
                left = sums[b, EFFORT] >= budget
            else:
                left = counts[b, STREAK] >= patience
            if pays == BY_CLICKS:
                earned = clicks
            elif pays == BY_MINUTES:
                earned = minutes * minutes_here
            elif pays == BY_LIKES:
                earned = likes
            else:
                earned = 0.0 if left else 1.0
            reward[b] = earned
            sums[b, CLICKS] += clicks
            sums[b, REWARD] += earned
            step += 1
            counts[b, STEP] = step
            cut = (not left) and step >= horizon
            left_out[b] = left
            cut_out[b] = cut
            first = end + k - length
            if (left or cut) and again:
                show(b, first, 0, at, ints, LAST_HISTORY, LAST_FEEDBACK)
                last_step[b] = step
                last_counts[b, 0] = counts[b, USER]
                last_counts[b, 1] = counts[b, EPISODE]
                last_counts[b, 2] = step
                last_sums[b, 0] = sums[b, CLICKS]
                last_sums[b, 1] = sums[b, REWARD]
                episode = counts[b, EPISODE] + 1
                key = session_key(b, episode, seed, at, ints)
                begin_row(b, who_arrives(key, at, ints), episode, key, at, ints)
                first = before + h - length
                step = 0
            elif again:
                for x in range(3):
                    last_counts[b, x] = 0
                last_sums[b, 0] = 0.0
                last_sums[b, 1] = 0.0
            if left or cut:
                ended[n_ended] = b
                n_ended += 1
            show(b, first, step, at, ints, OUT_HISTORY, OUT_FEEDBACK)
            step_out[b] = step
            who[b, 0] = counts[b, USER]
            who[b, 1] = counts[b, EPISODE]
    return n_ended


def _advance_entry(stamp: int) -> Any:
    @entry
    def advance(at, ints, floats, seed, date, again, slates):
        return _advance(at, ints, floats, seed, date, again, slates) if stamp else 0

    return advance


#: Show slates (B, k); return how many sessions ended, listed in ENDED, or -1 for a wrong item.
advance = _advance_entry(STAMP)
