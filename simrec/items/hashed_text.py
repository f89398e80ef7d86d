"""Text vectors without any weights: hashed words and letter groups, tf-idf, truncated SVD."""

import re
import zlib
from collections import Counter
from collections.abc import Sequence

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.linalg import svd
from scipy.sparse.linalg import svds

from simrec.randomness import generator

_BUCKETS = 1 << 20
_WORD = re.compile(r"\w+")


def _features(word: str) -> tuple[int, ...]:
    """Return the hashed buckets of one word: itself and its groups of 3 and 4 letters."""
    marked = f"<{word}>"
    groups = {marked[i : i + n] for n in (3, 4) for i in range(len(marked) - n + 1)}
    names = [f"w:{word}", *sorted(f"c:{g}" for g in groups)]
    # crc32 and not hash(): Python salts the latter anew in every process
    return tuple(zlib.crc32(name.encode()) % _BUCKETS for name in names)


def _tfidf(texts: Sequence[str]) -> sp.csr_matrix:
    """Return tf-idf rows (n, F) of unit length over the F buckets in use; empty text, zero row."""
    known: dict[str, tuple[int, ...]] = {}
    columns: list[int] = []
    counts: list[int] = []
    ends = [0]
    for text in texts:
        tally: Counter[int] = Counter()
        for word in _WORD.findall(text.lower()):
            if word not in known:
                known[word] = _features(word)
            tally.update(known[word])
        columns += tally.keys()
        counts += tally.values()
        ends.append(len(columns))
    buckets, index = np.unique(np.asarray(columns, dtype=np.int64), return_inverse=True)
    df = np.bincount(index, minlength=len(buckets))
    idf = np.log((1 + len(texts)) / (1 + df)) + 1.0
    values = (1.0 + np.log(np.asarray(counts, dtype=np.float64))) * idf[index]
    matrix = sp.csr_matrix((values, index, ends), shape=(len(texts), len(buckets)))
    matrix.sort_indices()
    length = np.sqrt(np.asarray(matrix.multiply(matrix).sum(axis=1)).ravel())
    return sp.csr_matrix(sp.diags(1.0 / np.where(length > 0, length, 1.0)) @ matrix)


class HashedTextEncoder:
    """Latent semantic analysis of hashed words and letter groups; always available, no weights.

    The space depends on the corpus: `encode` fits the tf-idf weights and the directions on the
    texts it is given and returns their vectors. Vectors of two calls are not comparable, so encode
    everything that is to be compared (the whole catalogue) in one call.
    """

    def __init__(self, dim: int = 128, *, seed: int = 0) -> None:
        """Prepare the encoder.

        Args:
            dim: Greatest width D; the corpus may have fewer independent directions.
            seed: Starts the sparse SVD's iteration; changes results by rounding only.
        """
        self.dim = dim
        self.seed = seed

    @property
    def name(self) -> str:
        """Name written into records."""
        return f"hashed-{self.dim}"

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Fit on `texts` and return their vectors.

        Args:
            texts: The whole corpus, n texts.

        Returns:
            (n, D) rows of unit length, zero where the text has no word; D is at most `dim` and
            at least 1.
        """
        matrix = _tfidf(texts)
        if matrix.nnz == 0:
            return np.zeros((len(texts), 1), dtype=np.float32)
        if self.dim < min(matrix.shape):
            start = generator(self.seed, "hashed-text").standard_normal(min(matrix.shape))
            _, size, directions = svds(matrix, k=self.dim, v0=start, solver="arpack")
        else:  # a tiny corpus: every direction is wanted, which the sparse solver cannot give
            _, size, directions = svd(matrix.toarray(), full_matrices=False)
        order = np.argsort(-size, kind="stable")
        order = order[size[order] > 1e-6 * size.max()]  # directions of pure rounding noise
        directions = directions[order]
        strongest = np.abs(directions).argmax(axis=1)
        signs = np.sign(directions[np.arange(len(order)), strongest])
        # rows come from the texts, not from U, so that equal texts get bitwise equal vectors
        vectors = np.asarray(matrix @ (directions * signs[:, None]).T)
        length = np.linalg.norm(vectors, axis=1, keepdims=True)
        unit = np.divide(vectors, length, out=np.zeros_like(vectors), where=length > 1e-9)
        return np.asarray(unit, dtype=np.float32)
