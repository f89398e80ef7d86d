"""Which items a teacher is asked about: popular, random, near, next, or a policy's own."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simrec.errors import SimrecError, nearest

SOURCES = ("popular", "neighbours", "next", "policy", "random")  # in this order they choose
NOTHING = np.zeros(0, dtype=np.int64)
HALVES: Mapping[str, float] = {"popular": 0.5, "random": 0.5}

PolicySample = Callable[
    [NDArray[np.int64], NDArray[np.float32], int, np.random.Generator], NDArray[np.int64]
]  # (history (h,), feedback (h,), count, rng) -> items a policy draws there, the first drawn first


@dataclass(frozen=True)
class State:
    """A user at one moment, as far as candidates depend on it."""

    items: NDArray[np.int64]  # (h,) all items met so far, oldest first
    liked: NDArray[np.float32]  # (h,) 1 liked, 0 not
    later: NDArray[np.int64]  # items of the agent's part that the user met afterwards, in order


class Candidates:
    """Draws candidates from several sources in given shares, never an item already met."""

    def __init__(
        self,
        shares: Mapping[str, float],
        *,
        log_popularity: NDArray[np.float32],
        vectors: NDArray[np.float32] | None = None,
        policy: PolicySample | None = None,
    ) -> None:
        """Check the shares.

        Args:
            shares: Source -> share of the candidates; scaled to sum to 1. What a source cannot
                give (no liked item yet, no next item) is drawn at random and says so.
                "next" is the item the user really met next: it leaks the log, so it is named in
                every question and must be left out where the log is judged.
            log_popularity: (I,) log(1 + events in the agent's part).
            vectors: (I, D) item vectors, for "neighbours".
            policy: Draws items, for "policy".

        Raises:
            SimrecError: A source is unknown or lacks what it needs, or a share is not positive.
        """
        for name, share in shares.items():
            if name not in SOURCES:
                raise SimrecError(
                    f"there is no source of candidates '{name}'; {nearest(name, SOURCES)}"
                )
            if not 0.0 < share < np.inf:
                raise SimrecError(
                    f"the share of candidates from '{name}' is {share}; expected more than 0, "
                    f"or leave it out"
                )
        if not shares:
            raise SimrecError(f"there is no source of candidates; name one of {', '.join(SOURCES)}")
        if "policy" in shares and policy is None:
            raise SimrecError(
                "candidates from 'policy' need a policy; there is none before pretraining, name "
                "another source"
            )
        if "neighbours" in shares and vectors is None:
            raise SimrecError("candidates from 'neighbours' need item vectors; pass the item table")
        self.shares = {name: shares[name] for name in SOURCES if name in shares}
        self.n_items = len(log_popularity)
        # log of events; what was never met keeps a chance of a thousandth of an event
        self._weight = np.log(np.expm1(log_popularity.astype(np.float64)) + 1e-3)  # (I,)
        self._vectors = None if vectors is None else _unit(vectors)  # (I, D)
        self._policy = policy

    def draw(
        self,
        state: State,
        K: int,
        rng: np.random.Generator,
        barred: NDArray[np.int64] = NOTHING,
    ) -> tuple[NDArray[np.int64], tuple[str, ...]]:
        """Return up to K items neither met nor barred in random order, and the source of each."""
        free = np.setdiff1d(np.arange(self.n_items), np.concatenate([state.items, barred]))
        K = min(K, len(free))
        chosen: list[NDArray[np.int64]] = []
        source: list[str] = []
        total, names = sum(self.shares.values()), list(self.shares)
        for name in names:
            last = name == names[-1]
            count = K - len(source) if last else int(K * self.shares[name] / total + 1e-9)
            found = self._from(name, state, free, count, rng)[:count]
            chosen.append(found)
            source += [name] * len(found)
            free = np.setdiff1d(free, found)
        missing = K - len(source)
        if missing:
            chosen.append(rng.permutation(free)[:missing])
            source += ["random"] * missing
        candidates = np.concatenate(chosen)
        mixed = rng.permutation(K)
        return candidates[mixed], tuple(np.array(source, dtype=np.str_)[mixed].tolist())

    def _from(
        self,
        name: str,
        state: State,
        free: NDArray[np.int64],
        count: int,
        rng: np.random.Generator,
    ) -> NDArray[np.int64]:
        """Return different items of `free` from one source, the best first."""
        if name == "random":
            return rng.permutation(free)
        if name == "popular":
            # Gumbel keys: the largest are a draw without replacement in proportion to exp(weight)
            keys = self._weight[free] + rng.gumbel(size=len(free))
            return free[np.argsort(-keys, kind="stable")]
        if name == "next":
            return state.later[np.isin(state.later, free)][:1]
        if name == "neighbours":
            assert self._vectors is not None
            liked = state.items[state.liked > 0]
            if not len(liked):
                return free[:0]
            near = self._vectors[free] @ self._vectors[liked].mean(axis=0)
            return free[np.argsort(-near, kind="stable")]
        assert self._policy is not None
        drawn = np.asarray(self._policy(state.items, state.liked, count, rng), dtype=np.int64)
        _, first = np.unique(drawn, return_index=True)
        drawn = drawn[np.sort(first)]
        return drawn[np.isin(drawn, free)]


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(length, 1e-12), dtype=np.float32)
