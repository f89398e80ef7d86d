"""Item lists made with knowledge of the truth, for bounds only."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simrec.envs.moods import Begun, Course, Moods


def spread_list(
    logits: NDArray[np.float64],
    topics: NDArray[np.float32],
    *,
    length: int,
    boredom: float,
    window: int,
) -> NDArray[np.int64]:
    """Return one list for everybody, built greedily with boredom taken into account.

    Place by place the item is added whose mean click probability over all users is highest, given
    the boredom caused by the list so far. Only the 500 items with the highest mean are considered.

    Args:
        logits: (U, I) true logits of P(like).
        topics: (I, G) rows of length 1.
        length: Items wanted; fewer come back where the catalogue is smaller.
        boredom: Logits lost at full overlap.
        window: Items shown lately that count.
    """
    best = np.argsort(-(1.0 / (1.0 + np.exp(-logits))).mean(axis=0), kind="stable")[:500]
    odds = np.exp(logits[:, best])
    themes = topics[best]
    chosen: list[int] = []
    for _ in range(min(length, len(best))):
        recent = themes[chosen[-window:]]
        mean = recent.mean(axis=0) if len(recent) else np.zeros(themes.shape[1])
        bored = odds * np.exp(-boredom * (themes @ mean))
        click = (bored / (1.0 + bored)).mean(axis=0)
        click[chosen] = -1.0
        chosen.append(int(click.argmax()))
    return np.asarray(best[chosen], dtype=np.int64)


@dataclass(frozen=True)
class Repeats:
    """The rule of users whom more of the same drives away, one item a step; see `Rules.leave`."""

    tolerance: float  # overlap with what was shown lately at which a step is bad
    patience: int  # bad steps in a row after which the user leaves
    streak: NDArray[np.int64]  # (B,) bad steps in a row before the plan
    whole: bool  # the plan fills the session, so leaving at its last place costs nothing


def beam_plans(
    logits: NDArray[np.float64],
    topics: NDArray[np.float32],
    *,
    length: int,
    boredom: float,
    window: int,
    moods: Moods | None = None,
    begun: Begun | None = None,
    repeats: Repeats | None = None,
    beams: int = 8,
    candidates: int = 80,
) -> NDArray[np.int64]:
    """Return a list for each user that plans for the most expected clicks, by beam search.

    Approximate: a beam keeps few partial lists, only the user's best items are candidates, and
    moods other than boredom follow their expected course (see `Moods`). A plan for sessions that
    have begun counts a click only as far as the user is likely to be there still, where a streak
    of bad steps drives users away, and a plan that is told of `repeats` counts none after the user
    has left and keeps lists that go on before lists that have ended; any other plan ignores
    leaving.

    Args:
        logits: (B, I) true logits of P(like); -inf where an item must not be used.
        topics: (I, G) rows of length 1.
        length: Items in each list, T; fewer where there are fewer candidates.
        boredom: Logits lost at full overlap.
        window: Items shown lately that count.
        moods: What else changes tastes; None = nothing.
        begun: Where the sessions stand; None = at their start.
        repeats: How repetition drives users away; None = it does not.
        beams: Partial lists kept for each user, W.
        candidates: Items considered for each user, K.

    Returns:
        (B, T) item rows.
    """
    n_users, n_items = logits.shape
    k = min(candidates, n_items)
    length = min(length, k)
    pool = np.argpartition(-logits, k - 1, axis=1)[:, :k]  # (B, K)
    odds = np.exp(np.take_along_axis(logits, pool, axis=1)).astype(np.float32)  # (B, K)
    themes = topics[pool]  # (B, K, G)
    rows = np.arange(n_users)[:, None]
    plan = np.zeros((n_users, 1, 0), dtype=np.int64)  # (B, W, t) places in the pool
    free = np.ones((n_users, 1, k), dtype=np.bool_)  # (B, W, K)
    order = total = np.zeros((n_users, 1), dtype=np.float32)  # (B, W) expected clicks so far
    course = None if moods is None else Course(moods, themes, pool, begun)
    staying = None if begun is None or begun.patience is None else _Staying(begun)
    tired = None if repeats is None else _Tired(repeats)
    for place_of_list in range(length):
        mean = _lately(themes, plan[:, :, -window:], begun, window - place_of_list)
        alike = mean @ themes.transpose(0, 2, 1)  # (B, W, K)
        bored = odds[:, None, :] * np.exp(-boredom * alike)
        if course is not None:
            bored = bored * np.exp(course.logits())
        click = bored / (1.0 + bored)
        there = 1.0 if staying is None else staying.chance()[:, :, None]
        if tired is not None:
            there = tired.there()
        score = np.where(free, total[:, :, None] + there * click, -1.0)
        worth = score
        if tired is not None and not (tired.whole and place_of_list == length - 1):
            # Ended lists come after all that go on, and what was shown already after those.
            worth = np.where(free, score - length * tired.leaves(alike), -2.0 * length)
        flat = worth.reshape(n_users, -1)
        width = min(beams, flat.shape[1])
        kept = np.argpartition(-flat, width - 1, axis=1)[:, :width]
        parent, place = np.divmod(kept, k)  # (B, W) each
        if course is not None:
            course.follow(parent, place, click[rows, parent, place])
        if staying is not None:
            staying.follow(parent, click[rows, parent, place])
        if tired is not None:
            tired.follow(parent, alike[rows, parent, place])
        total = np.take_along_axis(score.reshape(n_users, -1), kept, axis=1)
        order = np.take_along_axis(flat, kept, axis=1)
        plan = np.concatenate([plan[rows, parent], place[:, :, None]], axis=2)
        free = free[rows, parent]
        np.put_along_axis(free, place[:, :, None], False, axis=2)
    winner = plan[rows[:, 0], order.argmax(axis=1)]  # (B, T)
    return np.asarray(np.take_along_axis(pool, winner, axis=1), dtype=np.int64)


def _lately(
    themes: NDArray[np.float32], places: NDArray[np.int64], begun: Begun | None, before: int
) -> NDArray[np.float32]:
    """Return the mean topics (B, W, G) of the items shown lately.

    Args:
        themes: (B, K, G) topics of the candidates.
        places: (B, W, t) candidates that the lists end with.
        begun: What was shown before the lists.
        before: How many items before the lists still count; none if not positive.
    """
    rows = np.arange(len(themes))[:, None, None]
    total = themes[rows, places].sum(axis=2)
    count = np.full((len(themes), 1, 1), places.shape[2])
    if begun is not None and before > 0:
        there = begun.there[:, -before:]
        total = total + (begun.lately[:, -before:] * there[:, :, None]).sum(axis=1)[:, None]
        count = count + there.sum(axis=1)[:, None, None]
    return np.asarray(total / np.maximum(count, 1), dtype=np.float32)


class _Staying:
    """How likely users are still there along W partial lists, where a streak drives them away."""

    def __init__(self, begun: Begun) -> None:
        assert begun.patience is not None
        #: (B, W, patience): the chance of being there with that many bad steps in a row.
        self._mass = np.eye(begun.patience)[np.minimum(begun.streak, begun.patience - 1)][:, None]

    def chance(self) -> NDArray[np.float64]:
        """Return the chance (B, W) of being there."""
        return np.asarray(self._mass.sum(axis=2))

    def follow(self, parent: NDArray[np.int64], click: NDArray[np.float64]) -> None:
        """Go on with the lists (B, W') from their parents, with the chances of a click."""
        mass = self._mass[np.arange(len(parent))[:, None], parent]
        after = np.empty_like(mass)
        after[:, :, 0] = click * mass.sum(axis=2)
        after[:, :, 1:] = (1.0 - click)[:, :, None] * mass[:, :, :-1]
        self._mass = after


class _Tired:
    """Bad steps in a row along W partial lists, where repetition drives users away."""

    def __init__(self, repeats: Repeats) -> None:
        self.whole = repeats.whole
        self._patience = repeats.patience
        # What is as alike as may be only by rounding is taken for too alike.
        self._tolerance = repeats.tolerance - 1e-5
        self._streak = repeats.streak[:, None]  # (B, W)

    def there(self) -> NDArray[np.float64]:
        """Return (B, W, 1) 1 where the user is still there, else 0."""
        return (self._streak < self._patience).astype(np.float64)[:, :, None]

    def leaves(self, alike: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Return (B, W, K) True where a candidate with that overlap is the last one shown."""
        return np.asarray(self._after(self._streak[:, :, None], alike) >= self._patience)

    def follow(self, parent: NDArray[np.int64], alike: NDArray[np.float32]) -> None:
        """Go on with the lists (B, W') from their parents, with the overlap of what they add."""
        self._streak = self._after(np.take_along_axis(self._streak, parent, axis=1), alike)

    def _after(self, streak: NDArray[np.int64], alike: NDArray[np.float32]) -> NDArray[np.int64]:
        stays = (alike < self._tolerance) & (streak < self._patience)  # who has left is gone
        return np.where(stays, 0, streak + 1)
