"""Users whose every answer a language model gave beforehand; they are played without it."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from simrec.envs.llm_user import LLMUser, chance_of, label_of
from simrec.envs.users import UserState
from simrec.errors import SimrecError
from simrec.files import fingerprint

NEVER = -1  # in place of the answer to a question that was not asked


@dataclass(frozen=True)
class ToldUsers:
    """A population of answers from 0 to 10; what is played is a model's picture of people."""

    model: str  # who gave them
    answers: NDArray[np.int8]  # (U, I) 0 to 10; NEVER for users who do not arrive

    @property
    def n_users(self) -> int:
        """The number of users U."""
        return len(self.answers)

    @property
    def n_items(self) -> int:
        """The number of items I."""
        return int(self.answers.shape[1])

    @property
    def known(self) -> NDArray[np.bool_]:
        """The users (U,) whom the model was asked about."""
        return np.asarray((self.answers != NEVER).all(axis=1))

    @property
    def label(self) -> str:
        """What to write beside results of a world with these users."""
        return label_of(self.model)

    @cached_property
    def fingerprint(self) -> str:
        """Sixteen hex digits over model and answers."""
        return fingerprint(self.model, self.answers)

    def begin(self, users: NDArray[np.int64]) -> UserState:
        """Return the state of user rows (B,): who they are."""
        return {"user": users.copy()}

    def affinity(self, state: UserState, items: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return P(like) for items (B, k) as (B, k).

        Raises:
            SimrecError: The model was never asked about one of the users.
        """
        return self._chance(self.answers[state["user"][:, None], items])

    def affinity_of_all(self, state: UserState) -> NDArray[np.float64]:
        """Return P(like) for the whole catalogue as (B, I)."""
        return self._chance(self.answers[state["user"]])

    def consume(
        self, state: UserState, items: NDArray[np.int64], feedback: NDArray[np.float32]
    ) -> None:
        """Change nothing: the model was told the start history only."""

    def _chance(self, answers: NDArray[np.int8]) -> NDArray[np.float64]:
        if (answers == NEVER).any():
            raise SimrecError(
                f"{self.model} was never asked about a user that is wanted here; expected one of "
                f"the {int(self.known.sum())} who arrive, so set people higher"
            )
        return chance_of(answers)


def told(
    users: LLMUser, rows: NDArray[np.int64], say: Callable[[str], None] | None = None
) -> ToldUsers:
    """Ask about every item for some users, one user after the other.

    Args:
        users: Who is asked, and what is known of each user.
        rows: (n,) the users asked about.
        say: Told how far the asking is, once a user.
    """
    answers = np.full((users.n_users, users.n_items), NEVER, dtype=np.int8)
    items = np.arange(users.n_items, dtype=np.int64)
    for done, row in enumerate(np.unique(rows).tolist()):
        if say is not None:
            say(f"users: asking {users.model} as user {done + 1} of {len(np.unique(rows))}")
        answers[row] = users.answers(np.full(len(items), row, dtype=np.int64), items)
    return ToldUsers(users.model, answers)
