"""What users did, as sequences to learn items from, and the two ways to hold some of it back."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from simrec.errors import SimrecError
from simrec.interactions import InteractionLog
from simrec.randomness import generator


@dataclass(frozen=True)
class Task:
    """Next items to predict: a training part and questions about what came later."""

    train: NDArray[
        np.int64
    ]  # (W, T + 1) windows, oldest item first, -1 for empty places on the left
    counts: NDArray[np.int64]  # (I,) training events of each item
    pairs: NDArray[np.int64]  # (n, 2) user and item of every training event
    valid: "Questions"  # which choose the epoch
    test: "Questions"  # which judge


@dataclass(frozen=True)
class Questions:
    """What came next for some users."""

    user: NDArray[np.int64]  # (Q,) row of the log's users
    history: NDArray[np.int64]  # (Q, T) the last items before, -1 on the left
    seen: NDArray[np.int64]  # (Q, H) all items before, -1 on the left: they are not offered
    target: NDArray[np.int64]  # (Q,)

    def some(self, n: int, rng: np.random.Generator) -> "Questions":
        """Return at most `n` of them, drawn at random, in order."""
        rows = np.sort(rng.permutation(len(self.target))[:n])
        return Questions(self.user[rows], self.history[rows], self.seen[rows], self.target[rows])


def user_sequences(log: InteractionLog) -> list[NDArray[np.int64]]:
    """Return each user's items in order of time, equal times in the log's order; empty ones too."""
    time = np.zeros(len(log), dtype=np.int64) if log.time is None else log.time
    order = np.lexsort((np.arange(len(log)), time, log.user))
    ends = np.searchsorted(log.user[order], np.arange(1, log.n_users))
    return [part.astype(np.int64) for part in np.split(log.item[order], ends)]


def padded(sequences: list[NDArray[np.int64]], length: int) -> NDArray[np.int64]:
    """Return the last `length` items of each sequence as (n, length), -1 on the left."""
    out = np.full((len(sequences), length), -1, dtype=np.int64)
    for row, items in enumerate(sequences):
        last = items[-length:]
        if len(last):
            out[row, -len(last) :] = last
    return out


def windows(sequences: list[NDArray[np.int64]], length: int) -> NDArray[np.int64]:
    """Cut sequences from their ends into rows (n, length) that overlap by one item, -1 on the left.

    So each item but a sequence's first is once what comes next; a sequence of one item gives none.
    """
    pieces = [
        items[max(end - length, 0) : end]
        for items in sequences
        for end in range(len(items), 1, 1 - length)
    ]
    return padded(pieces, length)


def asked_of_some(task: Task, n: int, *, seed: int) -> Task:
    """Return the task with at most `n` questions of each kind, drawn at random; for large logs."""
    rng = generator(seed, "questions")
    return replace(task, valid=task.valid.some(n, rng), test=task.test.some(n, rng))


Asked = list[tuple[int, NDArray[np.int64], int]]  # user, what came before, what came next


def _questions(asked: Asked, history: int) -> Questions:
    before = [items for _, items, _ in asked]
    return Questions(
        np.array([user for user, _, _ in asked], dtype=np.int64),
        padded(before, history),
        padded(before, max(len(items) for items in before)),
        np.array([target for _, _, target in asked], dtype=np.int64),
    )


def _task(
    train: list[NDArray[np.int64]], valid: Asked, test: Asked, n_items: int, history: int
) -> Task:
    long = [items for items in train if len(items) > 1]
    if not long or not valid or not test:
        raise SimrecError(
            f"the log leaves {len(long)} sequences to learn from, {len(valid)} to choose by and "
            f"{len(test)} to judge by; expected at least one of each; use a longer log"
        )
    item = np.concatenate(train)
    user = np.repeat(np.arange(len(train)), [len(items) for items in train])
    return Task(
        windows(long, history + 1),
        np.bincount(item, minlength=n_items),
        np.stack([user, item], axis=1),
        _questions(valid, history),
        _questions(test, history),
    )


def leave_one_out(log: InteractionLog, *, history: int) -> Task:
    """Hold back every user's last item to judge by and the one before to choose the epoch by.

    This is the split of the papers compared with; it looks into the future of other users.

    Args:
        log: Users with fewer than four events only teach.
        history: Items of history T given to the model.

    Raises:
        SimrecError: No user has enough events.
    """
    sequences = user_sequences(log)
    judged = [(user, s) for user, s in enumerate(sequences) if len(s) >= 4]
    return _task(
        [s[:-2] if len(s) >= 4 else s for s in sequences],
        [(user, s[:-2], int(s[-2])) for user, s in judged],
        [(user, s[:-1], int(s[-1])) for user, s in judged],
        log.n_items,
        history,
    )


def time_split(
    log: InteractionLog, *, history: int, valid_from: float = 0.8, test_from: float = 0.9
) -> Task:
    """Hold back everything after a moment that is the same for all users.

    Each user's first event after a cut is a question; what a model learns from ends at the first
    cut. Events are cut at shares of the log in order of time, ties to the earlier side.

    Args:
        log: With times that all users share.
        history: As in `leave_one_out`.
        valid_from: Share of events before the first cut, in (0, 1).
        test_from: Share of events before the second cut, above `valid_from`.

    Raises:
        SimrecError: No times, or nothing on one side of a cut.
    """
    if log.time is None:
        raise SimrecError("the log has no times; expected times to split by; use leave_one_out")
    first, second = (np.quantile(log.time, q, method="lower") for q in (valid_from, test_from))
    order = np.lexsort((np.arange(len(log)), log.time, log.user))
    items, times = log.item[order].astype(np.int64), log.time[order]
    ends = np.searchsorted(log.user[order], np.arange(1, log.n_users))
    train: list[NDArray[np.int64]] = []
    valid: Asked = []
    test: Asked = []
    users = zip(np.split(items, ends), np.split(times, ends), strict=True)
    for user, (own, when) in enumerate(users):
        a, b = np.searchsorted(when, [first, second], side="right")
        train.append(own[:a])
        if 0 < a < b:
            valid.append((user, own[:a], int(own[a])))
        if 0 < b < len(own):
            test.append((user, own[:b], int(own[b])))
    return _task(train, valid, test, log.n_items, history)


def last_held_out(log: InteractionLog, *, history: int) -> Task:
    """Teach with all but each user's last event, which both chooses the epoch and judges.

    For the agent's part of a log, where the final judge is the simulation and not this log.
    """
    sequences = user_sequences(log)
    asked = [(u, s[:-1], int(s[-1])) for u, s in enumerate(sequences) if len(s) >= 3]
    train = [s[:-1] if len(s) >= 3 else s for s in sequences]
    return _task(train, asked, asked, log.n_items, history)
