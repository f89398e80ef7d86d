"""Controls: recommenders that do not learn online, some of which know what no agent may know."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simrec.agents.baselines import Greedy, Observations, RandomRecommender
from simrec.agents.logged import logged_steps
from simrec.agents.offline import OFFLINE, OfflineName, fit_offline
from simrec.agents.reward import RewardModel
from simrec.agents.strategy import Deployment
from simrec.envs.bounds import static_order
from simrec.envs.oracle import Oracle
from simrec.envs.vector import RecommendVectorEnv
from simrec.errors import SimrecError, nearest
from simrec.items.table import ItemTable
from simrec.preferences import Question
from simrec.randomness import generator
from simrec.stages.inputs import Inputs, luck
from simrec.stages.policy import policy_files
from simrec.stages.rounds import doses_of
from simrec.stages.teaching import stand_in
from simrec.stages.world import load_bounds


@dataclass(frozen=True)
class Setting:
    """What every control is given."""

    inputs: Inputs
    seed: int
    env: RecommendVectorEnv
    table: ItemTable


@dataclass(frozen=True)
class Control:
    """A control and what is said of it."""

    make: Callable[[Setting], Deployment]
    sentence: str  # what it does
    source: str  # where it comes from
    pretrained: bool = False  # True: it reads what pretraining left


def _ranked(
    setting: Setting, score: Callable[[Observations], NDArray[np.floating[Any]]]
) -> Deployment:
    """Return the recommender that shows the unseen items with the highest scores."""
    return Deployment(Greedy(score, len(setting.table), setting.env.slate_size), learns=False)


def _fixed(setting: Setting, scores: NDArray[np.floating[Any]]) -> Deployment:
    """Return the recommender that ranks items the same for everybody."""

    def score(obs: Observations) -> NDArray[np.float64]:
        return np.broadcast_to(scores.astype(np.float64), (len(obs["history"]), len(scores)))

    return _ranked(setting, score)


def _random(s: Setting) -> Deployment:
    rng = generator(luck(s.seed, "random"), "items")
    return Deployment(RandomRecommender(len(s.table), rng, s.env.slate_size), learns=False)


def _popular(s: Setting) -> Deployment:
    return _fixed(s, s.table.log_popularity)


def _static(s: Setting) -> Deployment:
    world = s.inputs.config.world
    order = static_order(
        s.env.world,
        seed=luck(world.seed, "bounds"),
        sessions=world.bounds_sessions,
        slate_size=s.env.slate_size,
    )
    scores = np.empty(len(order))
    scores[order] = -np.arange(len(order))
    return _fixed(s, scores)


def _reward(s: Setting) -> Deployment:
    reward = RewardModel.load(policy_files(s.inputs, s.seed, is_shuffled=False).reward)
    return _ranked(s, lambda obs: reward.predict(obs["history"], obs["feedback"]))


def _oracle(s: Setting) -> Deployment:
    bounds = load_bounds(s.inputs)
    return _ranked(s, Oracle(s.env, planned=bounds["oracle"] > bounds["myopic"]).scores)


def _myopic(s: Setting) -> Deployment:
    return _ranked(s, Oracle(s.env, planned=False).scores)


def _teacher(s: Setting) -> Deployment:
    """Ask the teacher about every item once a user, before the user's first session."""
    if s.inputs.config.teacher.kind == "llm":
        raise SimrecError(
            "control 'teacher' asks about every item for every user, which is too much for a "
            "language model; expected a similarity or recorded teacher, or leave the control out"
        )
    if doses := doses_of(s.inputs):
        raise SimrecError(
            f"control 'teacher' asks the teacher itself, and this study's is spoilt ({doses.name}) "
            "only in what it teaches; leave the control out, or the dose"
        )
    teacher = stand_in(s.inputs, lambda _: None)
    items, liked = s.inputs.starts
    everything = np.arange(len(s.table))
    tie = 1e-4 * s.table.log_popularity / max(float(s.table.log_popularity.max()), 1e-12)
    known: dict[int, NDArray[np.float64]] = {}

    def ask(user: int) -> NDArray[np.float64]:
        real = items[user] >= 0
        sources = ("all",) * len(everything)
        question = Question(user, items[user][real], liked[user][real], everything, sources)
        score = teacher.prefer([question])[0].score.astype(np.float64)
        judged = score[np.isfinite(score)]  # what was not judged is taken as middling
        middling = float(judged.mean()) if len(judged) else 0.0
        return np.asarray(np.where(np.isfinite(score), score, middling) + tie)

    def score(obs: Observations) -> NDArray[np.float64]:
        users = s.env.current_users.tolist()
        for user in set(users) - known.keys():
            known[user] = ask(user)
        return np.stack([known[user] for user in users])

    return _ranked(s, score)


