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
    BATCH, CASCADE, ITEMS, LENGTH, LIKED, MULTINOMIAL, POSITION, SLOTS, TAPE, part,
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
def choose(kind, k, attention, browse, key, step, first, odds, clicked, within):
    """Fill clicked (k,) and within (k,) from odds e**z (k,), 0 for an item that is ignored.

    `first` is the luck of place 0.
    """
    if kind == MULTINOMIAL:  # without a way out of the loop, which nobody could foresee
        total, below = 1.0, 0.0
        for j in range(k):
            total += odds[j]
        target, over, weight = first * total, 0.0, 1.0
        for j in range(k):
            above = below + odds[j]
            hit = (below <= target) & (target < above)
            clicked[j] = 1.0 if hit else 0.0
            over = target - below if hit else over
            weight = odds[j] if hit else weight
            below = above
        narrow = min(max(over / weight, 0.0), 1.0)
        for j in range(k):
            within[j] = narrow  # counts only where there was a click
        return
    for j in range(k):
        clicked[j] = 0.0
        within[j] = 0.0
    if kind == CASCADE:
        target = first
        below, going = 0.0, 1.0
        for j in range(k):
            q = odds[j] / (1.0 + odds[j])
            weight = going * q
            going *= attention * (1.0 - q)
            if target < below + weight:
                clicked[j] = 1.0
                within[j] = min(max((target - below) / weight, 0.0), 1.0)
                break
            below += weight
        return
    look = 1.0
    for j in range(k):
        q = odds[j] / (1.0 + odds[j])
        luck = first if j == 0 else luck_of(key, step, j)
        if kind == POSITION:
            p = q * look
            look *= attention
            if luck < p:
                clicked[j] = 1.0
                within[j] = luck / p
        elif luck < q:
            clicked[j] = 1.0
            within[j] = luck / q
            if within[j] >= browse:
                break
        elif (luck - q) / (1.0 - q) >= attention:
            break


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
