"""The infos of a step, with the last observations of sessions that ended, as Gymnasium has them."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from simrec.envs.state import Shown


class Finals:
    """What Gymnasium wants of sessions and their ends, over one of the two sets of outputs.

    The dictionaries of last observations are made once, and the first of them are handed out: few
    sessions end in most steps, so that these stay close at hand. Which rows count is written in
    `shown.done`, which is looked into as well.

    Args:
        shown: The outputs that the entries look into.
    """

    def __init__(self, shown: Shown) -> None:
        batch = len(shown.step)
        self._every = np.empty(batch, dtype=object)
        parts = zip(shown.last_history, shown.last_feedback, shown.last_step, strict=True)
        for row, (history, feedback, step) in enumerate(parts):
            self._every[row] = {"history": history, "feedback": feedback, "step": step}
        self._obs = np.full(batch, None, dtype=object)
        self._done = shown.done
        self._rows: NDArray[np.int64] = np.zeros(0, dtype=np.int64)
        columns = {
            "user": shown.last_counts[:, 0],
            "session": shown.last_counts[:, 1],
            "clicks": shown.last_sums[:, 0],
            "reward": shown.last_sums[:, 1],
            "length": shown.last_counts[:, 2],
        }
        every = np.ones(batch, dtype=np.bool_)
        user, session = shown.who[:, 0], shown.who[:, 1]
        self._always = {"user": user, "_user": every, "session": session, "_session": every}
        self._info: dict[str, NDArray[Any]] = {}
        for name, values in columns.items():
            self._info |= {name: values, f"_{name}": self._done}

    def info(self) -> dict[str, Any]:
        """Return the entries of `infos` that belong to the sessions now being served."""
        return self._always.copy()

    def fill(self, rows: NDArray[np.int64]) -> dict[str, Any]:
        """Return the entries of `infos` for the batch rows (n,) of sessions that ended."""
        self._obs[self._rows] = None
        self._rows = rows.copy()
        self._obs[rows] = self._every[: len(rows)]
        return {
            "final_obs": self._obs,
            "_final_obs": self._done,
            "final_info": self._info.copy(),
            "_final_info": self._done,
        }