def _taught(name: OfflineName) -> Callable[[Setting], Deployment]:
    """Return the control that is taught by the lesson `name` from the agent's log."""

    def make(s: Setting) -> Deployment:
        steps = logged_steps(
            s.inputs.agent_log,
            like_at=s.inputs.config.data.like_at,
            length=s.env.single_observation_space["history"].shape[0],  # type: ignore[index]
        )
        model = fit_offline(name, steps, s.table.fused, luck=luck(s.seed, f"offline {name}"))
        return _ranked(s, lambda obs: model.predict(obs["history"], obs["feedback"]))

    return make


LESSONS: dict[OfflineName, tuple[str, str]] = {
    "two-tower": (
        "Ranks by a two-tower model of which items users of the log liked next.",
        "factor model with pooled histories; softmax over the catalogue",
    ),
    "sasrec": (
        "Ranks by self-attention taught to foretell the next liked item of the log.",
        "Kang and McAuley, ICDM 2018; reconstructed, one block",
    ),
    "cloned": (
        "Behaviour cloning: ranks by how likely the log was to hold the item next.",
        "imitation of the logging policy",
    ),
    "snqn": (
        "Next-item head beside a Q head that also sees sampled items not met.",
        "SNQN: Xin et al., WSDM 2022; reconstructed, heads share no encoder",
    ),
    "sa2c": (
        "Like snqn, its next-item head weighted by the advantage of what was met.",
        "SA2C: Xin et al., WSDM 2022; reconstructed, heads share no encoder",
    ),
    "cql": (
        "Ranks by Q-values learnt from the log, held down for items that were not met.",
        "discrete CQL: Kumar et al., NeurIPS 2020; reconstructed",
    ),
    "iql": (
        "Ranks by a policy that imitates the log where its expectile value was surpassed.",
        "IQL: Kostrikov et al., ICLR 2022; reconstructed for items",
    ),
}

CONTROLS: dict[str, Control] = {
    "random": Control(_random, "Shows unseen items uniformly at random.", "bound"),
    "popular": Control(
        _popular, "Shows the items with most events in the agent's log.", "baseline"
    ),
    "static": Control(
        _static, "Shows everybody the best fixed list; it knows the truth.", "bound; cheats"
    ),
    "greedy-reward": Control(
        _reward,
        "Shows the items the learned reward likes best, without RL.",
        "baseline; this project's design notes",
        pretrained=True,
    ),
    "oracle": Control(
        _oracle,
        "Knows every user's taste and plans the session, approximately.",
        "bound; cheats",
    ),
    "myopic": Control(
        _myopic, "Knows every user's taste and shows what is clicked now.", "bound; cheats"
    ),
    "teacher": Control(
        _teacher,
        "Shows what the teacher itself scores highest for the user before the session (recorded "
        "answers also tell which items the user rated).",
        "language model as ranker; recorded or similarity scores",
    ),
    **{name: Control(_taught(name), *LESSONS[name]) for name in OFFLINE},
}


def get_control(name: str) -> Control:
    """Return the control called `name`; raise SimrecError with the nearest name if unknown."""
    if name not in CONTROLS:
        raise SimrecError(f"there is no control '{name}'; {nearest(name, CONTROLS)}")
    return CONTROLS[name]
