"""The oracle as a scorer that can follow sessions which begin at different times."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simrec.envs.choice import logit
from simrec.envs.moods import Begun, moods_of
from simrec.envs.plan import Repeats, beam_plans
from simrec.envs.sessions import Sessions
from simrec.envs.users import affinity_of_all, has_plain_factors
from simrec.envs.vector import RecommendVectorEnv
from simrec.envs.world import World

AHEAD = 12  # steps that a plan made anew after every step looks ahead
BLOCK = 256  # sessions planned at once, which bounds the memory of the search


def replans(world: World) -> bool:
    """Return True where clicks change tastes, so that a plan is made anew after every step.

    Elsewhere what comes depends on what is shown alone, and a plan made once stays the best.
    """
    rules = world.rules
    return bool(rules.satiation) or (rules.drift > 0 and has_plain_factors(world.users))


def plan_sessions(env: RecommendVectorEnv, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return beam-search plans (n, T * k) for sessions at their start, in slots `rows` (n,)."""
    world, users = env.played, env.current_users[rows]
    rules = world.rules
    unseen = env.action_masks()[rows, : env.world.n_items]
    blocks = []
    for first in range(0, len(rows), BLOCK):
        part = slice(first, first + BLOCK)
        truth = logit(affinity_of_all(world.users, world.users.begin(users[part])))
        truth[~unseen[part]] = -np.inf
        blocks.append(
            beam_plans(
                truth,
                world.topics,
                length=rules.horizon * env.slate_size,
                boredom=rules.boredom,
                window=rules.window,
                moods=moods_of(world, users[part], env.date, env.slate_size),
                repeats=_repeats(world, env.slate_size, np.zeros_like(users[part]), whole=True),
            )
        )
    return np.concatenate(blocks)


def _repeats(
    world: World, slate_size: int, streak: NDArray[np.int64], *, whole: bool
) -> Repeats | None:
    rules = world.rules
    if rules.leave != "boredom" or slate_size > 1:
        return None
    return Repeats(rules.tolerance, rules.patience, streak, whole)


def next_slates(sessions: Sessions) -> NDArray[np.int64]:
    """Return the first slate (B, k) of plans made now, from where every session stands."""
    step = sessions.step
    slates = np.empty((len(step), sessions.slate_size), dtype=np.int64)
    unseen = sessions.unseen()
    for left in np.unique(sessions.world.rules.horizon - step):
        rows = np.flatnonzero(sessions.world.rules.horizon - step == left)
        for first in range(0, len(rows), BLOCK):
            part = rows[first : first + BLOCK]
            slates[part] = _plans(sessions, part, unseen[part], min(int(left), AHEAD))
    return slates


def _plans(
    sessions: Sessions, rows: NDArray[np.int64], unseen: NDArray[np.bool_], steps: int
) -> NDArray[np.int64]:
    """Return the first slates (n, k) of plans for sessions in rows (n,) that have begun."""
    world, k, memory = sessions.played, sessions.slate_size, sessions.memory
    rules, n_topics = world.rules, world.topics.shape[1]
    state = {name: part[rows] for name, part in sessions.state.items()}
    truth = logit(affinity_of_all(world.users, state))
    truth[~unseen] = -np.inf
    moods = moods_of(world, sessions.user[rows], sessions.date, k)
    assert moods is not None, "a world without moods is planned once"
    recent, none = sessions.recent()[rows], np.zeros((len(rows), n_topics))
    drifts = moods.tastes.shape[1] > 0
    begun = Begun(
        lately=world.topics[recent],
        there=recent >= 0,
        sated=memory.sated[rows, :n_topics].astype(np.float64) if rules.satiation else none,
        seen=memory.seen[rows, :n_topics].astype(np.float64) if rules.novelty else none,
        shown=sessions.step[rows] * k,
        reach=memory.reach[rows].astype(np.float64) if drifts else none[:, 0],
        streak=memory.counts[1, rows],
        patience=rules.patience if rules.leave == "streak" and k == 1 else None,
    )
    plans = beam_plans(
        truth,
        world.topics,
        length=steps * k,
        boredom=rules.boredom,
        window=rules.window,
        moods=replace(moods, tastes=state["vector"]) if drifts else moods,
        begun=begun,
        repeats=_repeats(
            world,
            k,
            begun.streak,
            whole=steps == rules.horizon - int(sessions.step[rows[0]]),
        ),
    )
    return plans[:, :k]


class Oracle:
    """Scores (B, I) that know every user: for bounds and controls only, never for agents.

    Args:
        env: The environment whose truth is read.
        planned: Follow a plan, made at the start of each session or, where clicks change tastes,
            made anew before every step; False shows what is most likely clicked now.
    """

    def __init__(self, env: RecommendVectorEnv, *, planned: bool) -> None:
        self.env = env
        self.planned = planned
        self.plan: NDArray[np.int64] = np.zeros((env.num_envs, 0), dtype=np.int64)  # (B, T * k)

    def scores(self, observation: Mapping[str, NDArray[Any]]) -> NDArray[np.float64]:
        """Return scores for the observation just returned by the environment."""
        scores = self.env.click_probability()
        if not self.planned:
            return scores
        rows = np.arange(len(scores))
        if replans(self.env.world):
            slates = next_slates(self.env._sessions)
            for place in range(slates.shape[1]):
                scores[rows, slates[:, place]] += 1.0
            return scores
        step = observation["step"][:, 0]
        starting = np.flatnonzero(step == 0)
        if len(starting):
            plans = plan_sessions(self.env, starting)
            if not self.plan.size:
                self.plan = np.zeros((self.env.num_envs, plans.shape[1]), dtype=np.int64)
            self.plan[starting] = plans
        for place in range(self.env.slate_size):
            due = np.minimum(step * self.env.slate_size + place, self.plan.shape[1] - 1)
            scores[rows, self.plan[rows, due]] += 1.0  # first the plan, then what is best now
        return scores
