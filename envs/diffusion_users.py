"""Users whose next clicks a one-step diffusion model predicts from what they clicked so far.

In the style of LD4MRec (arXiv 2309.15363; abstract and third-party code read, its own code was not:
reconstructed). A user's click row x in {0, 1}^I is noised to x_t = sqrt(a_t) x + sqrt(1 - a_t) e
and a net predicts x from x_t, t and a condition: the user's factor of a truncated SVD and the mean
content vector of the clicked items. Its target is x (1 - g) + (1 - x) g; in use it takes one pass
on the row as it is. Input and output are as wide as the catalogue: for some ten thousand items.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.sparse.linalg import svds
from scipy.special import expit

from simrec.envs.fitting import check_parts, nine_tenths
from simrec.envs.modality_users import offers_of
from simrec.envs.realism import area_under_curve, logistic_weights
from simrec.envs.users import UserState
from simrec.files import fingerprint
from simrec.interactions import InteractionLog
from simrec.randomness import generator


@dataclass(frozen=True)
class DiffusionUsers:
    """A population that answers by a denoised click row; clicks in a session join the row.

    P(like) = sigmoid(shift + slope z), z the net's logit of the item, the two numbers fitted to
    held-out events.
    """

    ends: NDArray[np.int64]  # (U + 1,) where each user's part of `clicked` begins, and its end
    clicked: NDArray[np.int64]  # (n,) items clicked before the session, user by user
    basis: NDArray[np.float32]  # (I, F) from a click row to the user's SVD factor
    content: NDArray[np.float32]  # (I, C) item vectors
    row: NDArray[np.float32]  # (I, W) the net's weights, as the next four
    condition: NDArray[np.float32]  # (F + C, W)
    hidden: NDArray[np.float32]  # (W,)
    out: NDArray[np.float32]  # (W, I)
    bias: NDArray[np.float32]  # (I,)
    shift: float = 0.0
    slope: float = 1.0

    @cached_property
    def start(self) -> sp.csr_matrix:
        """The click rows (U, I) before a session, 1 where clicked."""
        ones = np.ones(len(self.clicked), dtype=np.float32)
        return sp.csr_matrix((ones, self.clicked, self.ends), (self.n_users, self.n_items))

    @property
    def n_users(self) -> int:
        """The number of users U."""
        return len(self.ends) - 1

    @property
    def n_items(self) -> int:
        """The number of items I."""
        return len(self.content)

    @cached_property
    def fingerprint(self) -> str:
        """Sixteen hex digits over every number of the model."""
        net = (self.bias, self.condition, self.hidden, self.out, self.row)
        own = (self.ends, self.clicked, self.basis, self.content)
        return fingerprint([self.shift, self.slope], *own, *net)

    def begin(self, users: NDArray[np.int64]) -> UserState:
        """Return the state of user rows (B,): their click rows (B, I)."""
        return {"row": np.asarray(self.start[users].todense(), dtype=np.float32)}

    def logits(self, rows: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the net's logits (B, I) of click rows (B, I), at t = 0."""
        given = np.hstack([rows @ self.basis, condition_content(rows, self.content)])
        hidden = rows @ self.row + given @ self.condition + self.hidden
        return np.asarray(np.tanh(hidden) @ self.out + self.bias, dtype=np.float64)

    def affinity_of_all(self, state: UserState) -> NDArray[np.float64]:
        """Return P(like) for the whole catalogue as (B, I)."""
        return np.asarray(expit(self.shift + self.slope * self.logits(state["row"])))

    def affinity(self, state: UserState, items: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return P(like) for items (B, k) as (B, k)."""
        return np.take_along_axis(self.affinity_of_all(state), items, axis=1)

    def consume(
        self, state: UserState, items: NDArray[np.int64], feedback: NDArray[np.float32]
    ) -> None:
        """Put the clicked items of (B, k) into the rows."""
        row, place = np.nonzero(feedback > 0)
        state["row"][row, items[row, place]] = 1.0


def condition_content(
    rows: NDArray[np.float32], content: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Return the mean content vector (B, C) of each click row (B, I), zero for an empty one."""
    count = np.maximum(rows.sum(axis=1, keepdims=True), 1.0)
    return np.asarray(rows @ content / count, dtype=np.float32)


def fit_diffusion_users(
    log: InteractionLog,
    truth_rows: NDArray[np.int64],
    realism_rows: NDArray[np.int64],
    content: NDArray[np.float32],
    *,
    like_at: float,
    seed: int,
    factors: int = 16,
    width: int = 64,
    epochs: int = 60,
    smoothing: float = 0.02,
) -> tuple[DiffusionUsers, float]:
    """Train the net on what the truth part says users liked.

    A tenth of the truth part is kept out of the rows to fit shift and slope, and then joins them.

    Args:
        log: The whole log.
        truth_rows: (n,) events the users may be fitted on.
        realism_rows: (m,) events that only judge.
        content: (I, C) item vectors, such as `ItemTable.fused`.
        like_at: Feedback of at least this much counts as a click.
        seed: Draws weights, noise, the held-out tenth and negatives of an implicit log.
        factors: Of the SVD.
        width: Of the hidden layer.
        epochs: Passes over the users.
        smoothing: g, in [0, 0.5).

    Returns:
        The population, and its AUC on the judging events.

    Raises:
        SimrecError: The parts of the log are too small.
    """
    from simrec.envs.diffusion_net import train_net  # torch

    check_parts(log, truth_rows, realism_rows, content)
    kept, held = nine_tenths(truth_rows, generator(seed, "diffusion", "held-out"))
    rows = _clicks(log, kept, like_at)
    size = min(factors, min(rows.shape) - 1)
    _, _, right = svds(rows, size, rng=generator(seed, "diffusion", "svd"))
    # an axis has no direction of its own: fix its sign by its largest entry
    right = right * np.sign(right[np.arange(size), np.abs(right).argmax(axis=1)])[:, None]
    basis = np.ascontiguousarray(right.T, dtype=np.float32)
    net = train_net(rows, basis, content, seed=seed, width=width, epochs=epochs, smooth=smoothing)
    users = DiffusionUsers(
        *_listed(rows),
        basis,
        content,
        row=net["row"],
        condition=net["condition"],
        hidden=net["hidden"],
        out=net["out"],
        bias=net["bias"],
    )
    met = offers_of(log, held, truth_rows, like_at, seed, "held")
    weights = logistic_weights(_columns(users, met.user, met.item), met.clicked)
    judging = offers_of(log, realism_rows, np.arange(len(log)), like_at, seed, "judging")
    ends, clicked = _listed(_clicks(log, truth_rows, like_at))
    shift, slope = float(weights[0]), float(weights[1])
    users = replace(users, ends=ends, clicked=clicked, shift=shift, slope=slope)
    chance = expit(_columns(users, judging.user, judging.item) @ weights)
    return users, area_under_curve(chance, judging.clicked)


def _clicks(log: InteractionLog, rows: NDArray[np.int64], like_at: float) -> sp.csr_matrix:
    liked = rows[log.feedback[rows] >= like_at]
    place = (log.user[liked].astype(np.int64), log.item[liked].astype(np.int64))
    shape = (log.n_users, log.n_items)
    matrix = sp.csr_matrix((np.ones(len(liked), np.float32), place), shape)
    matrix.sum_duplicates()
    matrix.data[:] = 1.0
    return matrix


def _listed(rows: sp.csr_matrix) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    return rows.indptr.astype(np.int64), rows.indices.astype(np.int64)


def _columns(
    users: DiffusionUsers, user: NDArray[np.int64], item: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return 1 and the logit of each pair (n, 2), in blocks of users."""
    out = np.ones((len(user), 2))
    for first in range(0, users.n_users, 256):
        pairs = np.flatnonzero((user >= first) & (user < first + 256))
        some = np.arange(first, min(first + 256, users.n_users))
        table = users.logits(users.begin(some)["row"])
        out[pairs, 1] = table[user[pairs] - first, item[pairs]]
    return out
