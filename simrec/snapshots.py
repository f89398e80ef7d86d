"""What a learner would do if it stopped exploring now: greedy sessions beside the deployment."""

import copy
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from simrec.agents.policy import ItemPolicy
from simrec.envs.sb3 import SB3VecEnv
from simrec.envs.vector import RecommendVectorEnv
from simrec.envs.world import World

SHARES = (0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)  # of the budget, about evenly spaced in log


@dataclass
class Snapshots:
    """Greedy evaluations of one run, each with the same users and the same luck.

    They begin on the date that the run has reached, so that shifts of taste and items that come and
    go are those of that date; what creators and friends have made of the world is not carried over.
    They cost users of their own, who are not counted in the run and teach the learner nothing.
    """

    world: World
    n_envs: int
    slate_size: int
    luck: int
    budget: int  # env steps of the run
    sessions: int  # at least so many an evaluation, whole rounds of n_envs; 0 takes none
    rows: list[dict[str, float]] = field(default_factory=list)

    def take(self, recommender: Any, env_step: int) -> None:
        """Evaluate a copy of the policy, if the next of the steps in SHARES has been reached.

        Recommenders that are no ItemPolicy, and have none, have no greedy form and are left out.
        """
        acting = getattr(recommender, "policy", recommender)
        due = sum(share * self.budget <= env_step for share in SHARES)
        if not self.sessions or not isinstance(acting, ItemPolicy) or len(self.rows) >= due:
            return
        row = self._evaluate(copy.deepcopy(acting), self._world(env_step // self.n_envs))
        self.rows += [{"env_step": float(env_step), **row}] * (due - len(self.rows))

    def _world(self, date: int) -> World:
        """Return the world for sessions that begin on a date of the run."""
        if not self.world.schedule:
            return self.world
        return replace(self.world, schedule=self.world.schedule.later(date))

    def _evaluate(self, policy: ItemPolicy, world: World) -> dict[str, float]:
        venv = SB3VecEnv(RecommendVectorEnv(world, self.n_envs, slate_size=self.slate_size))
        venv.seed(self.luck)
        policy.observation_space = venv.observation_space  # fewer items may come and go by now
        obs: Any = venv.reset()
        rounds = -(-self.sessions // self.n_envs)
        left = np.full(self.n_envs, rounds)
        total, steps, gone, shown = 0.0, 0.0, 0.0, np.zeros(self.world.n_items, dtype=np.bool_)
        reward = np.zeros(self.n_envs)
        length = np.zeros(self.n_envs)
        while left.any():
            actions, _ = policy.predict(obs, deterministic=True)
            obs, earned, done, _ = venv.step(actions)
            reward += earned
            length += 1
            counted = left > 0
            shown[np.asarray(actions).reshape(self.n_envs, -1)[counted]] = True
            over = done & counted
            total += float(reward[over].sum())
            steps += float(length[over].sum())
            gone += float(venv.last_info["terminated"][over].sum())
            left[over] -= 1
            reward[done] = 0.0
            length[done] = 0.0
        n = rounds * self.n_envs
        return {
            "reward": total / n,
            "length": steps / n,
            "left": gone / n,
            "distinct_items": float(shown.sum()),
        }
