"""Biased matrix factorisation by alternating least squares; items rest on their features."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse


@dataclass(frozen=True)
class Factors:
    """rating(u, i) ~ mean + user_bias[u] + item_bias[i] + <user[u], item[i]>."""

    mean: float
    user_bias: NDArray[np.float64]  # (U,)
    item_bias: NDArray[np.float64]  # (I,)
    user: NDArray[np.float64]  # (U, D)
    item: NDArray[np.float64]  # (I, D)

    def interaction(
        self, users: NDArray[np.int64], items: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """Return the inner products (n,) of users (n,) and items (n,)."""
        return np.asarray(np.einsum("nd,nd->n", self.user[users], self.item[items]))


def factorise(
    users: NDArray[np.int64],
    items: NDArray[np.int64],
    ratings: NDArray[np.float64],
    features: NDArray[np.float64],
    *,
    n_users: int,
    rank: int,
    shrinkage: float,
    bias_shrinkage: float,
    iterations: int,
    rng: np.random.Generator,
    weights: NDArray[np.float64] | None = None,
) -> Factors:
    """Fit user and item biases and vectors to observed ratings.

    Each half step solves a ridge regression for every user (or item) exactly. Items are shrunk
    not towards zero but towards a linear map of their features, fitted anew in every round, so an
    item without ratings gets the vector and bias that its features suggest (the regression-based
    latent factor model of Agarwal and Chen, KDD 2009, by alternating least squares;
    reconstructed).

    Args:
        users: (n,) user rows.
        items: (n,) item rows.
        ratings: (n,) in the data's own unit.
        features: (I, F) of all items.
        n_users: The number of users U.
        rank: Length of the vectors.
        shrinkage: Ridge penalty of the vectors, in rating events.
        bias_shrinkage: Ridge penalty of the biases, in rating events.
        iterations: Rounds of one user and one item half step.
        rng: Draws the first item vectors.
        weights: (n,) how much each rating counts, for example the inverse of the chance that it
            was given, with mean 1; None counts all once.

    Returns:
        The factors; `mean` is the weighted mean rating.
    """
    n_items = len(features)
    shape = (n_users, n_items)
    weight = np.ones(len(users)) if weights is None else weights
    mean = float(ratings.mean() if weights is None else np.average(ratings, weights=weights))
    seen = sparse.csr_matrix((weight, (users, items)), shape)
    residual = sparse.csr_matrix((weight * (ratings - mean), (users, items)), shape)
    seen_t, residual_t = seen.T.tocsr(), residual.T.tocsr()
    count = np.asarray(seen_t.sum(axis=1)).ravel()  # (I,) ratings of each item
    penalty = np.r_[np.full(rank, shrinkage), bias_shrinkage]
    design = np.c_[standardised_rows(features), np.ones(n_items)]
    item = np.c_[rng.normal(0.0, 0.1, (n_items, rank)), np.zeros(n_items)]  # vector, bias
    user = np.zeros((n_users, rank + 1))
    for _ in range(iterations):
        user = ridge_rows(seen, residual, item, penalty, np.zeros((1, rank + 1)))
        prior = design @ map_to_vectors(design, item, count, shrinkage)
        item = ridge_rows(seen_t, residual_t, user, penalty, prior)
    return Factors(mean, user[:, -1], item[:, -1], user[:, :-1], item[:, :-1])


def ridge_rows(
    seen: sparse.csr_matrix,
    residual: sparse.csr_matrix,
    other: NDArray[np.float64],
    penalty: NDArray[np.float64],
    prior: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return for every row of `seen` (R, C) its vector and bias (R, d + 1), all rows at once.

    Row r minimises sum_c seen[r, c] (t - <v_r, v_c> - b_r - b_c)^2 + penalty |(v_r, b_r) - prior|^2
    where `residual` holds seen * t. The sums of outer products that this needs are formed once for
    each column and added up by one sparse product.
    """
    width = other.shape[1]
    x = np.c_[other[:, :-1], np.ones(len(other))]  # what multiplies (vector, own bias)
    outer = (x[:, :, None] * x[:, None, :]).reshape(len(x), width * width)
    right = residual @ x - seen @ (other[:, -1:] * x) + penalty * prior
    solved = np.empty((seen.shape[0], width))
    block = max(1, 4_000_000 // width**2)  # rows at a time: at most 32 MB of normal matrices
    for first in range(0, len(solved), block):
        rows = slice(first, first + block)
        left = (seen[rows] @ outer).reshape(-1, width, width) + np.diag(penalty)
        solved[rows] = np.linalg.solve(left, right[rows][:, :, None])[:, :, 0]
    return solved


def map_to_vectors(
    design: NDArray[np.float64],
    item: NDArray[np.float64],
    count: NDArray[np.float64],
    shrinkage: float,
) -> NDArray[np.float64]:
    """Return the ridge map (F + 1, d + 1) from features to item vectors; rare items count less."""
    weight = count / (count + shrinkage)
    left = (design * weight[:, None]).T @ design
    # a penalty on the scale of the data keeps wide feature tables from fitting every item exactly
    ridge = np.full(len(left), 0.1 * weight.sum())
    ridge[-1] = 1e-6  # the constant is free
    return np.asarray(np.linalg.solve(left + np.diag(ridge), (design * weight[:, None]).T @ item))


def standardised_rows(features: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return features (I, F) centred, and scaled so that a row's squared length is 1 on average."""
    centred = features - features.mean(axis=0)
    return np.asarray(centred / max(float(np.sqrt((centred**2).sum(axis=1).mean())), 1e-12))
