"""An affect channel: what a recogniser of faces or voices would say of the user after each step.

Recognisers such as MF^2, VL-FAU or the systems of MER2025 cannot be run here (licensed data,
weights), so only their confusion matrix enters: the true feeling follows from the clicks of the
step and a noisy label of it joins the observation. Clicks, rewards and ends are left as they are.
"""

from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from numpy.typing import ArrayLike, NDArray

from simrec.envs.single import RecommendEnv
from simrec.errors import SimrecError
from simrec.randomness import generator

FEELINGS = ("annoyed", "neutral", "pleased")


def feeling_of(clicked: float, streak: int) -> int:
    """Return the true feeling: pleased by a click, annoyed from the second step without one on.

    Args:
        clicked: Clicks of the step.
        streak: Steps without a click up to now, this one included.
    """
    if clicked > 0:
        return 2
    return 0 if streak >= 2 else 1


def checked_confusion(confusion: ArrayLike) -> NDArray[np.float64]:
    """Return P(label | feeling) as (3, L); rows are FEELINGS.

    Raises:
        SimrecError: Not three rows of probabilities that sum to 1.
    """
    table = np.asarray(confusion, dtype=np.float64)
    if (
        table.ndim != 2
        or len(table) != len(FEELINGS)
        or not np.isfinite(table).all()
        or (table < 0).any()
        or np.abs(table.sum(axis=1) - 1).max() > 1e-6
    ):
        raise SimrecError(
            f"the confusion matrix has shape {table.shape} or rows that are no probabilities; "
            f"expected {len(FEELINGS)} rows ({', '.join(FEELINGS)}) that each sum to 1"
        )
    return table


class AffectSignal(
    gymnasium.Wrapper[Any, Any, Any, Any],
    gymnasium.utils.RecordConstructorArgs,
):
    """Adds `affect` to the observation: a recogniser's label of the step, -1 where it saw none.

    Labels are drawn from the row of the confusion matrix that belongs to the true feeling, which is
    in no observation and no info. They know their own luck, of (seed, episode): the session under
    the wrapper is the one without it.

    Args:
        env: A RecommendEnv, wrapped or not.
        confusion: P(label | feeling) (3, L), such as a published recogniser's.
        labels: (L,) names of the labels, for readers; None numbers them.
        dropout: Chance that no face is seen in a step, in [0, 1].
        seed: Of the recogniser's luck.

    Raises:
        SimrecError: The environment, the matrix or another argument is wrong.
    """

    def __init__(
        self,
        env: gymnasium.Env[Any, Any],
        *,
        confusion: ArrayLike,
        labels: Sequence[str] | None = None,
        dropout: float = 0.0,
        seed: int = 0,
    ) -> None:
        gymnasium.utils.RecordConstructorArgs.__init__(
            self, confusion=confusion, labels=labels, dropout=dropout, seed=seed
        )
        gymnasium.Wrapper.__init__(self, env)
        self.confusion = checked_confusion(confusion)
        count = self.confusion.shape[1]
        self.labels = tuple(labels) if labels is not None else tuple(map(str, range(count)))
        inner = env.unwrapped
        if not isinstance(inner, RecommendEnv) or not isinstance(
            env.observation_space, spaces.Dict
        ):
            raise SimrecError("AffectSignal needs a RecommendEnv; make it by gymnasium.make")
        if len(self.labels) != count or not 0.0 <= dropout <= 1.0:
            raise SimrecError(
                f"AffectSignal got {len(self.labels)} labels and dropout {dropout}; expected "
                f"{count} labels and a chance from 0 to 1"
            )
        self.dropout, self._seed = dropout, seed
        self.observation_space = spaces.Dict(
            {**env.observation_space.spaces, "affect": spaces.Box(-1, count - 1, (), np.int64)}
        )
        self._luck = generator(seed, "affect")
        self._streak = 0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Begin a session; nothing was felt yet, so the label is -1."""
        observation, info = self.env.reset(seed=seed, options=options)
        place = -1 if seed is None else seed
        self._luck = generator(self._seed, "affect", place, int(info["session"]))
        self._streak = 0
        return {**observation, "affect": np.array(-1)}, info

    def step(self, action: Any) -> tuple[dict[str, Any], Any, bool, bool, dict[str, Any]]:
        """Take the step and label how it was felt."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        inner = self.unwrapped
        assert isinstance(inner, RecommendEnv)
        clicked = float(observation["feedback"][-inner.slate_size :].sum())
        self._streak = 0 if clicked > 0 else self._streak + 1
        seen, place = self._luck.random(2)
        row = self.confusion[feeling_of(clicked, self._streak)].cumsum()
        label = min(int(np.searchsorted(row, place * row[-1], side="right")), len(row) - 1)
        told = np.array(-1 if seen < self.dropout else label)
        return {**observation, "affect": told}, reward, terminated, truncated, info
