"""A log as steps of a recommender nobody knows: what was known, what was met, what was said."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from simrec.agents.history import Observation
from simrec.interactions import InteractionLog


@dataclass(frozen=True)
class LoggedSteps:
    """One row an event, users one after the other, each in the order of time."""

    history: NDArray[np.int64]  # (n, L) items before the event, -1 = empty, padded on the left
    liked: NDArray[np.float32]  # (n, L) 1 liked
    item: NDArray[np.int64]  # (n,) of the event
    reward: NDArray[np.float32]  # (n,) 1 liked, 0 not
    last: NDArray[np.bool_]  # (n,) the user's last event: no row follows
    n_items: int

    def __len__(self) -> int:
        """Return the number of events n."""
        return len(self.item)

    def obs(self, rows: NDArray[np.int64]) -> Observation:
        """Return observations before the events, as at the start of a session."""
        return {
            "history": torch.as_tensor(self.history[rows]),
            "feedback": torch.as_tensor(self.liked[rows]),
            "step": torch.zeros(len(rows), 1, dtype=torch.long),
        }

    def next_rows(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the rows of the users' next events; a last event's is its own, to be masked."""
        return rows + ~self.last[rows]


def logged_steps(log: InteractionLog, *, like_at: float, length: int) -> LoggedSteps:
    """Return a log as steps.

    Args:
        log: What may be learned from; users without events are left out.
        like_at: Feedback of at least this much is a like.
        length: History length L, as in the environment, since encoders read counts per place.
    """
    time = np.zeros(len(log), dtype=np.int64) if log.time is None else log.time
    order = np.lexsort((np.arange(len(log)), time, log.user))
    user, item = log.user[order], log.item[order].astype(np.int64)
    reward = (log.feedback[order] >= like_at).astype(np.float32)
    history = np.full((len(log), length), -1, dtype=np.int64)
    liked = np.zeros((len(log), length), dtype=np.float32)
    begins = np.r_[True, user[1:] != user[:-1]] if len(user) else np.zeros(0, dtype=np.bool_)
    first = np.maximum.accumulate(np.where(begins, np.arange(len(user)), 0))
    for row in range(len(user)):
        known = np.arange(max(first[row], row - length), row)
        if len(known):
            history[row, -len(known) :] = item[known]
            liked[row, -len(known) :] = reward[known]
    last = np.r_[begins[1:], True] if len(user) else begins
    return LoggedSteps(history, liked, item, reward, last, log.n_items)
