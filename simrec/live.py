"""Simulated users for the dashboard: a session played again, and a session played live.

This is the one door from the dashboard to environments and agents; pages import it when used.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from simrec.agents.baselines import Observations, unseen
from simrec.envs.boredom import overlap
from simrec.envs.choice import click_probabilities, logit
from simrec.envs.leave import next_streak
from simrec.envs.oracle import Oracle
from simrec.envs.vector import RecommendVectorEnv
from simrec.envs.world import World
from simrec.errors import SimrecError, nearest
from simrec.items.table import ItemTable
from simrec.randomness import Purpose, generator, uniform
from simrec.stages.inputs import luck

if TYPE_CHECKING:
    from simrec.agents.policy import ItemPolicy
    from simrec.agents.two_level import TwoLevelPolicy

POLICIES = ("pretrained", "learned reward", "popular", "random", "oracle")
_LEARNT = " after the run"  # a strategy's policy as deployment left it, by the strategy's name


@dataclass(frozen=True)
class Replay:
    """What the truth says of a session that was recorded; a row a step."""

    affinity: NDArray[np.float64]  # (T, k) P(like) of the item, boredom left out
    overlap: NDArray[np.float64]  # (T, k) likeness to the items shown lately, 0 to 1
    chance: NDArray[np.float64]  # (T, k) probability of a click
    luck: NDArray[np.float64]  # (T,) uniform; k = 1: clicked exactly if below chance
    streak: NDArray[np.int64]  # (T,) steps in a row without a click, after the step
    patience: int


def load_world(study: Path, fingerprint: str) -> World:
    """Return the world a run was made in.

    Args:
        study: Folder of the study.
        fingerprint: Of the world, as the run's record has it.

    Raises:
        SimrecError: The study's stages do not hold it any more.
    """
    for path in sorted((study / "stages").glob("world-*/world.json")):
        try:
            if json.loads(path.read_text(encoding="utf-8")).get("fingerprint") == fingerprint:
                return World.load(path.parent)
        except (OSError, ValueError):
            continue
    raise SimrecError(
        f"{study / 'stages'} holds no world {fingerprint}, so its users cannot be asked; "
        "run the study again"
    )


def replay(
    world: World,
    *,
    user: int,
    slates: NDArray[np.int64],
    clicked: NDArray[np.int64],
    seed: int,
    slot: int,
    episode: int,
) -> Replay:
    """Ask the truth about a recorded session.

    Args:
        world: The world of the run.
        user: Row of the user.
        slates: (T, k) items shown, in order.
        clicked: (T, k) 1 clicked, 0 not.
        seed: Seed of the run.
        slot: Slot of the session.
        episode: Episode of the slot.
    """
    steps, k = slates.shape
    rules, state = world.rules, world.users.begin(np.array([user]))
    seen = world.start_items[user]
    affinity, alike, chance = (np.zeros((steps, k)) for _ in range(3))
    streak = np.zeros(steps, dtype=np.int64)
    run = np.zeros(1, dtype=np.int64)
    for t, slate in enumerate(slates):
        shown = slates[:t].ravel()
        recent = np.full((1, rules.window), -1, dtype=np.int64)
        last = shown[-rules.window :]
        recent[0, rules.window - len(last) :] = last
        affinity[t] = world.users.affinity(state, slate[None])[0]
        alike[t] = overlap(world.topics, slate[None], recent)[0]
        ignored = np.isin(slate, seen) | np.isin(slate, shown)
        ignored |= np.array([item in slate[:place] for place, item in enumerate(slate)])
        utility = logit(affinity[t][None]) - rules.boredom * alike[t][None]
        chance[t] = click_probabilities(utility, ignored[None])[0]
        world.users.consume(state, slate[None], clicked[t][None].astype(np.float32))
        run = next_streak(run, clicked[t][None].any(axis=1))
        streak[t] = run[0]
    at = np.arange(steps)
    slots, episodes = np.full(steps, slot), np.full(steps, episode)
    drawn = uniform(luck(seed, "online"), slots, episodes, at, Purpose.CHOICE)
    return Replay(affinity, alike, chance, np.asarray(drawn), streak, rules.patience)


def policies(study: Path, seed: int) -> list[str]:
    """Return what can be played: POLICIES, and every strategy's policy as the run left it.

    Args:
        study: Folder of the study.
        seed: Seed of the study whose policies are taken.
    """
    saved = sorted((study / "policies").glob(f"*-seed-{seed}/policy.json"))
    names = [path.parent.name.removesuffix(f"-seed-{seed}") for path in saved]
    return [*(f"{name}{_LEARNT}" for name in names), *POLICIES]


class LiveSession:
    """One user, one policy, one step at a time.

    Args:
        world: The world played.
        study: Folder of the study, whose stages hold item table and policies.
        policy: One of `policies`.
        user: Row of the user.
        seed: Seed of the study whose pretrained policy and reward are taken.
        luck_seed: Luck of the session.

    Raises:
        SimrecError: An unknown policy, or files of the study that cannot be read.
    """

    def __init__(
        self, world: World, study: Path, policy: str, *, user: int, seed: int, luck_seed: int
    ) -> None:
        self.world = replace(world, arrivals=np.array([user], dtype=np.int64))
        self.env = RecommendVectorEnv(self.world, 1)
        self.observation: Observations = self.env.reset(seed=luck_seed)[0]
        self.table = _table(study)
        self.score = _score(policy, self.env, study, self.table, seed, luck_seed)
        self.shown: list[tuple[int, int]] = []  # item, clicked
        self.over = ""  # why the session ended

    def suggestions(self, n: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Return the n best unseen items and their scores, best first."""
        free = unseen(self.observation, self.world.n_items)[0]
        scores = np.where(free, self.score(self.observation)[0], -np.inf)
        best = np.argsort(-scores, kind="stable")[: min(n, int(free.sum()))]
        return best.astype(np.int64), scores[best]

    def chance(self) -> NDArray[np.float64]:
        """Return the truth (I,): the user's chance to click each item now, 0 where seen."""
        return np.asarray(self.env.click_probability()[0])

    def show(self, item: int) -> bool:
        """Show an item to the simulated user and return whether it was clicked."""
        obs, _, terminated, truncated, info = self.env.step(np.array([item]))
        if terminated[0] or truncated[0]:
            self.over = "left" if terminated[0] else "horizon"
            obs = {name: part[None] for name, part in info["final_obs"][0].items()}
        self.observation = obs
        clicked = bool(obs["feedback"][0, -1] > 0)  # the reward may count minutes, or be depth
        self.shown.append((item, int(clicked)))
        return clicked

    def answer(self, slate: NDArray[np.int64], clicked: int | None) -> None:
        """Take a person's answer instead of the simulated user's: one item clicked, or none."""
        for item in slate:
            hit = int(item) == clicked
            history = np.append(self.observation["history"][:, 1:], [[item]], axis=1)
            feedback = np.append(
                self.observation["feedback"][:, 1:], np.array([[hit]], dtype=np.float32), axis=1
            )
            step = np.minimum(self.observation["step"] + 1, self.world.rules.horizon)
            self.observation = {"history": history, "feedback": feedback, "step": step}
            self.shown.append((int(item), int(hit)))


