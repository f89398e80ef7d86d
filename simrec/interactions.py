"""The interaction log and its three disjoint parts: the agent's, the truth's and the judge's."""

import itertools
from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from simrec.errors import SimrecError
from simrec.files import fingerprint
from simrec.randomness import generator

IMPLICIT = ("implicit", "count")  # units that tell what users did and not what they declined


@dataclass(frozen=True)
class InteractionLog:
    """What users did, one row an event, users and items as row numbers 0..U-1 and 0..I-1."""

    user: NDArray[np.int32]  # (n,)
    item: NDArray[np.int32]  # (n,)
    feedback: NDArray[np.float32]  # (n,) in `unit`
    time: NDArray[np.int64] | None  # (n,) seconds, or the order within the user; None = unknown
    unit: str  # name of the feedback's unit, for example "stars"
    user_ids: tuple[str, ...]  # (U,) the ids of the source
    n_items: int

    def __len__(self) -> int:
        """Return the number of events n."""
        return len(self.user)

    @property
    def n_users(self) -> int:
        """The number of users U."""
        return len(self.user_ids)

    @cached_property
    def fingerprint(self) -> str:
        """Sixteen hex digits over every event."""
        time = self.time if self.time is not None else "unordered"
        return fingerprint(
            self.user, self.item, self.feedback, time, self.unit, "\0".join(self.user_ids)
        )

    def select(self, rows: NDArray[np.int64] | NDArray[np.bool_]) -> "InteractionLog":
        """Return the log reduced to `rows` (indices or mask over events); users and items stay."""
        return InteractionLog(
            self.user[rows],
            self.item[rows],
            self.feedback[rows],
            None if self.time is None else self.time[rows],
            self.unit,
            self.user_ids,
            self.n_items,
        )


class Part(IntEnum):
    """Who may see an event."""

    AGENT = 0  # the item adapter, the teacher's histories, the agent's start states
    TRUTH = 1  # the simulated users are fitted on these
    REALISM = 2  # judges the simulated users; nothing is fitted on these


@dataclass(frozen=True)
class Split:
    """Where every event and every user belongs."""

    part: NDArray[np.int8]  # (n,) a member of Part for each event
    online: NDArray[np.bool_]  # (U,) True: met only after deployment; False: the teacher's users


def split_log(
    log: InteractionLog,
    *,
    seed: int,
    agent_share: float = 0.3,
    realism_share: float = 0.1,
    online_share: float = 0.5,
    history: int = 10,
) -> Split:
    """Split a log by time within each user and, across, by user.

    The earliest events of every user are the agent's part; the later ones are divided at random
    into truth and realism. Users are drawn into teacher users (whose agent part may be used before
    deployment) and online users (whose agent part is only their start state).
    Where time is unknown, a seeded order takes its place.

    Args:
        log: The whole log.
        seed: Draws the users and the realism part.
        agent_share: Share of a user's events that form the agent's part, in (0, 1).
        realism_share: Share of the remaining events that only judge, in (0, 1).
        online_share: Share of users that are met only online, in (0, 1).
        history: Least number of agent events a user should have, events permitting (at least one
            event always stays for the truth).

    Returns:
        The part of every event and the group of every user.

    Raises:
        SimrecError: A share is outside (0, 1), or fewer than two users.
    """
    shares = {
        "agent_share": agent_share,
        "realism_share": realism_share,
        "online_share": online_share,
    }
    for name, share in shares.items():
        if not 0.0 < share < 1.0:
            raise SimrecError(f"split.{name} is {share}; expected a share between 0 and 1")
    if log.n_users < 2:
        raise SimrecError(f"the log has {log.n_users} user; expected 2 or more to split by user")
    rng = generator(seed, "split")
    shuffled = rng.permutation(len(log))  # breaks ties of equal time without favouring any item
    key = shuffled if log.time is None else log.time
    order = np.lexsort((shuffled, key, log.user))
    part = np.full(len(log), Part.TRUTH, dtype=np.int8)
    starts = np.searchsorted(log.user[order], np.arange(log.n_users + 1))
    for first, end in itertools.pairwise(starts):
        n = int(end - first)
        n_agent = min(max(round(agent_share * n), history), max(n - 1, 0))
        part[order[first : first + n_agent]] = Part.AGENT
    later = np.flatnonzero(part == Part.TRUTH)
    part[later[rng.random(len(later)) < realism_share]] = Part.REALISM
    online = np.zeros(log.n_users, dtype=np.bool_)
    n_online = min(max(round(online_share * log.n_users), 1), log.n_users - 1)
    online[rng.permutation(log.n_users)[:n_online]] = True
    return Split(part, online)


def start_histories(
    log: InteractionLog, split: Split, *, length: int, like_at: float
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return what is known of each user before the first recommendation: the agent part's end.

    Args:
        log: The whole log.
        split: Its parts; only events of Part.AGENT are used.
        length: History length H; older events are dropped.
        like_at: Feedback of at least this much counts as liked.

    Returns:
        items (U, H) with -1 for empty places on the left, and liked (U, H) as 0 or 1.
    """
    items = np.full((log.n_users, length), -1, dtype=np.int64)
    liked = np.zeros((log.n_users, length), dtype=np.float32)
    rows = np.flatnonzero(split.part == Part.AGENT)
    time = np.zeros(len(rows), dtype=np.int64) if log.time is None else log.time[rows]
    rows = rows[np.lexsort((rows, time, log.user[rows]))]
    ends = np.searchsorted(log.user[rows], np.arange(log.n_users + 1))
    for user, (first, end) in enumerate(itertools.pairwise(ends)):
        last = rows[max(first, end - length) : end]
        if len(last):
            items[user, -len(last) :] = log.item[last]
            liked[user, -len(last) :] = log.feedback[last] >= like_at
    return items, liked
