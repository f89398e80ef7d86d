"""Pieces of the compiled step: luck, exponentials, choice, and showing the record."""

# numba reads the types off the arguments, so the functions below carry no annotations
# mypy: disable-error-code="no-untyped-def,no-untyped-call"

import math

import numpy as np
from numba import carray

from simrec.envs.block_copies import blank, reveal
from simrec.envs.blocks import BLOCK, bits, fetch_room, fetch_row
from simrec.envs.blocks import at as pointer
from simrec.randomness import Purpose

# isort: off
# fmt: off
from simrec.envs.kernel_layout import (
    BATCH, BEFORE, CASCADE, COUNTS, DEPENDENT, FEEDBACK_ROOM, HISTORY, HISTORY_ROOM, LENGTH,
    MULTINOMIAL, OUT_FEEDBACK, OUT_HISTORY, POSITION, RECORD, SHORT, SHOWN, SLOTS, STEP, TAPE, part,
)
# fmt: on
# isort: on

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX2 = np.uint64(0x94D049BB133111EB)
_CHOICE = np.int64(int(Purpose.CHOICE))
ARRIVAL = np.int64(int(Purpose.USER))
_LOG2E, _LN2_HIGH, _LN2_LOW = 1.4426950408889634, 6.93147180369123816490e-01, 1.9082149292705877e-10


@part
def exp(x):
    """Return e**x for |x| < 700 to 1e-14, in steps that vectorise."""
    n = math.floor(x * _LOG2E + 0.5)
    r = (x - n * _LN2_HIGH) - n * _LN2_LOW
    p = 1.0 / 39916800.0
    p = p * r + 1.0 / 3628800.0
    p = p * r + 1.0 / 362880.0
    p = p * r + 1.0 / 40320.0
    p = p * r + 1.0 / 5040.0
    p = p * r + 1.0 / 720.0
    p = p * r + 1.0 / 120.0
    p = p * r + 1.0 / 24.0
    p = p * r + 1.0 / 6.0
    p = p * r + 0.5
    p = p * r + 1.0
    p = p * r + 1.0
    return p * bits((np.int64(n) + 1023) << 52)


@part
def _mix(x):
    x = (x ^ (x >> np.uint64(30))) * _MIX1
    x = (x ^ (x >> np.uint64(27))) * _MIX2
    return x ^ (x >> np.uint64(31))


@part
def then(x, part):
    """Go one part further along an address of simrec.randomness.uniform."""
    return _mix((x + _GOLDEN) ^ _mix(np.uint64(part) + _GOLDEN))


@part
def unit(x):
    """Return the uniform number in [0, 1) that an address stands for."""
    return np.float64(x >> np.uint64(11)) * 2.0**-53


@part
def luck_of(key, step, place):
    """Return the luck of one place; place 0 has the address of a step's only draw."""
    return unit(then(then(key, step + (np.int64(place) << np.int64(32))), _CHOICE))


@part
def watch_ratio(z, within):
    """Return the share of a clicked item that is watched, as signals.watch_ratio."""
    p = 1.0 / (1.0 + exp(-z))
    v = min(max(within * p, 1e-300), 1.0)
    gain = exp(z) * (1.0 - v)
    return min(max((gain - v) / (gain + v), 0.0), 1.0)


@part
def choose(kind, n, attention, browse, watched, keys, steps, first, lanes, odds, clicked, within):
    """Fill clicked, and if `watched` within, from odds e**z, 0 for an item that is ignored.

    These are (k, CHUNK), of users side by side, the first n of whom every line below serves
    together, as are `keys` and `steps` (CHUNK,). `first` (CHUNK,) is the luck of place 0; `lanes`
    (4, CHUNK), room to work in.
    """
    k = len(odds)
    lucks, looks, weights, belows = lanes[0], lanes[1], lanes[2], lanes[3]
    for c in range(n):
        lucks[c], looks[c], belows[c] = first[c], 1.0, 0.0
    if kind == MULTINOMIAL and k > 1:
        for c in range(n):
            weights[c] = 1.0
        for j in range(k):
            for c in range(n):
                weights[c] += odds[j, c]
        for c in range(n):
            lucks[c] *= weights[c]
    for j in range(k):
        if j > 0 and kind in (POSITION, DEPENDENT):
            for c in range(n):
                lucks[c] = luck_of(keys[c], steps[c], j)
        if kind == MULTINOMIAL and k > 1:  # the odds are intervals one after the other
            for c in range(n):
                over = lucks[c] - belows[c]
                clicked[j, c] = 1.0 if (over >= 0.0) & (over < odds[j, c]) else 0.0
                if watched:
                    within[j, c] = min(max(over / max(odds[j, c], 1e-300), 0.0), 1.0)
                belows[c] += odds[j, c]
        elif kind == CASCADE:
            for c in range(n):
                q = odds[j, c] / (1.0 + odds[j, c])
                over, weight = lucks[c] - belows[c], looks[c] * q
                clicked[j, c] = 1.0 if (over >= 0.0) & (over < weight) else 0.0
                if watched:
                    within[j, c] = min(max(over / max(weight, 1e-300), 0.0), 1.0)
                looks[c] *= attention * (1.0 - q)
                belows[c] += weight
        elif kind == DEPENDENT:  # in short loops, of which vector instructions can be made
            for c in range(n):
                weights[c] = odds[j, c] / (1.0 + odds[j, c])
            for c in range(n):
                clicked[j, c] = looks[c] if lucks[c] < weights[c] else 0.0
            for c in range(n):
                within[j, c] = min(lucks[c] / max(weights[c], 1e-300), 1.0)
            for c in range(n):
                passed = (lucks[c] - weights[c]) / max(1.0 - weights[c], 1e-300)
                hit = lucks[c] < weights[c]
                goes_on = within[j, c] < browse if hit else passed < attention
                looks[c] = looks[c] if goes_on else 0.0
        else:  # each place on its own
            for c in range(n):
                p = odds[j, c] / (1.0 + odds[j, c]) * looks[c]
                clicked[j, c] = 1.0 if lucks[c] < p else 0.0
                if watched:
                    within[j, c] = min(lucks[c] / max(p, 1e-300), 1.0)
                looks[c] *= attention


