"""How much there is to gain in a world: from chance to a policy that knows every user's taste."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from simrec.envs.choice import logit
from simrec.envs.oracle import AHEAD, Oracle, replans
from simrec.envs.plan import spread_list
from simrec.envs.playing import Played, Policy, Scores, Season, play, play_season
from simrec.envs.users import affinity_of_all, has_plain_factors
from simrec.envs.vector import RecommendVectorEnv
from simrec.envs.world import World
from simrec.errors import SimrecError
from simrec.randomness import generator

Bound = dict[str, float]

MOST_STATIC = 0.70  # share of the gain over chance that one list for everybody may have
_ORACLE = (
    "The oracle is approximate: the better of greedy by the true probability and a beam search that"
    "{} ignores {}."
)
NO_MOODS = _ORACLE.format("", "leaving")  # `oracle_note` of a world with the default rules
_SAMPLE = 1000  # users whose tastes make the static lists


def world_bounds(
    world: World,
    *,
    log_popularity: NDArray[np.float32],
    seed: int,
    sessions: int = 2048,
    slate_size: int = 1,
    season: Season | None = None,
) -> dict[str, Bound]:
    """Play reference policies and return what they earn; a slate is their best unseen items.

    All of them play the same users with the same luck and skip items already seen (with a season,
    see `season_of`, that holds of first sessions: who comes later depends on who came back).
    `random` shows any item, `popular` goes down the popularity list, `static` is the better of two
    lists that are the same for everybody (by mean true affinity; and built greedily against
    boredom), `myopic` shows the item with the highest true click probability now, and `oracle` is
    the better of myopic and a plan made for each user by beam search, before every step where
    clicks change tastes and once a session elsewhere. The oracle is approximate, as `oracle_note`
    says, so a better policy may exist. The static lists are made against boredom, not against the
    other moods.

    Args:
        world: The world judged; its truth is read.
        log_popularity: (I,) the order of `popular`.
        seed: Luck, and the choices of `random`.
        sessions: Sessions played by each policy, one a user.
        slate_size: Items shown in a step, k.
        season: Play this instead of first sessions; None plays first sessions only.

    Returns:
        For each of random, popular, static, myopic, oracle: reward (mean over sessions of what
        `Rules.reward` counts), reward_se (its standard error) and length (mean steps); with
        retention also returned (share of sessions after which the user came back), and with a
        shift in the season reward_before and reward_since (sessions that began before it, or not).
    """
    rng = generator(seed, "bounds", "random")

    def at_random(env: RecommendVectorEnv) -> Scores:
        return lambda observation: rng.random((env.num_envs, world.n_items))

    def played(policy: Policy) -> Bound:
        whole = season or Season(sessions, 1)
        return _bound(play_season(world, policy, seed, whole, slate_size), world, whole.dates)

    popular = np.argsort(-log_popularity, kind="stable")
    statics = [played(_down(order)) for order in _orders(world, seed, slate_size)]
    myopic = played(myopic_policy)
    planned = played(planned_policy)
    return {
        "random": played(at_random),
        "popular": played(_down(popular)),
        "static": max(statics, key=_reward),
        "myopic": myopic,
        "oracle": max(myopic, planned, key=_reward),
    }


def oracle_note(world: World, slate_size: int = 1) -> str:
    """Say how the oracle of a world is computed and what it leaves out.

    Args:
        world: The world.
        slate_size: Items shown in a step, k.
    """
    rules, moods = world.rules, []
    if rules.drift and has_plain_factors(world.users):
        moods.append("drift")
    moods += [name for name in ("satiation", "novelty") if getattr(rules, name)]
    if world.schedule.shifts:
        moods.append("shifts")
    followed, left_out = "", ["leaving"]
    course = f"follows the expected course of {', '.join(moods)}"
    knows_leaving = slate_size == 1 and (
        rules.leave == "boredom" or (rules.leave == "streak" and replans(world))
    )
    if replans(world):
        followed = f", made anew before every step and {AHEAD} steps ahead, {course} and"
        if knows_leaving:
            left_out = ["what comes after those steps"]
    elif moods:  # what comes depends on what is shown alone, so it is made once
        followed = f", once at the start, {course} and"
    if knows_leaving:
        followed = f"{followed.removesuffix(' and')}, counts who will have left, and"
        if not replans(world):
            followed = followed if moods else " counts who will have left and"
            left_out = ["lists outside its beam"]
    if slate_size > 1:
        left_out.append(f"that the places of a slate compete ('{rules.choice}')")
    if rules.reward != "clicks":
        left_out.append(f"that the reward is '{rules.reward}' (it counts clicks)")
    if world.schedule.lifetimes is not None or world.creators is not None:
        left_out.append("items that appear or expire in the session")
    if not has_plain_factors(world.users):
        left_out.append(f"how {type(world.users).__name__} change by what they consume")
    if world.friends is not None or world.retention is not None:
        left_out.append("what comes after the session")
    return _ORACLE.format(followed, ", and ".join(left_out))


def static_order(
    world: World, *, seed: int, sessions: int = 512, slate_size: int = 1
) -> NDArray[np.int64]:
    """Return all items (I,) in the order of the better static list of `world_bounds`.

    Args:
        world: The world; its truth is read.
        seed: Luck of the sessions that decide which list is better.
        sessions: How many they are.
        slate_size: Items shown in a step, k.
    """

    def reward(order: NDArray[np.int64]) -> float:
        return float(play(world, _down(order), seed, sessions, slate_size)[0].mean())

    return max(_orders(world, seed, slate_size), key=reward)


def static_share(bounds: Mapping[str, Mapping[str, float]]) -> float:
    """Return (static - random) / (oracle - random) in reward: the gain that needs no knowledge.

    It is 1 where the oracle is no better than chance: there is nothing to learn.
    """
    room = bounds["oracle"]["reward"] - bounds["random"]["reward"]
    gained = bounds["static"]["reward"] - bounds["random"]["reward"]
    return gained / room if room > 0 else 1.0


def check_headroom(bounds: Mapping[str, Mapping[str, float]], allow_static: bool) -> None:
    """Refuse a world in which one list for everybody is nearly as good as knowing each user.

    Args:
        bounds: From `world_bounds`.
        allow_static: True accepts any world.

    Raises:
        SimrecError: A static list has more than 70 % of the gain.
    """
    share = static_share(bounds)
    if share > MOST_STATIC and not allow_static:
        raise SimrecError(
            f"one list for everybody has {share:.0%} of what knowing every user gains over chance; "
            f"expected at most {MOST_STATIC:.0%} for personal recommendation to matter, so raise "
            "interaction_scale or set allow_static: true"
        )


def _bound(played: Played, world: World, dates: int) -> Bound:
    """Return what a policy earns on average; sessions are taken to be independent."""
    found = {
        "reward": float(played.reward.mean()),
        "reward_se": float(played.reward.std() / np.sqrt(len(played.reward))),
        "length": float(played.length.mean()),
    }
    if world.retention is not None:
        found["returned"] = float(played.back.mean())
    shift = first_shift(world, dates)
    if shift is not None:
        since = played.start >= shift
        found["reward_before"] = float(played.reward[~since].mean())
        found["reward_since"] = float(played.reward[since].mean())
    return found


def first_shift(world: World, dates: int) -> int | None:
    """Return the date of the first shift that is neither at the start nor after `dates`, if any."""
    known = [shift.date for shift in world.schedule.shifts if 0 < shift.date < dates]
    return min(known, default=None)


def _reward(bound: Bound) -> float:
    return bound["reward"]


def _orders(world: World, seed: int, slate_size: int) -> list[NDArray[np.int64]]:
    """Return two orders (I,) of all items: by mean true affinity, and spread against boredom."""
    rng = generator(seed, "bounds", "tastes")
    arriving = np.unique(world.arrivals)
    if len(arriving) > _SAMPLE:
        arriving = rng.choice(arriving, _SAMPLE, replace=False)
    affinity = affinity_of_all(world.users, world.users.begin(arriving))
    by_mean = np.argsort(-affinity.mean(axis=0), kind="stable")
    spread = spread_list(
        logit(affinity),
        world.topics,
        # what is seen before the session is skipped, so the list is longer by as much
        length=world.rules.horizon * slate_size + world.start_items.shape[1],
        boredom=world.rules.boredom,
        window=world.rules.window,
    )
    return [by_mean, np.concatenate([spread, by_mean[~np.isin(by_mean, spread)]])]


def _down(order: NDArray[np.int64]) -> Policy:
    """Return the policy that goes down one list for everybody."""
    score = np.empty(len(order))
    score[order] = -np.arange(len(order))
    return lambda env: lambda observation: np.broadcast_to(score, (env.num_envs, len(score)))


def myopic_policy(env: RecommendVectorEnv) -> Scores:
    """Show what is most likely clicked now; knows every user."""
    return Oracle(env, planned=False).scores


def planned_policy(env: RecommendVectorEnv) -> Scores:
    """Follow a plan made by beam search (see `Oracle`); knows every user."""
    return Oracle(env, planned=True).scores
