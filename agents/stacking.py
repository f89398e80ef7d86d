"""How much a frozen critic still adds to a new one: a logistic regression on clicks not yet learnt.

Everything here is this project's own rule. Its parts are common knowledge: Laplace's approximation
of a Bayesian logistic regression, exponential forgetting, and weights found on predictions made
before the answer was known (prequential stacking).
"""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def logistic_posterior(
    features: Array, clicks: Array, mean: Array, precision: Array
) -> tuple[Array, Array]:
    """Return mode and precision of a logistic regression's weights under a normal prior.

    The mode minimises sum_i -log s(+-x_i.b) + (b - mean)' precision (b - mean) / 2, s the logistic
    function; the precision is the second derivative there (Laplace).

    Args:
        features: (N, F) x.
        clicks: (N,) 1 clicked, 0 not.
        mean: (F,) of the prior.
        precision: (F, F) of the prior, positive definite.
    """

    def chance(b: Array) -> Array:
        p: Array = 1.0 / (1.0 + np.exp(-np.clip(features @ b, -30.0, 30.0)))
        return p

    def loss(b: Array) -> float:
        x, away = features @ b, b - mean
        return float((np.logaddexp(0.0, x) - clicks * x).sum() + away @ precision @ away / 2.0)

    def curvature(b: Array) -> Array:
        p = chance(b)
        h: Array = (features * (p * (1.0 - p))[:, None]).T @ features + precision
        return h

    b, now = mean, loss(mean)
    for _ in range(50):  # Newton's steps, halved while they would overshoot
        slope = features.T @ (chance(b) - clicks) + precision @ (b - mean)
        step = np.linalg.solve(curvature(b), slope)
        while (then := loss(b - step)) > now and np.abs(step).max() > 1e-9:
            step = step / 2.0
        b, now = b - step, min(now, then)
        if np.abs(step).max() < 1e-9:
            break
    return b, curvature(b)


class Stack:
    """Belief about the weights (w, beta, v, c) of logit P(click) = w q + beta z_0 + v u + c.

    q and u are the new critic's ranking and level, z_0 is pi_0's. With each batch the old belief
    first fades towards the one it began with, then the batch is added:
    precision <- keep precision + (1 - keep) first, and the means likewise weighted.

    Args:
        keep: Share of the old belief's precision kept at each batch, 0 to 1.
    """

    FIRST_MEAN = (1.0, 1.0, 1.0, 0.0)  # both critics say what they mean
    FIRST_SPREAD = (1.0, 1.0, 0.5, 10.0)

    def __init__(self, keep: float = 0.8) -> None:
        self.keep = keep
        self.mean: Array = np.array(self.FIRST_MEAN)
        self.precision: Array = np.diag(np.array(self.FIRST_SPREAD) ** -2.0)
        self.first = self.mean, self.precision

    @property
    def beta(self) -> float:
        """What a unit of z_0 is worth beside the new critic, in logits of a click."""
        return float(self.mean[1])

    def add(self, q: Array, z: Array, level: Array, clicks: Array) -> None:
        """Fade, then learn from a batch that the new critic has not seen.

        Args:
            q: (N,) the new critic's score of each shown item.
            z: (N,) pi_0's.
            level: (N,) the new critic's level.
            clicks: (N,) 1 clicked, 0 not.
        """
        mean, precision = self.first
        kept: Array = self.keep * self.precision
        rest: Array = (1.0 - self.keep) * precision
        faded: Array = np.asarray(
            np.linalg.solve(kept + rest, kept @ self.mean + rest @ mean), dtype=np.float64
        )
        features: Array = np.stack([q, z, level, np.ones_like(q)], axis=1)
        self.mean, self.precision = logistic_posterior(features, clicks, faded, kept + rest)