@part
def mark_of(item, words, shared):
    """Return the word of a session's marks that an item has, and its bits there.

    If `shared`, there are more items than marks, and each leaves two, as state.mark does.
    """
    if shared:
        x = np.uint64(item) * _GOLDEN
        first, second = (x >> np.uint64(58)) & np.uint64(63), (x >> np.uint64(52)) & np.uint64(63)
        bits = (np.uint64(1) << first) | (np.uint64(1) << second)
        return (x >> np.uint64(32)) & np.uint64(words - 1), bits
    return np.uint64((item >> 6) & (words - 1)), np.uint64(1) << np.uint64(item & 63)


@part
def place(at, first):
    """Let the histories begin at a place of their rooms; return True if all is to be written."""
    at[OUT_HISTORY] = at[HISTORY_ROOM] + 8 * first
    at[OUT_FEEDBACK] = at[FEEDBACK_ROOM] + 4 * first
    return first == 0


@part
def _show_few(row, start, n, at, ints, history_at, feedback_at):
    """Copy the n newest places of an observation from where they start in a session's record."""
    length = ints[LENGTH]
    codes = carray(pointer(at[RECORD] + start * 4), n, np.int32)
    place = (row + 1) * length - n
    out = carray(pointer(at[history_at] + place * 8), n, np.int64)
    out_liked = carray(pointer(at[feedback_at] + place * 4), n, np.float32)
    for x in range(n):
        out[x], out_liked[x] = codes[x] >> 1, codes[x] & 1


@part
def fetch_shown(row, at, ints, history_at, feedback_at):
    """Ask for one row of an observation, which will be written."""
    length = ints[LENGTH]
    history, feedback = at[history_at] + row * length * 8, at[feedback_at] + row * length * 4
    if length > SHORT:
        fetch_row(history, length * 8)
        fetch_row(feedback, length * 4)
    else:
        fetch_room(history, length * 8)
        fetch_room(feedback, length * 4)


@part
def show(b, step, row, at, ints, history_at, feedback_at):
    """Write the visible history of session b after `step` steps into a row of observations."""
    length, h = ints[LENGTH], ints[HISTORY] + step * ints[SHOWN]
    end = b * ints[TAPE] + ints[BEFORE] + h
    if length < BLOCK:
        _show_few(row, end - length, length, at, ints, history_at, feedback_at)
        return
    n = length if length <= SHORT else max(h, BLOCK)
    empty = length - n
    history, feedback = at[history_at] + row * length * 8, at[feedback_at] + row * length * 4
    blank(history, feedback, (empty + BLOCK - 1) // BLOCK)  # runs over into what follows
    reveal(history + empty * 8, feedback + empty * 4, at[RECORD] + (end - n) * 4, n)


@part
def show_newest(first, n, at, ints):
    """Write what the last two steps added to the observations of n users; the rest is there.

    Sessions of one step have it written once more.
    """
    length, k, batch, tape = ints[LENGTH], ints[SHOWN], ints[BATCH], ints[TAPE]
    start = ints[BEFORE] + ints[HISTORY]
    steps = carray(pointer(at[COUNTS] + (STEP * batch + first) * 8), n, np.int64)
    history_at, feedback_at, record_at = at[OUT_HISTORY], at[OUT_FEEDBACK], at[RECORD]
    if k == 1 and length > 1:
        for c in range(n):
            end = (first + c) * tape + start + steps[c] - 2
            place = (first + c + 1) * length - 2
            codes = carray(pointer(record_at + end * 4), 2, np.int32)
            history = carray(pointer(history_at + place * 8), 2, np.int64)
            feedback = carray(pointer(feedback_at + place * 4), 2, np.float32)
            history[0], history[1] = codes[0] >> 1, codes[1] >> 1
            feedback[0], feedback[1] = codes[0] & 1, codes[1] & 1
        return
    size = min(max(2 * k, BLOCK), length)
    for c in range(n):
        b = first + c
        end, place = b * tape + start + steps[c] * k, (b + 1) * length
        if length >= BLOCK:
            reveal(history_at + (place - size) * 8, feedback_at + (place - size) * 4,
                   record_at + (end - size) * 4, size)  # fmt: skip
        else:
            _show_few(b, end - size, size, at, ints, OUT_HISTORY, OUT_FEEDBACK)


@part
def session_key(b, episode, seed, at, ints):
    """Return the address of one session's luck."""
    slots = carray(pointer(at[SLOTS]), (ints[BATCH],), np.int64)
    return then(then(then(np.uint64(0), seed), slots[b]), episode)
