"""How alike simulated users and real ones are in what they do, on events nothing was fitted to.

Every user of the held-out part is offered, in the simulation, exactly what the log says they met:
for ratings the pairs they rated; for an implicit log their events among corrected negatives. The
answers of the simulated user stand against those of the real one.

Most distances compare populations, and dealing users out at random leaves a population as it is.
Those in PERSONAL compare person with person, so they are where a wrong population must show.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simrec.envs import behaviour
from simrec.envs.behaviour import Answers, Distance, Offered, ranking_by_user
from simrec.envs.implicit import corrected_offers, exposure_of
from simrec.envs.rhythm import (
    length_rhythm,
    logged_repeats,
    logged_sessions,
    played_sessions,
    repeat_rhythm,
)
from simrec.envs.told_users import ToldUsers
from simrec.envs.users import UserModel
from simrec.envs.world import World
from simrec.errors import SimrecError
from simrec.interactions import IMPLICIT, InteractionLog, Part, Split
from simrec.randomness import generator
from simrec.statistics import Interval

DRAWS = 12  # simulated logs of the same size as the real one
RESAMPLES = 240  # bootstrap resamples of users
SESSIONS = 1000  # played for session length and repeats

DISTANCES: Mapping[str, Distance] = {
    "activity": behaviour.activity_distance,
    "response rate": behaviour.response_distance,
    "single answers": behaviour.answer_distance,
    "popularity curve": behaviour.popularity_distance,
    "category entropy": behaviour.entropy_distance,
    "spread between users": behaviour.spread_distance,
}
OWN = "own choices"  # ranking of a user's own likes, see `behaviour.ranking_by_user`
PERSONAL = ("response rate", "single answers", OWN)


@dataclass(frozen=True)
class Measure:
    """One distance between simulated and real behaviour; 0 is alike.

    Floor and shuffled are None for session lengths and repeats, which the world's rules decide,
    whoever the users are; these are not part of the overall distance.
    """

    name: str
    distance: Interval  # fitted users against real ones; 95 % over resampled users and luck
    floor: float | None  # the same users with other luck: the least that noise allows
    shuffled: Interval | None  # users dealt out at random against real ones
    sentence: str


@dataclass(frozen=True)
class Resemblance:
    """All measures of a world."""

    world: str
    users: int  # users with held-out events
    offers: int  # pairs offered
    measures: tuple[Measure, ...]
    overall: Interval  # mean of the distances
    floor: float
    shuffled: Interval
    shuffled_gap: Interval  # overall of shuffled users - overall, in the same resamples
    personal_gap: Interval  # the same over the distances in PERSONAL only
    ranking_gap: Interval  # how much better users rank their own likes than strangers do, in AUC
    notes: tuple[str, ...]  # what the log cannot tell

    def as_dict(self) -> dict[str, Any]:
        """Return plain numbers and sentences."""
        return asdict(self)


def resemblance(
    world: World,
    log: InteractionLog,
    split: Split,
    *,
    like_at: float,
    seed: int,
    asked: NDArray[np.bool_] | None = None,
) -> Resemblance:
    """Compare simulated answers with real ones on Part.REALISM.

    Args:
        world: The world; its users are judged with whatever scales they have.
        log: The log it was fitted to.
        split: Its parts.
        like_at: Feedback of at least this much counts as a like.
        seed: Luck of the simulated answers, the corrected negatives and the bootstrap.
        asked: (n,) events in which people were asked and did not choose; they do not count as
            sessions or repeats. None: all were chosen.

    Returns:
        Distances with intervals, beside those of shuffled users and of the same users with other
        luck.

    Raises:
        SimrecError: There are fewer than two users with held-out events.
    """
    users, offered, real, notes = _offers(world, log, split, like_at, seed)
    chance = _chances(world.users, users[offered.user], offered.item)
    dealt = generator(seed, "realism", "strangers")
    strangers = [users[dealt.permutation(len(users))] for _ in range(2 * DRAWS)]
    wrong = np.array([_chances(world.users, s[offered.user], offered.item) for s in strangers])
    # strangers answer with the same luck, so that only who they are makes a difference
    luck = generator(seed, "realism", "luck").random((2 * DRAWS, len(real)))
    drawn, other = luck < chance, luck < wrong
    resample = generator(seed, "realism", "bootstrap")
    names = [name for name in DISTANCES if name != "response rate" or log.unit not in IMPLICIT]
    ranks = ranking_by_user(offered, chance, real)
    judged = np.isfinite(ranks)  # users who clicked something, and not everything
    stray = np.mean([ranking_by_user(offered, score, real) for score in wrong], axis=0)

    def distances(
        a: Answers, b: Answers, weights: NDArray[np.float64], ranked: NDArray[np.float64]
    ) -> list[float]:
        own = weights[judged] @ (1.0 - ranked[judged]) / max(weights[judged].sum(), 1e-12)
        return [*(DISTANCES[name](offered, a, b, weights) for name in names), float(own)]

    everybody = np.ones(len(users))
    point = np.mean([distances(real, b, everybody, ranks) for b in drawn], axis=0)
    wrong_point = np.mean([distances(real, b, everybody, stray) for b in other], axis=0)
    floor = np.mean(
        [distances(drawn[k], drawn[DRAWS + k], everybody, ranks) for k in range(DRAWS)], axis=0
    )
    floor[-1] = np.mean([1.0 - np.nanmean(ranking_by_user(offered, chance, b)) for b in drawn])
    told = [*names, OWN]
    boot = np.empty((RESAMPLES, len(told)))
    wrong_boot = np.empty_like(boot)
    for k in range(RESAMPLES):
        chosen = resample.integers(len(users), size=len(users))
        weights = np.bincount(chosen, minlength=len(users)).astype(np.float64)
        boot[k] = distances(real, drawn[k % len(drawn)], weights, ranks)
        wrong_boot[k] = distances(real, other[k % len(other)], weights, stray)
    measures = []
    for c, name in enumerate(told):
        found, far = _interval(point[c], boot[:, c]), _interval(wrong_point[c], wrong_boot[:, c])
        text = _sentence(name, found, float(floor[c]), far)
        measures.append(Measure(name, found, float(floor[c]), far, text))
    gap, gaps = wrong_point - point, wrong_boot - boot
    personal = [name in PERSONAL for name in told]
    measures += _rhythms(world, log if asked is None else log.select(~asked), seed, notes)
    return Resemblance(
        world.name,
        len(users),
        len(real),
        tuple(measures),
        overall=_interval(point.mean(), boot.mean(axis=1)),
        floor=float(floor.mean()),
        shuffled=_interval(wrong_point.mean(), wrong_boot.mean(axis=1)),
        shuffled_gap=_interval(gap.mean(), gaps.mean(axis=1)),
        personal_gap=_interval(gap[personal].mean(), gaps[:, personal].mean(axis=1)),
        ranking_gap=_interval(gap[-1], gaps[:, -1]),
        notes=tuple(notes),
    )


def _offers(
    world: World, log: InteractionLog, split: Split, like_at: float, seed: int
) -> tuple[NDArray[np.int64], Offered, Answers, list[str]]:
    """Return user rows (m,), offers (n,), the real answers (n,) and notes."""
    rows = np.flatnonzero(split.part == Part.REALISM)
    notes: list[str] = []
    if isinstance(world.users, ToldUsers):
        rows = rows[world.users.known[log.user[rows]]]
        notes.append(f"{world.users.label}; compared are the people whom the model played")
    if log.unit in IMPLICIT:
        rows = rows[log.feedback[rows] >= like_at]
        truth = np.flatnonzero(split.part == Part.TRUTH)
        rng = generator(seed, "realism", "offers")
        known = np.arange(len(log))
        met = corrected_offers(log, rows, known, exposure_of(log, truth, 0.5), rng=rng)
        user, item, real = met.user, met.item, met.clicked
        notes.append(
            "response rate: the log tells nothing of it, since it does not say what was declined; "
            "offers are held-out events among four corrected negatives each"
        )
    else:
        user, item = log.user[rows].astype(np.int64), log.item[rows].astype(np.int64)
        real = np.asarray(log.feedback[rows] >= like_at)
    users, place = np.unique(user, return_inverse=True)
    if len(users) < 2:
        raise SimrecError(
            f"the held-out part has events of {len(users)} users; expected 2 or more to compare "
            "behaviour, so use a longer log"
        )
    shares = world.topics.astype(np.float64) ** 2
    count = np.bincount(log.item, minlength=log.n_items)
    rank = np.empty(log.n_items, dtype=np.int64)
    rank[np.argsort(-count, kind="stable")] = np.arange(log.n_items)
    return users, Offered(place.astype(np.int64), item, shares, rank), real, notes


def _rhythms(world: World, log: InteractionLog, seed: int, notes: list[str]) -> list[Measure]:
    """Return the measures of sessions and repeats; what the log cannot tell becomes a note."""
    popularity = np.bincount(log.item, minlength=log.n_items).astype(np.float64)
    steps, clicks, repeats = played_sessions(world, popularity, sessions=SESSIONS, seed=seed)
    rng = generator(seed, "realism", "rhythm")
    found = repeat_rhythm(log.user.astype(np.int64), logged_repeats(log), clicks, repeats, rng)
    mean, ends = found.distance.texts()
    measures = [
        Measure(
            "repeat rate",
            found.distance,
            None,
            None,
            f"repeat rate: {found.real:.1%} of real events repeat an item and {found.simulated:.1%}"
            f" of simulated clicks (distance {mean} {ends}); the rules decide it, not the tastes",
        )
    ]
    real = logged_sessions(log)
    if real is None:
        notes.append(
            "session length: the log has no times in seconds, so real sessions are unknown"
        )
        return measures
    length = length_rhythm(real, steps, rng)
    mean, ends = length.distance.texts()
    text = (
        f"session length: {length.real:.1f} events in a real session, {length.simulated:.1f} steps "
        f"in a simulated one (distance {mean} {ends} of the real mean); horizon "
        f"{world.rules.horizon} and patience {world.rules.patience} are chosen, not fitted"
    )
    return [*measures, Measure("session length", length.distance, None, None, text)]


def _chances(
    model: UserModel, users: NDArray[np.int64], items: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return P(like) (n,) of pairs, a block at a time."""
    parts = []
    for first in range(0, len(users), 20_000):
        block = slice(first, first + 20_000)
        parts.append(model.affinity(model.begin(users[block]), items[block][:, None])[:, 0])
    return np.concatenate(parts)


def _interval(mean: float, values: NDArray[np.float64]) -> Interval:
    low, high = np.quantile(values, (0.025, 0.975))
    return Interval(float(mean), float(low), float(high))


def _sentence(name: str, found: Interval, floor: float, shuffled: Interval) -> str:
    if found.low <= floor:
        verdict = "as close to real people as luck allows"
    elif found.high < shuffled.low:
        verdict = "clearly closer to real people than shuffled users"
    elif found.mean < shuffled.mean:
        verdict = "a little closer to real people than shuffled users"
    else:
        verdict = "no closer to real people than shuffled users"
    return (
        f"{name}: {verdict} (distance {found.mean:.3f} [{found.low:.3f}, {found.high:.3f}], "
        f"same users with other luck {floor:.3f}, shuffled users {shuffled.mean:.3f})"
    )
