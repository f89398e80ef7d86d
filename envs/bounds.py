"""How much there is to gain in a world: from chance to a policy that knows every user's taste."""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from simrec.envs.choice import logit
from simrec.envs.oracle import Oracle
from simrec.envs.plan import spread_list
from simrec.envs.sessions import Observation
from simrec.envs.users import affinity_of_all, has_plain_factors
from simrec.envs.vector import RecommendVectorEnv
from simrec.envs.world import World
from simrec.errors import SimrecError
from simrec.randomness import generator

Bound = dict[str, float]
Scores = Callable[[Observation], NDArray[np.float64]]  # (B, I) for the observation just returned
Policy = Callable[[RecommendVectorEnv], Scores]  # shows the unseen item with the highest score

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
) -> dict[str, Bound]:
    """Play reference policies and return what they earn; a slate is their best unseen items.

    All of them play the same users with the same luck and skip items already seen. `random` shows
    any item, `popular` goes down the popularity list, `static` is the better of two lists that
    are the same for everybody (by mean true affinity; and built greedily against boredom),
    `myopic` shows the item with the highest true click probability now, and `oracle` is the better
    of myopic and a plan made for each user by beam search. The oracle is approximate, as
    `oracle_note` says, so a better policy may exist. The static lists are made against boredom, not
    against the other moods.

    Args:
        world: The world judged; its truth is read.
        log_popularity: (I,) the order of `popular`.
        seed: Luck, and the choices of `random`.
        sessions: Sessions played by each policy, one a user.
        slate_size: Items shown in a step, k.

    Returns:
        For each of random, popular, static, myopic, oracle: clicks (mean over sessions of what
        `Rules.reward` counts), clicks_se (its standard error) and length (mean steps).
    """
    rng = generator(seed, "bounds", "random")

    def at_random(env: RecommendVectorEnv) -> Scores:
        return lambda observation: rng.random((env.num_envs, world.n_items))

    def played(policy: Policy) -> Bound:
        return _earned(world, policy, seed, sessions, slate_size)

    popular = np.argsort(-log_popularity, kind="stable")
    statics = [played(_down(order)) for order in _orders(world, seed, slate_size)]
    myopic = played(myopic_policy)
    planned = played(planned_policy)
    return {
        "random": played(at_random),
        "popular": played(_down(popular)),
        "static": max(statics, key=_clicks),
        "myopic": myopic,
        "oracle": max(myopic, planned, key=_clicks),
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
    followed = ""
    if moods:  # made before the first click, so it cannot answer to the clicks that come
        followed = f", once at the start, follows the expected course of {', '.join(moods)} and"
    left_out = ["leaving"]
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

    def clicks(order: NDArray[np.int64]) -> float:
        return _clicks(_earned(world, _down(order), seed, sessions, slate_size))

    return max(_orders(world, seed, slate_size), key=clicks)


def static_share(bounds: Mapping[str, Mapping[str, float]]) -> float:
    """Return (static - random) / (oracle - random) in clicks: the gain that needs no knowledge.

    It is 1 where the oracle is no better than chance: there is nothing to learn.
    """
    room = bounds["oracle"]["clicks"] - bounds["random"]["clicks"]
    gained = bounds["static"]["clicks"] - bounds["random"]["clicks"]
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


def play(
    world: World, policy: Policy, seed: int, sessions: int, slate_size: int = 1
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return clicks and steps (n,) of a policy in episode 0 of every slot."""
    env = RecommendVectorEnv(world, sessions, slate_size=slate_size)
    observation, _ = env.reset(seed=seed)
    scores = policy(env)
    clicks = np.zeros(sessions)
    length = np.zeros(sessions)
    going = np.ones(sessions, dtype=np.bool_)
    while going.any():
        unseen = env.action_masks()[:, : world.n_items]
        ranked = np.where(unseen, scores(observation), -np.inf)
        items = (
            ranked.argmax(axis=1)
            if slate_size == 1
            else np.argsort(-ranked, axis=1, kind="stable")[:, :slate_size]
        )
        observation, reward, terminated, truncated, _ = env.step(items)
        clicks += reward * going
        length += going
        going &= ~(terminated | truncated)
    return clicks, length


def _earned(world: World, policy: Policy, seed: int, sessions: int, slate_size: int) -> Bound:
    """Return what a policy earns on average."""
    clicks, length = play(world, policy, seed, sessions, slate_size)
    return {
        "clicks": float(clicks.mean()),
        "clicks_se": float(clicks.std() / np.sqrt(sessions)),
        "length": float(length.mean()),
    }


def _clicks(bound: Bound) -> float:
    return bound["clicks"]


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
    """Follow a plan for the whole session, made by beam search; knows every user."""
    return Oracle(env, planned=True).scores
