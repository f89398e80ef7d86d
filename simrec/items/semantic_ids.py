"""Semantic IDs: items as short unique tuples of codes, with masks for choosing step by step."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from simrec.errors import SimrecError


@dataclass(frozen=True)
class SemanticIds:
    """Codes of every item; the last level only tells items with equal codes apart."""

    codes: NDArray[np.int64]  # (I, L + 1)
    sizes: tuple[int, ...]  # L + 1 numbers of codes, what MultiDiscrete takes

    @classmethod
    def from_codes(cls, codes: NDArray[np.int64], size: int) -> "SemanticIds":
        """Return ids from L levels of codes (I, L) in 0..size-1, made unique by one more."""
        tuples, group = np.unique(codes, axis=0, return_inverse=True)
        group = group.ravel()
        order = np.argsort(group, kind="stable")
        starts = np.searchsorted(group[order], np.arange(len(tuples)))
        number = np.empty(len(codes), dtype=np.int64)
        number[order] = np.arange(len(codes)) - starts[group[order]]
        whole = np.column_stack([codes, number])
        return cls(whole, (*([size] * codes.shape[1]), int(number.max()) + 1))

    @cached_property
    def _rows(self) -> dict[tuple[int, ...], int]:
        return {tuple(code): row for row, code in enumerate(self.codes.tolist())}

    def item(self, code: Sequence[int]) -> int:
        """Return the row of a whole tuple; raise SimrecError when no item has it."""
        row = self._rows.get(tuple(int(c) for c in code))
        if row is None:
            raise SimrecError(
                f"no item has the semantic id {tuple(code)}; expected one of {len(self.codes)}; "
                f"choose codes that `allowed` offers"
            )
        return row

    def allowed(
        self, prefix: Sequence[int], among: NDArray[np.bool_] | None = None
    ) -> NDArray[np.bool_]:
        """Return which codes (size of the level,) lead on from a prefix to some item.

        Args:
            prefix: The codes chosen so far, fewer than the levels.
            among: (I,) True where an item counts; None counts all.

        Raises:
            SimrecError: The prefix is whole, or leads to no item that counts.
        """
        level = len(prefix)
        rows = np.zeros(len(self.codes), dtype=np.bool_)
        if level < len(self.sizes):
            rows = (self.codes[:, :level] == np.asarray(prefix, dtype=np.int64)).all(axis=1)
        if among is not None:
            rows = rows & among
        if not rows.any():
            raise SimrecError(
                f"no item begins with {tuple(int(c) for c in prefix)}, or nothing follows it; "
                f"expected up to {len(self.sizes) - 1} codes that `allowed` offers"
            )
        mask = np.zeros(self.sizes[level], dtype=np.bool_)
        mask[self.codes[rows, level]] = True
        return mask

    def nearest_code(
        self,
        prefix: Sequence[int],
        code: int,
        centres: Sequence[NDArray[np.float64]],
        among: NDArray[np.bool_] | None = None,
    ) -> int:
        """Return the allowed code after a prefix that is nearest to the asked one.

        The one whose centre is closest; at a level without centres, such as the last, the closest
        number. Ties go to the lower code.

        Args:
            prefix: The codes chosen so far, fewer than the levels.
            code: Any code of the level.
            centres: Up to L arrays (size, D) of the codes' vectors.
            among: (I,) True where an item counts; None counts all.
        """
        options = np.flatnonzero(self.allowed(prefix, among))
        if len(prefix) < len(centres):
            middle = centres[len(prefix)]
            distance = ((middle[options] - middle[int(code)]) ** 2).sum(axis=1)
        else:
            distance = np.abs(options - int(code)).astype(np.float64)
        return int(options[distance.argmin()])

    def nearest_item(
        self,
        code: Sequence[int],
        centres: Sequence[NDArray[np.float64]],
        among: NDArray[np.bool_] | None = None,
    ) -> int:
        """Return the item whose codes are nearest to any tuple, level by level.

        Args:
            code: L + 1 codes within `sizes`.
            centres: As for `nearest_code`.
            among: (I,) True where an item may be taken; None allows all.
        """
        taken: list[int] = []
        for asked in code:
            taken.append(self.nearest_code(taken, int(asked), centres, among))
        return self._rows[tuple(taken)]


@dataclass(frozen=True)
class CodeReport:
    """How good codes are."""

    perplexity: tuple[float, ...]  # of each level's usage, 1 (one code) to its size (all alike)
    collisions: float  # share of items whose tuple before the last level is not theirs alone
    error: float  # mean squared distance of vectors to their reconstruction over their variance


def code_report(
    ids: SemanticIds, vectors: NDArray[np.float32], rebuilt: NDArray[np.float32]
) -> CodeReport:
    """Return usage, collisions and reconstruction error.

    Args:
        ids: The items' codes.
        vectors: (I, D) what was coded.
        rebuilt: (I, D) what the codes say.
    """
    perplexity = []
    for level in range(ids.codes.shape[1] - 1):
        share = np.bincount(ids.codes[:, level]) / len(ids.codes)
        share = share[share > 0]
        perplexity.append(float(np.exp(-(share * np.log(share)).sum())))
    _, group, count = np.unique(ids.codes[:, :-1], axis=0, return_inverse=True, return_counts=True)
    variance = ((vectors - vectors.mean(axis=0)) ** 2).sum(axis=1).mean()
    error = ((vectors - rebuilt) ** 2).sum(axis=1).mean() / max(float(variance), 1e-30)
    shared = float((count[group.ravel()] > 1).mean())
    return CodeReport(tuple(perplexity), shared, float(error))


def normalised_information(codes: NDArray[np.int64], labels: NDArray[np.int64]) -> float:
    """Return mutual information over the mean entropy, in [0, 1]; 0 where either is constant.

    Args:
        codes: (I,) one level's codes.
        labels: (I,) for example categories.
    """
    _, a = np.unique(codes, return_inverse=True)
    _, b = np.unique(labels, return_inverse=True)
    joint = np.zeros((a.max() + 1, b.max() + 1))
    np.add.at(joint, (a, b), 1.0 / len(a))

    def entropy(p: NDArray[np.float64]) -> float:
        p = p[p > 0]
        return float(-(p * np.log(p)).sum())

    ha, hb = entropy(joint.sum(1)), entropy(joint.sum(0))
    mean = (ha + hb) / 2
    return (ha + hb - entropy(joint.ravel())) / mean if ha > 0 and hb > 0 else 0.0
