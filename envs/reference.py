"""The step in plain numpy: for every user model, and what the compiled step is held against."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simrec.envs.boredom import overlap
from simrec.envs.choice import CHOICES, logit
from simrec.envs.drift import drifted
from simrec.envs.leave import has_left, next_streak, spent
from simrec.envs.satiation import sated, unlike_before
from simrec.envs.signals import REWARDS, Signals, read_signals
from simrec.envs.state import Memory
from simrec.envs.users import UserState, has_plain_factors
from simrec.envs.world import World
from simrec.randomness import Purpose, uniform


@dataclass(frozen=True)
class Answer:
    """What users did with their slates."""

    signals: Signals
    reward: NDArray[np.float64]  # (B,)
    left: NDArray[np.bool_]  # (B,)


@dataclass(frozen=True)
class Moment:
    """Where the sessions stand when a slate is shown."""

    seed: int
    slots: NDArray[np.int64]  # (B,)
    history: NDArray[np.int32]  # (B, L) visible history, -1 = empty
    recent: NDArray[np.int64]  # (B, w) items shown lately, -1 = empty
    tilt: NDArray[np.float32]  # (G,) logits that a shift gives to each topic
    date: int  # steps since the seed was set


def answer(
    world: World, memory: Memory, state: UserState, slates: NDArray[np.int64], moment: Moment
) -> Answer:
    """Let users answer slates (B, k) and change their moods, all but the record of what was shown.

    Raises:
        SimrecError: Tastes should drift, but the population has no taste vectors.
    """
    rules, k = world.rules, slates.shape[1]
    step = memory.counts[0]
    themes = world.topics[slates]
    alike = overlap(world.topics, slates, moment.recent)
    utility = logit(world.users.affinity(state, slates))
    utility -= rules.boredom * alike
    if moment.tilt.any():
        utility += themes @ moment.tilt
    if rules.satiation:
        utility -= rules.satiation * np.einsum(
            "bg,bkg->bk", memory.sated[:, : themes.shape[2]], themes
        )
    if rules.novelty:
        utility += rules.novelty * unlike_before(
            memory.seen[:, : themes.shape[2]], step * k, themes
        )
    choice = CHOICES[rules.choice](rules)
    place = np.arange(k if choice.each_place else 1, dtype=np.int64)
    unheeded = ignored(moment.history, slates)
    if world.schedule.lifetimes is not None:
        unheeded |= ~world.schedule.lifetimes.there(slates, moment.date)
    luck = uniform(
        moment.seed,
        moment.slots[:, None],
        memory.counts[3][:, None],
        step[:, None] + (place << 32),
        Purpose.CHOICE,
    )
    clicked, within = choice.answer(utility, unheeded, luck)
    signals = read_signals(utility, clicked, within)
    if rules.satiation:
        own = memory.sated[:, : themes.shape[2]]
        own[:] = sated(own, themes, clicked, rules.recovery)
    if rules.novelty:
        memory.seen[:, : themes.shape[2]] += themes.sum(axis=1)
    if rules.drift and has_plain_factors(world.users):
        vectors = world.users.item_vectors[slates]
        tastes = state["vector"]
        tastes[:] = drifted(tastes, memory.reach, vectors, clicked, rules.drift)
    world.users.consume(state, slates, signals.click)
    calm = alike.mean(axis=1) < rules.tolerance
    good = np.asarray(calm if rules.leave == "boredom" else clicked.any(axis=1), dtype=np.bool_)
    memory.counts[1] = next_streak(memory.counts[1], good)
    memory.sums[2] = spent(memory.sums[2], signals.watch, rules.refund)
    if rules.leave == "budget":
        left = memory.sums[2] >= rules.budget
    else:
        left = has_left(memory.counts[1], rules.patience)
    reward = REWARDS[rules.reward](signals, left, rules.minutes)
    memory.sums[0] += signals.click.sum(axis=1)
    memory.sums[1] += reward
    return Answer(signals, reward, left)


def ignored(history: NDArray[np.int32], slates: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return (B, k) True where the user has seen the item, before or earlier in the slate.

    Args:
        history: (B, L) what the user has seen, -1 = empty.
        slates: (B, k) items.
    """
    k = slates.shape[1]
    known = (slates[:, :, None] == history[:, None, :]).any(axis=2)
    if k > 1:
        same = slates[:, :, None] == slates[:, None, :]
        known |= (same & np.tri(k, k=-1, dtype=np.bool_)).any(axis=2)
    return np.asarray(known)
