"""Logistic matrix factorisation by exact alternating steps; items rest on their features."""

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.special import expit

from simrec.envs.als import Factors, map_to_vectors, ridge_rows, standardised_rows


def factorise_clicks(
    users: NDArray[np.int64],
    items: NDArray[np.int64],
    clicked: NDArray[np.bool_],
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
    """Fit logit P(click) = mean + user_bias + item_bias + <user, item> to answers 1 and 0.

    The log likelihood (logistic matrix factorisation, Johnson 2014; reconstructed) is bounded below
    by a parabola that touches it at the present logits (Jaakkola and Jordan, Statistics and
    Computing 2000; reconstructed). Under the bound every user, then every item, is a ridge
    regression solved exactly, so the penalised likelihood never falls and there is no step size.
    Items are shrunk towards a linear map of their features, fitted anew in every round, so an item
    without answers gets the vector and bias that its features suggest.

    Args:
        users: (n,) user rows.
        items: (n,) item rows.
        clicked: (n,) the answers.
        features: (I, F) of all items.
        n_users: The number of users U.
        rank: Length of the vectors.
        shrinkage: Ridge penalty of the vectors.
        bias_shrinkage: Ridge penalty of the biases.
        iterations: Rounds of one user and one item half step.
        rng: Draws the first item vectors.
        weights: (n,) how much each answer counts; None counts all once.

    Returns:
        The factors; `mean` is the logit of the share of clicks.
    """
    n, n_items = len(users), len(features)
    w = np.ones(n) if weights is None else weights
    share = float((w * clicked).sum() / w.sum())
    mean = float(np.log(share) - np.log1p(-share))
    push = w * (clicked - 0.5)
    by_user = Answered(users, items, (n_users, n_items))
    by_item = Answered(items, users, (n_items, n_users))
    penalty = np.r_[np.full(rank, shrinkage), bias_shrinkage]
    design = np.c_[standardised_rows(features), np.ones(n_items)]
    count = np.asarray(np.bincount(items, w / 4.0, minlength=n_items), dtype=np.float64)
    item = np.c_[rng.normal(0.0, 0.3, (n_items, rank)), np.zeros(n_items)]  # vector, bias
    user = np.zeros((n_users, rank + 1))
    nothing = np.zeros((1, rank + 1))
    for _ in range(iterations):
        curve = w * curvature(logits_of(mean, user, item, users, items))
        user = by_user.solve(push, curve, mean, item, penalty, nothing)
        curve = w * curvature(logits_of(mean, user, item, users, items))
        prior = design @ map_to_vectors(design, item, count, shrinkage)
        item = by_item.solve(push, curve, mean, user, penalty, prior)
    return Factors(mean, user[:, -1], item[:, -1], user[:, :-1], item[:, :-1])


def logits_of(
    mean: float,
    user: NDArray[np.float64],
    item: NDArray[np.float64],
    users: NDArray[np.int64],
    items: NDArray[np.int64],
) -> NDArray[np.float64]:
    """Return the logits (n,) of pairs, from rows (vector, bias) of users and of items."""
    u, i = user[users], item[items]
    product = np.einsum("nd,nd->n", u[:, :-1], i[:, :-1])
    return np.asarray(mean + u[:, -1] + i[:, -1] + product)


def curvature(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return tanh(x / 2) / (2 x): how much the touching parabola bends, 1/4 at x = 0."""
    size = np.maximum(np.abs(logits), 1e-6)
    return np.asarray((expit(size) - 0.5) / size)


class Answered:
    """The answers sorted by row, so that sums over a row's answers are sparse products."""

    def __init__(
        self, rows: NDArray[np.int64], columns: NDArray[np.int64], shape: tuple[int, int]
    ) -> None:
        self.order = np.argsort(rows, kind="stable")  # (n,)
        self.columns = columns[self.order]  # (n,)
        self.starts = np.searchsorted(rows[self.order], np.arange(shape[0] + 1))  # (R + 1,)
        self.shape = shape

    def solve(
        self,
        push: NDArray[np.float64],
        curve: NDArray[np.float64],
        mean: float,
        other: NDArray[np.float64],
        penalty: NDArray[np.float64],
        prior: NDArray[np.float64],
    ) -> NDArray[np.float64]:
        """Return (R, d + 1): for every row the vector and bias that maximise the bound."""
        return ridge_rows(
            self._matrix(curve), self._matrix(push - curve * mean), other, penalty, prior
        )

    def _matrix(self, values: NDArray[np.float64]) -> sparse.csr_matrix:
        return sparse.csr_matrix((values[self.order], self.columns, self.starts), self.shape)
