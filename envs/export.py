"""Sessions logged with the behaviour policy's propensities, and their export to Minari."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simrec.envs.sessions import Observation
from simrec.envs.vector import RecommendVectorEnv
from simrec.errors import SimrecError

#: Maps observations and masks (B, k * I) to actions (B,) or (B, k), and to the probability (B,)
#: with which the policy took them.
Behaviour = Callable[
    [Observation, NDArray[np.bool_]], tuple[NDArray[np.int64], NDArray[np.float64]]
]


@dataclass(frozen=True)
class Logged:
    """One session of n steps."""

    user: int  # row of the world's users
    observations: dict[str, NDArray[Any]]  # each (n + 1, ...), the last one included
    actions: NDArray[np.int64]  # (n,) or (n, k)
    rewards: NDArray[np.float64]  # (n,)
    propensities: NDArray[np.float64]  # (n,) chance that the policy took this action
    terminated: bool  # the user left; else the horizon cut the session off


def log_sessions(
    env: RecommendVectorEnv, policy: Behaviour, *, sessions: int, seed: int
) -> list[Logged]:
    """Play a policy and keep episode 0, 1, ... of every slot, as many as it takes.

    The first sessions by episode, then slot, are returned, not the first to end, so that short
    sessions are not preferred.

    Args:
        env: The environment; it is reset.
        policy: Takes actions and says how likely it was to take them.
        sessions: Sessions wanted.
        seed: Luck of the environment.

    Raises:
        SimrecError: A propensity is not above 0 and at most 1.
    """
    slots = env.num_envs
    rounds = -(-sessions // slots)
    obs, info = env.reset(seed=seed)
    going: list[list[tuple[Any, ...]]] = [[] for _ in range(slots)]
    done: dict[tuple[int, int], Logged] = {}
    while len(done) < rounds * slots:
        actions, propensities = policy(obs, env.action_masks())
        if not ((propensities > 0) & (propensities <= 1)).all():
            raise SimrecError(
                f"the policy gave propensities from {propensities.min()} to {propensities.max()}; "
                "expected above 0 and at most 1"
            )
        before = {name: np.array(part) for name, part in obs.items()}
        users, episodes = info["user"].copy(), info["session"].copy()
        obs, reward, terminated, truncated, info = env.step(actions)
        for b in range(slots):
            if episodes[b] >= rounds:
                continue
            seen = {name: part[b] for name, part in before.items()}
            going[b].append((seen, np.array(actions[b]), float(reward[b]), propensities[b]))
            if terminated[b] or truncated[b]:
                last = {name: part.copy() for name, part in info["final_obs"][b].items()}
                key = int(episodes[b]), b
                done[key] = _logged(int(users[b]), going[b], last, bool(terminated[b]))
                going[b] = []
    return [done[key] for key in sorted(done)][:sessions]


def _logged(
    user: int, steps: list[tuple[Any, ...]], last: dict[str, NDArray[Any]], terminated: bool
) -> Logged:
    seen, actions, rewards, propensities = zip(*steps, strict=True)
    return Logged(
        user,
        {name: np.stack([*(part[name] for part in seen), last[name]]) for name in last},
        np.stack(actions),
        np.array(rewards),
        np.array(propensities, dtype=np.float64),
        terminated,
    )


def export_minari(
    env: RecommendVectorEnv, logged: list[Logged], dataset_id: str, *, policy_name: str
) -> Any:
    """Write sessions as a Minari data set (arrow files) and return it.

    The infos of step t hold `propensity` (1,) of the action taken then and `user` (1,); the last
    entry, which no action follows, has propensity 1.

    Args:
        env: Where the sessions were played; gives the spaces.
        logged: From `log_sessions`.
        dataset_id: Minari's name, such as "simrec/toy/uniform-v0".
        policy_name: What the data set says about the policy.

    Raises:
        SimrecError: Minari is not installed.
    """
    try:
        import minari
        from minari.data_collector import EpisodeBuffer
    except ImportError as error:
        raise SimrecError(
            f"the export needs Minari ({error}); install it with pip install 'simrec[minari]'"
        ) from error
    buffers = []
    for number, session in enumerate(logged):
        n = len(session.rewards)
        ends = np.arange(1, n + 1) == n
        buffers.append(
            EpisodeBuffer(
                id=number,
                observations=session.observations,
                actions=session.actions,
                rewards=list(session.rewards),
                terminations=list(ends & session.terminated),
                truncations=list(ends & (not session.terminated)),
                infos={
                    "propensity": np.append(session.propensities, 1.0)[:, None],
                    "user": np.full((n + 1, 1), session.user),
                },
            )
        )
    return minari.create_dataset_from_buffers(
        dataset_id,
        buffer=buffers,
        observation_space=env.single_observation_space,
        action_space=env.single_action_space,
        algorithm_name=policy_name,
        data_format="arrow",
        author="simrec",
        description=f"sessions of the world '{env.world.name}', propensities in the infos",
    )
