"""A language model that plays the users: asked about each item, cached, and labelled as such."""

import re
from collections.abc import Callable, MutableMapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simrec.catalogue import Catalogue
from simrec.envs.users import UserState
from simrec.errors import SimrecError
from simrec.files import fingerprint
from simrec.llm.kept import bare_name

Complete = Callable[[list[str]], Sequence[str]]  # prompts -> replies, one for each, in order

TOP = 10  # the highest answer; P(like) is the answer divided by it, kept off 0 and 1
_EDGE = 0.02


class LLMUser:
    """Users who like what a language model says people with their history would like.

    Each question is asked once and kept in `cache`, so a world of such users answers the same way
    for as long as the cache lives. What is played is the model's picture of people, not people:
    `label` says so and belongs beside every result.

    Args:
        complete: Asks the model: prompts in, replies out, at temperature 0.
        model: Name of the model, part of every key and of the label.
        catalogue: The items, told by title and text.
        history: (U, H) item rows known of each user, -1 = empty.
        liked: (U, H) 1 liked, 0 not or empty.
        cache: From key to reply; give one that outlives the process to pay only once.
        batch: Questions asked at once.
    """

    def __init__(
        self,
        complete: Complete,
        *,
        model: str,
        catalogue: Catalogue,
        history: NDArray[np.int64],
        liked: NDArray[np.float32],
        cache: MutableMapping[str, str] | None = None,
        batch: int = 64,
    ) -> None:
        if history.shape != liked.shape:
            raise SimrecError(
                f"history has shape {history.shape} and liked {liked.shape}; expected the same"
            )
        self.model = model
        self.asked = 0  # questions put to the model, not answered by the cache
        self._complete = complete
        self._catalogue = catalogue
        self._history = history
        self._liked = liked
        self._cache: MutableMapping[str, str] = {} if cache is None else cache
        self._batch = batch

    @property
    def n_users(self) -> int:
        """The number of users U."""
        return len(self._history)

    @property
    def n_items(self) -> int:
        """The number of items I."""
        return len(self._catalogue)

    @property
    def label(self) -> str:
        """What to write beside results of a world with these users."""
        return label_of(self.model)

    @cached_property
    def fingerprint(self) -> str:
        """Sixteen hex digits over model, catalogue and histories."""
        return fingerprint(self.model, self._catalogue.fingerprint, self._history, self._liked)

    def begin(self, users: NDArray[np.int64]) -> UserState:
        """Return the state of user rows (B,): who they are."""
        return {"user": users.copy()}

    def affinity(self, state: UserState, items: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return P(like) for items (B, k) as (B, k), asking the model what it was not asked yet.

        Raises:
            SimrecError: A reply has no whole number from 0 to 10, or there are too few replies.
        """
        users = np.broadcast_to(state["user"][:, None], items.shape)
        return chance_of(self.answers(users, items))

    def answers(self, users: NDArray[np.int64], items: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return what the model answers for pairs of users and items, both of one shape."""
        pairs = np.stack((users.ravel(), items.ravel()), axis=1)
        unique, place = np.unique(pairs, axis=0, return_inverse=True)
        answers = np.array(self._answers([(int(u), int(i)) for u, i in unique]), dtype=np.int64)
        return np.asarray(answers[place.ravel()].reshape(items.shape))

    def consume(
        self, state: UserState, items: NDArray[np.int64], feedback: NDArray[np.float32]
    ) -> None:
        """Change nothing: the model is told the start history only."""

    def recalled(self, user: int, item: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return the past (n,) the model is told of when it judges an item: here all of it."""
        return self._history[user], self._liked[user]

    def question(self, user: int, item: int) -> str:
        """Return what the model is asked about one user and one item."""
        seen = [
            (self._catalogue.titles[i], liked > 0)
            for i, liked in zip(*self.recalled(user, item), strict=True)
            if i >= 0
        ]
        good = "; ".join(title for title, liked in seen if liked) or "nothing known"
        bad = "; ".join(title for title, liked in seen if not liked) or "nothing known"
        text = self._catalogue.texts[item][:400]
        return (
            "You are a person with this taste.\n"
            f"Liked: {good}\nNot liked: {bad}\n"
            f"You are offered: {self._catalogue.titles[item]}{'. ' + text if text else ''}\n"
            f"How likely are you to like it? Answer with one whole number from 0 (never) to {TOP} "
            "(surely) and nothing else."
        )

    def _answers(self, pairs: list[tuple[int, int]]) -> list[int]:
        questions = [self.question(*pair) for pair in pairs]
        keys = [fingerprint(self.model, question) for question in questions]
        missing = {k: q for k, q in zip(keys, questions, strict=True) if k not in self._cache}
        todo = list(missing.items())
        for first in range(0, len(todo), self._batch):
            part = todo[first : first + self._batch]
            replies = self._complete([question for _, question in part])
            if len(replies) != len(part):
                raise SimrecError(
                    f"model '{self.model}' gave {len(replies)} replies to {len(part)} questions; "
                    "expected one for each, in order"
                )
            self.asked += len(part)
            for (key, _), reply in zip(part, replies, strict=True):
                self._number(reply)  # an unreadable reply is not kept
                self._cache[key] = reply
        return [self._number(self._cache[key]) for key in keys]

    def _number(self, reply: str) -> int:
        found = re.search(r"\d+", reply)
        if found is None or int(found[0]) > TOP:
            raise SimrecError(
                f"model '{self.model}' answered '{reply.strip()[:60]}'; expected a whole number "
                f"from 0 to {TOP}, so use a model that follows the instruction"
            )
        return int(found[0])


def label_of(model: str) -> str:
    """Return what to write beside results of a world whose users this model plays."""
    return f"users played by {model.partition('@http')[0]}, not fitted to people"


def chance_of(answers: NDArray[np.integer[Any]]) -> NDArray[np.float64]:
    """Return P(like) of answers from 0 to 10, of any shape; 0 and 10 are kept off the ends."""
    return np.asarray(np.clip(answers / TOP, _EDGE, 1.0 - _EDGE))


def circularity(user: str, teacher: str) -> str | None:
    """Return a warning where one language model is both teacher and user, else None.

    Args:
        user: Model that plays the users, "" for users fitted to people.
        teacher: Name of the teacher's model; how and where it is served makes no difference.
    """
    if not user or bare_name(user) != bare_name(teacher):
        return None
    return (
        f"circular: {bare_name(teacher)} is both teacher and user, so the teacher is right by "
        "construction and nothing is learnt about people"
    )
