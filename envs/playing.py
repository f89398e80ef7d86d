"""Playing a policy that knows what it wants to show: single sessions, or a whole season."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simrec.envs.schedule import FOREVER
from simrec.envs.sessions import Observation
from simrec.envs.vector import RecommendVectorEnv
from simrec.envs.world import World

Scores = Callable[[Observation], NDArray[np.float64]]  # (B, I) for the observation just returned
Policy = Callable[[RecommendVectorEnv], Scores]  # shows the unseen item with the highest score
FEWEST = 16  # slots of a season


@dataclass(frozen=True)
class Season:
    """How long, and by how many at once, a world is played in which sessions are not alike."""

    slots: int  # B
    dates: int  # sessions that begin before this date count


@dataclass(frozen=True)
class Played:
    """The sessions of a policy."""

    start: NDArray[np.int64]  # (n,) date on which each began
    reward: NDArray[np.float64]  # (n,) what `Rules.reward` counts
    length: NDArray[np.float64]  # (n,) steps
    back: NDArray[np.bool_]  # (n,) the user came back; False in a world without retention


def season_of(world: World, sessions: int) -> Season | None:
    """Return a season of about so many sessions, or None where every session is like any other.

    Sessions are not alike where something is scheduled, users come back, creators answer or
    friends influence each other. The season reaches past the last scheduled date by as much again
    (by 5 horizons at least), and over 10 reviews of creators.

    Args:
        world: The world.
        sessions: Wanted.
    """
    schedule, horizon = world.schedule, world.rules.horizon
    if not (schedule or world.retention or world.creators or world.friends):
        return None
    known = [date for shift in schedule.shifts for date in (shift.date, shift.until)]
    if schedule.lifetimes is not None:
        known += [*schedule.lifetimes.appears.tolist(), *schedule.lifetimes.expires.tolist()]
    last = max((date for date in known if date < FOREVER), default=0)
    dates = max(2 * last, last + 5 * horizon)
    if world.creators is not None:
        dates = max(dates, 10 * world.creators.period)
    return Season(
        int(np.clip(-(-sessions * horizon // dates), FEWEST, max(sessions, FEWEST))), dates
    )


def play(
    world: World, policy: Policy, seed: int, sessions: int, slate_size: int = 1
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return rewards and steps (n,) of a policy in episode 0 of every slot."""
    played = _play(world, policy, seed, Season(sessions, 1), slate_size)
    return played.reward, played.length


def play_season(
    world: World, policy: Policy, seed: int, season: Season, slate_size: int = 1
) -> Played:
    """Return the sessions of a season, those that its last date cuts off played to their end."""
    return _play(world, policy, seed, season, slate_size)


def _play(world: World, policy: Policy, seed: int, season: Season, slate_size: int) -> Played:
    slots = season.slots
    env = RecommendVectorEnv(world, slots, slate_size=slate_size)
    observation, info = env.reset(seed=seed)
    scores = policy(env)
    reward, length = np.zeros(slots), np.zeros(slots)
    begun = np.zeros(slots, dtype=np.int64)
    over: list[tuple[NDArray[Any], ...]] = []
    while (begun < season.dates).any():
        unseen = env.action_masks()[:, : world.n_items]
        ranked = np.where(unseen, scores(observation), -np.inf)
        items = (
            ranked.argmax(axis=1)
            if slate_size == 1
            else np.argsort(-ranked, axis=1, kind="stable")[:, :slate_size]
        )
        observation, earned, terminated, truncated, info = env.step(items)
        reward += earned
        length += 1
        rows = np.flatnonzero((terminated | truncated) & (begun < season.dates))
        back = info["days"][rows] > 0 if "days" in info else np.zeros(len(rows), dtype=np.bool_)
        over.append((rows, begun[rows], reward[rows], length[rows], back))
        done = terminated | truncated
        reward[done] = length[done] = 0.0
        begun[done] = env.date
    slot, *parts = (np.concatenate(part) for part in zip(*over, strict=True))
    order = np.argsort(slot, kind="stable")  # slot by slot, each in the order of its sessions
    return Played(*(part[order] for part in parts))
