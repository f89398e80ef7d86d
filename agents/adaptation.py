"""The places where a strategy may step in while KAC learns."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from simrec.agents.policy import ItemPolicy
from simrec.agents.replay import Replay


class Adaptation:
    """Does nothing; a strategy overrides the one place in which it differs.

    It must not keep the learner: it is saved with it.
    """

    def schedule(self, policy: ItemPolicy, progress: float) -> None:
        """Set what follows time, after temperature and alpha were set for `progress` in [0, 1]."""

    def outcome(self, policy: ItemPolicy, reward: NDArray[Any], done: NDArray[np.bool_]) -> None:
        """Hear the clicks (B,) of a vector step and which sessions it ended (B,)."""

    def beginning(self, policy: ItemPolicy, so_far: Replay) -> None:
        """Look, after each vector step of the first rollout, at that rollout so far."""

    def held_out(self, policy: ItemPolicy, newest: Replay) -> None:
        """Look at the newest rollout before the critic has learned from it."""

    def learned(self, policy: ItemPolicy, batch: Replay) -> None:
        """Act after an update; `batch` is the last one learned from."""

    def report(self, policy: ItemPolicy) -> dict[str, float]:
        """Return quantities for the updates table."""
        return {}
