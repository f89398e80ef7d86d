"""The oracle as a scorer that can follow sessions which begin at different times."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simrec.envs.choice import logit
from simrec.envs.moods import moods_of
from simrec.envs.plan import beam_plans
from simrec.envs.users import affinity_of_all
from simrec.envs.vector import RecommendVectorEnv


def plan_sessions(env: RecommendVectorEnv, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return beam-search plans (n, T * k) for sessions at their start, in slots `rows` (n,)."""
    world, users = env.played, env.current_users[rows]
    rules = world.rules
    unseen = env.action_masks()[rows, : env.world.n_items]
    blocks = []
    for first in range(0, len(rows), 256):  # bounds the memory of the search
        part = slice(first, first + 256)
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
            )
        )
    return np.concatenate(blocks)


class Oracle:
    """Scores (B, I) that know every user: for bounds and controls only, never for agents.

    Args:
        env: The environment whose truth is read.
        planned: Follow a plan made at the start of each session; False shows what is most likely
            clicked now.
    """

    def __init__(self, env: RecommendVectorEnv, *, planned: bool) -> None:
        self.env = env
        self.planned = planned
        self.plan: NDArray[np.int64] = np.zeros((env.num_envs, 0), dtype=np.int64)  # (B, T * k)

    def scores(self, observation: Mapping[str, NDArray[Any]]) -> NDArray[np.float64]:
        """Return scores for the observation just returned by the environment."""
        scores = self.env.click_probability()
        if self.planned:
            step = observation["step"][:, 0]
            starting = np.flatnonzero(step == 0)
            if len(starting):
                plans = plan_sessions(self.env, starting)
                if not self.plan.size:
                    self.plan = np.zeros((self.env.num_envs, plans.shape[1]), dtype=np.int64)
                self.plan[starting] = plans
            rows = np.arange(len(step))
            for place in range(self.env.slate_size):
                due = np.minimum(step * self.env.slate_size + place, self.plan.shape[1] - 1)
                scores[rows, self.plan[rows, due]] += 1.0  # first the plan, then what is best now
        return scores
