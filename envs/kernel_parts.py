"""Pieces of the compiled step: luck, exponentials, choice, and showing the record."""

# numba reads the types off the arguments, so the functions below carry no annotations
# mypy: disable-error-code="no-untyped-def,no-untyped-call"

import math

import numpy as np
from numba import carray

from simrec.envs.blocks import BLOCK, bits, copy, widen
from simrec.envs.blocks import at as pointer
from simrec.randomness import Purpose

# isort: off
# fmt: off
from simrec.envs.kernel_layout import (
    BATCH, CASCADE, CHUNK, DEPENDENT, ITEMS, LENGTH, LIKED, MULTINOMIAL, POSITION, SLOTS, TAPE,
    part,
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

    These are (k, CHUNK), of as many users side by side, whom every line below serves together; n of
    them are there. `first` (CHUNK,) is the luck of place 0; `lanes` (4, CHUNK), room to work in.
    """
    k = len(odds)
    lucks, looks, weights, belows = lanes[0], lanes[1], lanes[2], lanes[3]
    for c in range(CHUNK):
        lucks[c], looks[c], belows[c] = first[c], 1.0, 0.0
    if kind == MULTINOMIAL and k > 1:
        for c in range(CHUNK):
            weights[c] = 1.0
        for j in range(k):
            for c in range(CHUNK):
                weights[c] += odds[j, c]
        for c in range(CHUNK):
            lucks[c] *= weights[c]
    for j in range(k):
        if j > 0 and kind in (POSITION, DEPENDENT):
            for c in range(n):
                lucks[c] = luck_of(keys[c], steps[c], j)
        if kind == MULTINOMIAL and k > 1:  # the odds are intervals one after the other
            for c in range(CHUNK):
                over = lucks[c] - belows[c]
                clicked[j, c] = 1.0 if (over >= 0.0) & (over < odds[j, c]) else 0.0
                if watched:
                    within[j, c] = min(max(over / max(odds[j, c], 1e-300), 0.0), 1.0)
                belows[c] += odds[j, c]
        elif kind == CASCADE:
            for c in range(CHUNK):
                q = odds[j, c] / (1.0 + odds[j, c])
                over, weight = lucks[c] - belows[c], looks[c] * q
                clicked[j, c] = 1.0 if (over >= 0.0) & (over < weight) else 0.0
                if watched:
                    within[j, c] = min(max(over / max(weight, 1e-300), 0.0), 1.0)
                looks[c] *= attention * (1.0 - q)
                belows[c] += weight
        elif kind == DEPENDENT:
            for c in range(CHUNK):
                q = odds[j, c] / (1.0 + odds[j, c])
                hit = lucks[c] < q
                narrow = min(lucks[c] / max(q, 1e-300), 1.0)
                clicked[j, c] = looks[c] if hit else 0.0
                within[j, c] = narrow
                passed = (lucks[c] - q) / max(1.0 - q, 1e-300)
                goes_on = ((narrow < browse) & hit) | ((passed < attention) & (not hit))
                looks[c] = looks[c] if goes_on else 0.0
        else:  # each place on its own
            for c in range(CHUNK):
                p = odds[j, c] / (1.0 + odds[j, c]) * looks[c]
                clicked[j, c] = 1.0 if lucks[c] < p else 0.0
                if watched:
                    within[j, c] = min(lucks[c] / max(p, 1e-300), 1.0)
                looks[c] *= attention


@part
def show(b, first, skip, at, ints, history_at, feedback_at):
    """Copy the window of a session's record that starts at `first` into an observation.

    The places before `skip` hold what they should already.
    """
    length, tape = ints[LENGTH], ints[TAPE]
    skip = max(min(skip, length - BLOCK), 0)
    items = at[ITEMS] + (b * tape + first + skip) * 4
    liked = at[LIKED] + (b * tape + first + skip) * 4
    history, feedback = (
        at[history_at] + (b * length + skip) * 8, at[feedback_at] + (b * length + skip) * 4
    )  # fmt: skip
    if length >= BLOCK:
        widen(history, items, length - skip)
        copy(feedback, liked, length - skip)
    else:
        record, marks = (
            carray(pointer(items), length, np.int32),
            carray(pointer(liked), length, np.float32),
        )
        out = carray(pointer(history), length, np.int64)
        out_marks = carray(pointer(feedback), length, np.float32)
        for x in range(length):
            out[x] = record[x]
            out_marks[x] = marks[x]


@part
def session_key(b, episode, seed, at, ints):
    """Return the address of one session's luck."""
    slots = carray(pointer(at[SLOTS]), (ints[BATCH],), np.int64)
    return then(then(then(np.uint64(0), seed), slots[b]), episode)
