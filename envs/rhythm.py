"""Sessions and repeats, in a log and in played sessions: what the rules decide, not the tastes."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import wasserstein_distance

from simrec.envs.vector import RecommendVectorEnv
from simrec.envs.world import World
from simrec.interactions import InteractionLog
from simrec.statistics import Interval

PAUSE = 30 * 60  # seconds without an event that end a real session
_EPOCH = 100_000_000  # times below this are an order within the user, not seconds since 1970


@dataclass(frozen=True)
class Rhythm:
    """One quantity of sessions, in the log and in the simulation."""

    real: float
    simulated: float
    distance: Interval


def logged_sessions(log: InteractionLog) -> NDArray[np.int64] | None:
    """Return the number of events in each real session, or None where no time in seconds is known.

    A session ends with a pause of more than half an hour.
    """
    if log.time is None or not len(log) or log.time.min() < _EPOCH:
        return None
    order = np.lexsort((log.time, log.user))
    user, time = log.user[order], log.time[order]
    begins = np.r_[True, (user[1:] != user[:-1]) | (time[1:] - time[:-1] > PAUSE)]
    return np.asarray(np.diff(np.r_[np.flatnonzero(begins), len(log)]), dtype=np.int64)


def logged_repeats(log: InteractionLog) -> NDArray[np.bool_]:
    """Return (n,) True for events whose user had an event with the same item before."""
    pair = log.user.astype(np.int64) * log.n_items + log.item
    order = np.argsort(pair, kind="stable")
    again = np.zeros(len(log), dtype=np.bool_)
    again[order[1:]] = pair[order[1:]] == pair[order[:-1]]
    return again


def played_sessions(
    world: World, popularity: NDArray[np.float64], *, sessions: int, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Play sessions in which items are drawn by popularity, seen before or not.

    Args:
        world: The world.
        popularity: (I,) weights of the draw.
        sessions: How many are played.
        seed: Luck of users and draws.

    Returns:
        For each session (n,): steps, clicks, and clicks on items the user had seen before.
    """
    env = RecommendVectorEnv(world, sessions)
    observation, _ = env.reset(seed=seed)
    rng = np.random.default_rng(seed)
    steps, clicks, repeats = (np.zeros(sessions, dtype=np.int64) for _ in range(3))
    going = np.ones(sessions, dtype=np.bool_)
    share = popularity / popularity.sum()
    while going.any():
        items = rng.choice(world.n_items, sessions, p=share)
        seen = (np.asarray(observation["history"]) == items[:, None]).any(axis=1)
        observation, reward, terminated, truncated, _ = env.step(items)
        steps += going
        clicks += going & (reward > 0)
        repeats += going & (reward > 0) & seen
        going &= ~(terminated | truncated)
    return steps, clicks, repeats


def length_rhythm(
    real: NDArray[np.int64], played: NDArray[np.int64], rng: np.random.Generator
) -> Rhythm:
    """Compare session lengths: 1-Wasserstein distance in units of the real mean, bootstrapped.

    Args:
        real: (n,) events of real sessions.
        played: (m,) steps of played sessions.
        rng: Draws the resamples.
    """

    def distance(a: NDArray[np.int64], b: NDArray[np.int64]) -> float:
        return float(wasserstein_distance(a, b)) / float(a.mean())

    values = [distance(rng.choice(real, len(real)), rng.choice(played, len(played))) for _ in _REPS]
    return Rhythm(float(real.mean()), float(played.mean()), _spread(distance(real, played), values))


def repeat_rhythm(
    users: NDArray[np.int64],
    again: NDArray[np.bool_],
    clicks: NDArray[np.int64],
    repeats: NDArray[np.int64],
    rng: np.random.Generator,
) -> Rhythm:
    """Compare shares of repeated items: |real - simulated|, bootstrapped over users and sessions.

    Args:
        users: (n,) user of each real event.
        again: (n,) True where the event repeats an item.
        clicks: (m,) clicks of each played session.
        repeats: (m,) those on items seen before.
        rng: Draws the resamples.
    """
    total, repeated = np.bincount(users), np.bincount(users, again)
    real = float(repeated.sum() / total.sum())
    played = float(repeats.sum() / max(clicks.sum(), 1))
    values = []
    for _ in _REPS:
        u, s = (
            rng.integers(len(total), size=len(total)),
            rng.integers(len(clicks), size=len(clicks)),
        )
        share = repeats[s].sum() / max(clicks[s].sum(), 1)
        values.append(abs(float(repeated[u].sum() / max(total[u].sum(), 1) - share)))
    return Rhythm(real, played, _spread(abs(real - played), values))


_REPS = range(200)  # bootstrap resamples


def _spread(point: float, values: list[float]) -> Interval:
    low, high = np.quantile(values, (0.025, 0.975))
    return Interval(point, float(low), float(high))
