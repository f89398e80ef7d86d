"""Users played by a language model who recall only what resembles the item; perhaps nothing.

Two rules of retrieval-augmented generation that can be relied on (R3AG): what was retrieved is
logged, and retrieval returns nothing where nothing is alike enough.
"""

from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simrec.envs.llm_user import LLMUser
from simrec.errors import SimrecError
from simrec.files import fingerprint


def recall(
    vectors: NDArray[np.float32], memories: NDArray[np.int64], item: int, *, k: int, floor: float
) -> NDArray[np.int64]:
    """Return places in `memories` of the k most alike to an item, in the order they were made.

    Args:
        vectors: (I, D) item vectors.
        memories: (n,) item rows, -1 = empty.
        item: Row of the item.
        k: Greatest number.
        floor: Least cosine; memories below it are not returned, whatever k is.
    """
    places = np.flatnonzero(memories >= 0)
    past, target = vectors[memories[places]], vectors[item]
    length = np.linalg.norm(past, axis=1) * np.linalg.norm(target)
    cosine = np.divide(past @ target, length, out=np.zeros(len(places), "f4"), where=length > 0)
    best = np.argsort(-cosine, kind="stable")[:k]
    return np.sort(places[best[cosine[best] >= floor]])


class RecallingUser(LLMUser):
    """An LLMUser told the k memories nearest to the item it judges, or none under the floor.

    Args:
        *args: As for LLMUser.
        vectors: (I, D) item vectors that say what is alike.
        k: Memories told, at least 1.
        floor: Least cosine of a memory, in [-1, 1].
        **kwargs: As for LLMUser.

    Raises:
        SimrecError: Vectors of other items, or a bad k or floor.
    """

    def __init__(
        self,
        *args: Any,
        vectors: NDArray[np.float32],
        k: int = 5,
        floor: float = 0.2,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        if len(vectors) != self.n_items or k < 1 or not -1.0 <= floor <= 1.0:
            raise SimrecError(
                f"recalling users got {len(vectors)} vectors, k {k} and floor {floor}; expected "
                f"{self.n_items} vectors, k of 1 or more and a cosine"
            )
        self._vectors, self._k, self._floor = vectors, k, floor
        self.log: dict[tuple[int, int], tuple[int, ...]] = {}  # (user, item) -> item rows told

    @cached_property
    def fingerprint(self) -> str:
        """Sixteen hex digits over what LLMUser counts, the vectors, k and the floor."""
        own = [self._k, self._floor]
        return fingerprint(super().fingerprint, own, np.ascontiguousarray(self._vectors))

    def recalled(self, user: int, item: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return the memories (n,) that are told of, with 1 where liked, and log them."""
        memories, liked = super().recalled(user, item)
        told = recall(self._vectors, memories, item, k=self._k, floor=self._floor)
        self.log[user, item] = tuple(memories[told].tolist())
        return memories[told], liked[told]
