"""The pieces of the compiled step that follow an answer: record, mood, the session's end, outputs.

Each is a loop of its own over one chunk of users, as in `simrec.envs.kernel_chunk`.
"""

# numba reads the types off the arguments, so the functions below carry no annotations
# mypy: disable-error-code="no-untyped-def,no-untyped-call"

import math

import numpy as np
from numba import carray

from simrec.envs.blocks import BLOCK, add, pile, put
from simrec.envs.blocks import at as pointer
from simrec.envs.kernel_parts import show, show_newest, watch_ratio
from simrec.envs.signals import LIKE_FROM

# isort: off
# fmt: off
from simrec.envs.kernel_layout import (
    ALIKE, BATCH, BEST, BY_BOREDOM, BY_BUDGET, BY_CLICKS, BY_LIKES, BY_MINUTES, CHUNK, CLICKED,
    CLICKS, COUNTS, EFFORT, ENDED, EPISODE, HAS_RING, HAS_SATED, HAS_SEEN, HAS_WATCH, HORIZON,
    KINDS, LATELY, LEAVES, LIKES, MINUTES, N_ITEMS, OUT_CUT, OUT_DONE, OUT_FEEDBACK, OUT_HISTORY,
    OUT_LEFT, OUT_REWARD, OUT_STEP, OUT_WATCH, OUT_WHO, PATIENCE, PAYS, REACH, REWARD, RING, SATED,
    SCRATCH, SEEN, SHOWN, SIGNALS, STEP, STREAK, SUMS, TABLE, TARGET, THEMES, TOPICS, USER, VECTOR,
    WIDE, WIDTH, WINDOW, WITHIN, YOUNG, part,
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
def look_on(chunk, n, at, ints, k):
    """Fill the signals beside the clicks: minutes, likes and the best watch ratio of the step."""
    has_watch = ints[HAS_WATCH]
    z = carray(pointer(at[SCRATCH]), (k, CHUNK), np.float64)
    clicked = carray(pointer(at[CLICKED]), (k, CHUNK), np.float32)
    within = carray(pointer(at[WITHIN]), (k, CHUNK), np.float64)
    signals = carray(pointer(at[SIGNALS]), (4, CHUNK), np.float64)
    watch = carray(pointer(at[OUT_WATCH]), (ints[BATCH], k), np.float32)
    for c in range(n):
        minutes, likes, best = 0.0, 0.0, 0.0
        for j in range(k):
            ratio = watch_ratio(z[j, c], within[j, c]) if clicked[j, c] > 0 else 0.0
            minutes += ratio
            likes += 1.0 if ratio >= LIKE_FROM else 0.0
            best = max(best, ratio)
            if has_watch:
                watch[chunk + c, j] = ratio
        signals[MINUTES, c], signals[LIKES, c], signals[BEST, c] = minutes, likes, best


@part
def remember(chunk, n, at, ints, floats, oldest, slates):
    """Change what the users think of: the topics shown lately, their moods and their tastes."""
    batch, k = slates.shape
    n_items, width, wide, topics, window = (
        ints[N_ITEMS], ints[WIDTH], ints[WIDE], ints[TOPICS], ints[WINDOW]
    )  # fmt: skip
    has_sated, has_seen, has_ring = ints[HAS_SATED], ints[HAS_SEEN], ints[HAS_RING]
    drift, recovery = floats[9], floats[11]
    topic_bytes, blocks = topics * 4, topics // BLOCK
    themes_at, lately_at, kinds_at = at[THEMES], at[LATELY], at[KINDS]
    kinds = carray(pointer(kinds_at), (CHUNK, k), np.int64)
    if has_ring:
        for j in range(k):
            place = oldest + j if oldest + j < window else oldest + j - window
            ring = carray(pointer(at[RING] + place * batch * 4), batch, np.int32)
            for c in range(n):
                lately = lately_at + (chunk + c) * topic_bytes
                gone = themes_at + ring[chunk + c] * topic_bytes
                come = themes_at + kinds[c, j] * topic_bytes
                add(lately, gone, np.float32(-1.0), blocks)
                add(lately, come, np.float32(1.0), blocks)
                ring[chunk + c] = kinds[c, j]
    else:  # the slate fills the window
        for c in range(n):
            last = kinds_at + (c * k + k - window) * 8
            pile(lately_at + (chunk + c) * topic_bytes, themes_at, topic_bytes, last, window,
                 blocks)  # fmt: skip
    if has_sated or has_seen or drift > 0.0:
        clicked = carray(pointer(at[CLICKED]), (k, CHUNK), np.float32)
        signals = carray(pointer(at[SIGNALS]), (4, CHUNK), np.float64)
        vector = carray(pointer(at[VECTOR]), (batch, wide), np.float32)
        reach = carray(pointer(at[REACH]), (batch,), np.float32)
        table = carray(pointer(at[TABLE]), (n_items, wide), np.float32)
        target = carray(pointer(at[TARGET]), (wide,), np.float32)
        for c in range(n):
            b = chunk + c
            tired, seen = at[SATED] + b * topic_bytes, at[SEEN] + b * topic_bytes
            if has_sated:
                put(tired, tired, np.float32(recovery), blocks)
            for j in range(k):
                themes = themes_at + kinds[c, j] * topic_bytes
                if has_sated and clicked[j, c] > 0:
                    add(tired, themes, clicked[j, c], blocks)
                if has_seen:
                    add(seen, themes, np.float32(1.0), blocks)
            clicks = signals[CLICKS, c]
            if drift > 0.0 and clicks > 0.0:
                _drift(
                    vector[b], floats[0] * reach[b], table, slates[b], clicked[:, c], clicks, drift,
                    target, width,
                )  # fmt: skip


@part
def settle(chunk, n, at, ints, floats, n_ended):
    """Pay the rewards and see who goes; return how many sessions are listed in ENDED then.

    In short loops, of which vector instructions can be made.
    """
    batch, k = ints[BATCH], ints[SHOWN]
    horizon, patience, pays, leaves = ints[HORIZON], ints[PATIENCE], ints[PAYS], ints[LEAVES]
    minutes, tolerance, budget, refund = floats[5], floats[6], floats[7], floats[8]
    counts, sums = at[COUNTS] + chunk * 8, at[SUMS] + chunk * 8
    steps = carray(pointer(counts + STEP * batch * 8), n, np.int64)
    streaks = carray(pointer(counts + STREAK * batch * 8), n, np.int64)
    all_clicks = carray(pointer(sums + CLICKS * batch * 8), n, np.float64)
    all_rewards = carray(pointer(sums + REWARD * batch * 8), n, np.float64)
    effort = carray(pointer(sums + EFFORT * batch * 8), n, np.float64)
    alike = carray(pointer(at[ALIKE]), n, np.float64)
    signals = carray(pointer(at[SIGNALS]), (4, CHUNK), np.float64)
    clicks = signals[CLICKS]
    step_out = carray(pointer(at[OUT_STEP] + chunk * 8), n, np.int64)
    reward = carray(pointer(at[OUT_REWARD] + chunk * 8), n, np.float64)
    left = carray(pointer(at[OUT_LEFT] + chunk), n, np.uint8)
    cut = carray(pointer(at[OUT_CUT] + chunk), n, np.uint8)
    done = carray(pointer(at[OUT_DONE] + chunk), n, np.uint8)
    ended = carray(pointer(at[ENDED]), (1 + batch,), np.int64)
    if leaves == BY_BOREDOM:
        for c in range(n):
            streaks[c] = 0 if alike[c] < tolerance * k else streaks[c] + 1
    else:
        for c in range(n):
            streaks[c] = 0 if clicks[c] > 0.0 else streaks[c] + 1
    if leaves == BY_BUDGET:
        for c in range(n):
            effort[c] += 1.0 - refund * signals[BEST, c]
        for c in range(n):
            left[c] = effort[c] >= budget
    else:
        for c in range(n):
            left[c] = streaks[c] >= patience
    if pays == BY_CLICKS:
        for c in range(n):
            reward[c] = clicks[c]
    elif pays == BY_MINUTES:
        for c in range(n):
            reward[c] = minutes * signals[MINUTES, c]
    elif pays == BY_LIKES:
        for c in range(n):
            reward[c] = signals[LIKES, c]
    else:
        for c in range(n):
            reward[c] = 1 - left[c]
    for c in range(n):
        all_clicks[c] += clicks[c]
    for c in range(n):
        all_rewards[c] += reward[c]
    for c in range(n):
        steps[c] += 1
    for c in range(n):
        step_out[c] = steps[c]
    for c in range(n):
        cut[c] = steps[c] >= horizon
    for c in range(n):
        cut[c] &= 1 - left[c]
    for c in range(n):
        done[c] = left[c] | cut[c]
    for c in range(n):
        ended[1 + n_ended] = chunk + c  # written over, unless it counts
        n_ended += np.int64(done[c])
    return n_ended


@part
def display(chunk, n, at, ints, again, fresh):
    """Show the records of sessions that go on; without `again` of those that ended as well.

    Where a session was begun in the last step, another one was shown two steps ago.
    """
    batch = ints[BATCH]
    counts = carray(pointer(at[COUNTS]), (4, batch), np.int64)
    done = carray(pointer(at[OUT_DONE]), (batch,), np.bool_)
    who = carray(pointer(at[OUT_WHO]), (batch, 2), np.int64)
    if fresh:
        for b in range(chunk, chunk + n):
            if not (again and done[b]):
                show(b, counts[STEP, b], b, at, ints, OUT_HISTORY, OUT_FEEDBACK)
                who[b, 0], who[b, 1] = counts[USER, b], counts[EPISODE, b]
        return
    young = carray(pointer(at[YOUNG]), (2 + CHUNK,), np.int64)
    for x in range(1, 1 + young[0]):
        b = young[x]
        if not (again and done[b]):
            show(b, 1, b, at, ints, OUT_HISTORY, OUT_FEEDBACK)
            who[b, 0], who[b, 1] = counts[USER, b], counts[EPISODE, b]
    show_newest(chunk, n, at, ints)  # of those that ended, to be written over
