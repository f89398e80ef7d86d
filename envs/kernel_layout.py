"""How the compiled step is laid out: places in its rows of numbers, and how it is compiled."""

# mypy: disable-error-code="no-untyped-call"

from hashlib import sha256
from pathlib import Path
from typing import Any

from numba import njit

CHUNK = 128  # users served together, so that their numbers stay close at hand
NEAR = 2**19  # bytes of an item table that stays in the cache: its rows need not be fetched
CROWD = 2**19  # places of histories in a batch that do not stay in the cache
SHORT = 64  # places of a history that is written as a whole rather than looked at closely
AHEAD = 64  # rows of a big table that are fetched before they are needed
MOST = 27.631021115928547  # logit(1 - 1e-12), as in choice.EDGE
MULTINOMIAL, CASCADE, POSITION, DEPENDENT = range(4)
BY_CLICKS, BY_MINUTES, BY_LIKES, BY_DEPTH = range(4)
BY_STREAK, BY_BOREDOM, BY_BUDGET = range(3)
# how an item seen before is found: in the record; by its mark, if every item has a mark of its own;
# or in the record where there are two marks, which other items may have left as well
BY_RECORD, BY_MARK, BY_BOTH = range(3)
STEP, STREAK, USER, EPISODE = range(4)  # rows of counts
CLICKS, REWARD, EFFORT = range(3)  # rows of sums
MINUTES, LIKES, BEST = 1, 2, 3  # columns of a step's signals, after CLICKS

# places in the row of addresses, see `simrec.envs.compiled`
(
    COUNTS, SUMS, KEYS, RECORD, RING, LATELY, SATED, SEEN, EFFECT, VECTOR, REACH,
    SLOTS, TABLE, ASIDE, THEMES, START_ITEMS, START_LIKED, ARRIVALS, USER_EFFECT, USER_VECTORS,
    APPEARS, EXPIRES, TILT, SCRATCH, ODDS, LUCK, ALIKE, WITHIN, CLICKED, TARGET, MARKS, SIGNALS,
    QUERY, BASE, KINDS, LANES, HITS, FOUND, WEIGHTS,
    LANE_KEYS, LANE_STEPS, YOUNG,
    OUT_HISTORY, OUT_FEEDBACK, OUT_STEP, OUT_REWARD, OUT_LEFT, OUT_CUT, OUT_DONE, OUT_WHO,
    OUT_WATCH, LAST_HISTORY, LAST_FEEDBACK, LAST_STEP, LAST_COUNTS, LAST_SUMS, ENDED,
    HISTORY_ROOM, FEEDBACK_ROOM,
) = range(59)  # fmt: skip
# places in the row of whole numbers
(
    BATCH, LENGTH, HISTORY, BEFORE, TAPE, WIDTH, WIDE, TOPICS, WINDOW, N_ITEMS, N_USERS, N_ARRIVALS,
    N_THEMES, HORIZON, PATIENCE, CHOICE, PAYS, LEAVES,
    HAS_FACTORS, HAS_SATED, HAS_SEEN, HAS_TILT, HAS_LIVES, HAS_WATCH, HAS_RING, SEARCH, SHOWN,
    WORDS, HAS_DRIFT,
) = range(29)  # fmt: skip

_FAST = {"reassoc", "contract", "arcp", "nsz"}  # sums in any order; NaN and infinity still count
_SOURCES = (  # a change to any of them makes the kept machine code stale
    "block_copies", "blocks", "kernel", "kernel_after", "kernel_begin", "kernel_chunk",
    "kernel_heed", "kernel_layout", "kernel_parts", "kernel_scores",
)  # fmt: skip


def _stamp() -> int:
    """Return a number that changes with any of the sources."""
    digest = sha256()
    for name in _SOURCES:
        digest.update((Path(__file__).parent / f"{name}.py").read_bytes())
    return int.from_bytes(digest.digest()[:7], "big") | 1


#: Every entry keeps this in its closure: numba's cache on disk looks at the closure and at the file
#: of the entry itself, but not at the files of the functions that it calls.
STAMP = _stamp()


def part(function: Any) -> Any:
    """Compile a function that other compiled functions call."""
    return njit(nogil=True, fastmath=_FAST, error_model="numpy")(function)


def entry(function: Any) -> Any:
    """Compile a function that Python calls, keep it on disk, and let go of the lock inside."""
    return njit(nogil=True, fastmath=_FAST, error_model="numpy", cache=True)(function)