def _stage(study: Path, pattern: str) -> Path:
    found = sorted((study / "stages").glob(pattern), key=lambda path: path.stat().st_mtime)
    if not found:
        raise SimrecError(
            f"{study / 'stages'} holds no {pattern}; run the study again, or take another policy"
        )
    return found[-1]


def _table(study: Path) -> ItemTable:
    return ItemTable.load(_stage(study, "items-*.safetensors"))


def _score(
    policy: str, env: RecommendVectorEnv, study: Path, table: ItemTable, seed: int, luck_seed: int
) -> Callable[[Observations], NDArray[np.floating[Any]]]:
    """Return the function from an observation to scores (1, I)."""
    if policy == "popular":
        return lambda obs: table.log_popularity[None]
    if policy == "random":
        rng = generator(luck_seed, "live", "random")
        return lambda obs: rng.random((1, len(table)))
    if policy == "oracle":
        return Oracle(env, planned=False).scores
    if policy == "learned reward":
        from simrec.agents.reward import RewardModel

        reward = RewardModel.load(_stage(study, f"pretrained-seed-{seed}-*.pt"))
        return lambda obs: reward.predict(obs["history"], obs["feedback"])
    if policy == "pretrained":
        return _scores_of(_pretrained(_stage(study, f"pretrained-seed-{seed}-*.zip"), table))
    if policy in policies(study, seed):
        saved = study / "policies" / f"{policy.removesuffix(_LEARNT)}-seed-{seed}"
        return _scores_of(_saved(saved, table))
    raise SimrecError(
        f"there is no live policy '{policy}'; {nearest(policy, policies(study, seed))}"
    )


def _pretrained(path: Path, table: ItemTable) -> "ItemPolicy":
    from simrec.agents.policy import ItemPolicy
    from simrec.files import check_archive

    check_archive(path)
    policy = ItemPolicy.load(str(path), device="cpu")
    assert isinstance(policy, ItemPolicy)
    policy.check_table(table.fingerprint)
    return policy


def _saved(path: Path, table: ItemTable) -> "ItemPolicy | TwoLevelPolicy":
    from simrec.agents.saved import load_policy

    return load_policy(path, table).policy


def _scores_of(
    policy: "ItemPolicy | TwoLevelPolicy",
) -> Callable[[Observations], NDArray[np.floating[Any]]]:
    import torch

    policy.set_training_mode(False)

    def score(obs: Observations) -> NDArray[np.float32]:
        with torch.no_grad():
            given = {name: torch.as_tensor(part) for name, part in obs.items()}
            found: NDArray[np.float32] = policy.log_probs(given).numpy()
        return found

    return score


def play(session: LiveSession) -> bool:
    """Show the policy's first choice to the simulated user; return whether it was clicked."""
    best, _ = session.suggestions(1)
    return session.show(int(best[0]))
