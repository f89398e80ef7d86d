"""The expected course of moods along a plan, for oracles: drift, satiation, novelty and shifts.

A plan cannot know the clicks to come, so a place that is clicked with probability p counts as p
clicks (certainty equivalence): satiation grows by p times the item's topics, and the taste goes p
times as far as a click would take it. With one item a step, that is the exact expectation of each
mood given the ones before.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simrec.envs.users import has_plain_factors
from simrec.envs.world import World


@dataclass(frozen=True)
class Moods:
    """What changes tastes in a session beside boredom."""

    satiation: float
    recovery: float  # share of satiation left after a place of the list
    novelty: float
    drift: float
    tilt: NDArray[np.float32]  # (T, G) logits that shifts give at each place of the list
    tastes: NDArray[np.float32]  # (B, D) at the start; (B, 0) where they do not drift
    items: NDArray[np.float32]  # (I, D)
    scale: float  # logits of <taste, item>


@dataclass(frozen=True)
class Begun:
    """Where sessions stand in which something was shown already; G topics."""

    lately: NDArray[np.float32]  # (B, v, G) topics of the last items shown, oldest first
    there: NDArray[np.bool_]  # (B, v) False where there are none
    sated: NDArray[np.float64]  # (B, G) satiation by topic
    seen: NDArray[np.float64]  # (B, G) sum of the topics shown
    shown: NDArray[np.int64]  # (B,) items shown
    reach: NDArray[np.float64]  # (B,) length of the taste vectors when the sessions began
    streak: NDArray[np.int64]  # (B,) bad steps in a row; at `patience` of them users leave
    patience: int | None  # None: something else drives them away


def moods_of(world: World, users: NDArray[np.int64], date: int, slate_size: int) -> Moods | None:
    """Return the moods of sessions that begin now, or None where only boredom matters.

    Args:
        world: The world, as it is by now.
        users: (B,) user rows.
        date: Of the first step.
        slate_size: Places of the list shown in a step, k; a step's recovery is spread over them.
    """
    rules = world.rules
    drifts = rules.drift > 0 and has_plain_factors(world.users)
    if not (drifts or rules.satiation or rules.novelty or world.schedule.shifts):
        return None
    tilt = [world.schedule.tilt(date + t, world.topics.shape[1]) for t in range(rules.horizon)]
    none = np.zeros((len(users), 0), dtype=np.float32)
    factors = world.users if drifts and has_plain_factors(world.users) else None
    return Moods(
        rules.satiation,
        rules.recovery ** (1.0 / slate_size),
        rules.novelty,
        rules.drift,
        np.repeat(np.array(tilt), slate_size, axis=0),
        none if factors is None else factors.user_vectors[users],
        np.zeros((world.n_items, 0), np.float32) if factors is None else factors.item_vectors,
        1.0 if factors is None else factors.scale,
    )


class Course:
    """Moods along W partial lists of each of B users, over K candidates.

    Args:
        moods: What they start with.
        themes: (B, K, G) topics of the candidates.
        pool: (B, K) their item rows.
        begun: Where the sessions stand; None = at their start.
    """

    def __init__(
        self,
        moods: Moods,
        themes: NDArray[np.float32],
        pool: NDArray[np.int64],
        begun: Begun | None = None,
    ) -> None:
        self._moods, self._themes = moods, themes
        self._length = 0
        none = np.zeros((len(themes), 1, themes.shape[2]))
        self._sated = none if begun is None else begun.sated[:, None]  # (B, W, G)
        self._seen = none if begun is None else begun.seen[:, None]  # (B, W, G) topics shown
        self._shown = np.zeros((len(themes), 1, 1)) if begun is None else begun.shown[:, None, None]
        self._start = moods.tastes.astype(np.float64)  # (B, D)
        self._tastes = self._start[:, None]  # (B, W, D)
        self._vectors = moods.items[pool].astype(np.float64)  # (B, K, D)
        reach = np.linalg.norm(self._start, axis=1) if begun is None else begun.reach
        size = np.linalg.norm(self._vectors, axis=2, keepdims=True)
        self._aims = reach[:, None, None] * self._vectors / np.maximum(size, 1e-12)  # (B, K, D)

    def logits(self) -> NDArray[np.float64]:
        """Return what every candidate gains or loses if it comes next, (B, W, K)."""
        moods = self._moods
        by_topic = -moods.satiation * self._sated + moods.tilt[self._length]
        by_topic = by_topic - moods.novelty * self._seen / np.maximum(self._shown, 1)
        moved = moods.scale * (self._tastes - self._start[:, None])
        return np.asarray(
            by_topic @ self._themes.transpose(0, 2, 1)
            + moods.novelty
            + moved @ self._vectors.transpose(0, 2, 1)
        )

    def follow(
        self, parent: NDArray[np.int64], place: NDArray[np.int64], chance: NDArray[np.float64]
    ) -> None:
        """Go on with W' lists.

        Args:
            parent: (B, W') which list each goes on from.
            place: (B, W') the candidate that it adds.
            chance: (B, W') how likely that is clicked.
        """
        rows, moods = np.arange(len(place))[:, None], self._moods
        clicks, themes = chance[:, :, None], self._themes[rows, place]
        self._sated = moods.recovery * self._sated[rows, parent] + clicks * themes
        self._seen = self._seen[rows, parent] + themes
        far = moods.drift * clicks
        self._tastes = (1.0 - far) * self._tastes[rows, parent] + far * self._aims[rows, place]
        self._length += 1
        self._shown = self._shown + 1
