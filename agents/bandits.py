"""Linear contextual bandits on item features: the classical rivals of a learner online."""

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
from numpy.typing import NDArray
from stable_baselines3.common.vec_env import VecEnv

from simrec.agents.baselines import Observations, unseen
from simrec.agents.policy import ItemPolicy
from simrec.agents.strategy import Deployment, Online, strategy


def principal(vectors: NDArray[np.float32], dims: int) -> NDArray[np.float64]:
    """Return item vectors on their first principal axes (I, d), scaled to unit mean square norm.

    Args:
        vectors: (I, D) item table.
        dims: Axes kept, d = min(dims, D, I).
    """
    centred = vectors.astype(np.float64) - vectors.mean(axis=0)
    left, size, _ = np.linalg.svd(centred, full_matrices=False)
    kept = min(dims, vectors.shape[1], len(vectors))
    rows = left[:, :kept] * size[:kept]
    return np.asarray(rows / max(float(np.sqrt((rows**2).sum(1).mean())), 1e-12))


class Ridge:
    """Bayesian linear regression: A = lam I + sum z z', b = sum c z, theta ~ N(A^-1 b, s^2 A^-1).

    The ridge form of LinUCB (Li et al., WWW 2010; reconstructed) with one model for all items.

    Args:
        dims: Features Z.
        lam: Prior precision, above 0.
    """

    def __init__(self, dims: int, lam: float = 1.0) -> None:
        self.precision = lam * np.eye(dims)
        self.moment = np.zeros(dims)

    def add(self, features: NDArray[np.float64], clicks: NDArray[np.float64]) -> None:
        """Learn from features (n, Z) and clicks (n,)."""
        self.precision += features.T @ features
        self.moment += clicks @ features

    def posterior(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the mean (Z,) and A^-1 (Z, Z)."""
        cover = np.asarray(np.linalg.inv(self.precision), dtype=np.float64)
        return cover @ self.moment, cover


class LinearBandit(ABC):
    """Features of (state, item): the item's axes, these times the user's taste, and a constant.

    The taste is the mean vector of what the user liked minus that of what they did not, so a
    linear model can say both what everybody likes and what suits this user.

    Args:
        env: Users.
        vectors: (I, D) item table.
        luck: Seed.
        dims: Principal axes of the items that are used.
    """

    num_timesteps = 0  # of earlier calls of `learn`: a bandit always starts anew

    def __init__(
        self, env: VecEnv, vectors: NDArray[np.float32], *, luck: int, dims: int = 12
    ) -> None:
        self.env = env
        self.items = principal(vectors, dims)
        self.rng = np.random.default_rng(luck)
        self.ridge = Ridge(1 + 2 * self.items.shape[1])
        self.slate_size = len(getattr(env.action_space, "nvec", (1,)))
        self._last_obs: Any = None

    def taste(self, obs: Observations) -> NDArray[np.float64]:
        """Return (B, d) liked mean minus disliked mean."""
        history, liked = obs["history"], obs["feedback"] > 0
        real = history >= 0
        rows = self.items[np.maximum(history, 0)]
        parts = []
        for mask in (real & liked, real & ~liked):
            total = np.einsum("bl,bld->bd", mask.astype(np.float64), rows)
            parts.append(total / np.maximum(mask.sum(1, keepdims=True), 1))
        return np.asarray(parts[0] - parts[1])

    def features(self, taste: NDArray[np.float64], items: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return (n, Z) features of tastes (n, d) with items (n,)."""
        x = self.items[items]
        return np.hstack([np.ones((len(items), 1)), x, x * taste])

    def mean_scores(
        self, taste: NDArray[np.float64], theta: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return z'theta for every item, (B, I)."""
        d = self.items.shape[1]
        weights = theta[1 : 1 + d] + theta[1 + d :] * taste  # (B, d)
        return np.asarray(theta[0] + weights @ self.items.T)

    @abstractmethod
    def scores(self, taste: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return (B, I) the optimistic or sampled value of every item."""

    def predict(
        self,
        observation: Observations,
        state: Any = None,
        episode_start: Any = None,
        deterministic: bool = False,
    ) -> tuple[NDArray[np.int64], Any]:
        """Return the k best unseen items."""
        scores = self.scores(self.taste(observation))
        scores = np.where(unseen(observation, len(self.items)), scores, -np.inf)
        best = np.argsort(-scores, axis=1, kind="stable")[:, : self.slate_size]
        return (best[:, 0] if self.slate_size == 1 else best), state

    def learn(self, env_steps: int, **unused: Any) -> None:
        """Serve users for `env_steps` steps, learning after each vector step.

        What else SB3's learners take is accepted and not used: there is nothing to log.
        """
        obs: Any = self.env.reset()
        made = 0
        while made < env_steps:
            taste = self.taste(obs)
            actions, _ = self.predict(obs)
            obs, _, done, infos = self.env.step(actions)
            shown = actions.reshape(len(actions), -1)
            clicked = obs["feedback"][:, -self.slate_size :].astype(np.float64)
            for row in np.flatnonzero(done):
                last = infos[row]["terminal_observation"]["feedback"]
                clicked[row] = last[-self.slate_size :]
            repeated = np.repeat(taste, self.slate_size, axis=0)
            self.ridge.add(self.features(repeated, shown.ravel()), clicked.ravel())
            made += len(actions)
        self._last_obs = obs


class LinUCB(LinearBandit):
    """Show the item whose upper confidence bound z'theta + width sqrt(z' A^-1 z) is highest."""

    width: float = 0.3

    def scores(self, taste: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the upper bounds (B, I)."""
        theta, cover = self.ridge.posterior()
        spread = np.empty((len(taste), len(self.items)))
        everything = np.arange(len(self.items))
        for row, of_user in enumerate(taste):
            z = self.features(np.broadcast_to(of_user, self.items.shape), everything)
            spread[row] = np.einsum("iz,iz->i", z @ cover, z)
        return self.mean_scores(taste, theta) + self.width * np.sqrt(spread)


class LinTS(LinearBandit):
    """Show the best item under one draw of theta from its posterior, a draw for each user."""

    spread: float = 0.3

    def scores(self, taste: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return sampled values (B, I)."""
        theta, cover = self.ridge.posterior()
        luck = self.rng.standard_normal((len(taste), len(theta)))
        draws = theta + self.spread * luck @ np.linalg.cholesky(cover).T
        return np.concatenate(
            [self.mean_scores(one[None], draw) for one, draw in zip(taste, draws, strict=True)]
        )


@strategy(
    "linucb", source="Li et al., WWW 2010; shared ridge model, reconstructed", pretrained=False
)
def linucb(pretrained: ItemPolicy, online: Online) -> Deployment:
    """Linear bandit on item features that shows the highest upper confidence bound."""
    vectors = online.spec.policy["item_vectors"]
    return Deployment(LinUCB(online.env, vectors, luck=online.luck), learns=True)


@strategy(
    "lints",
    source="linear Thompson sampling: Agrawal and Goyal, ICML 2013; reconstructed",
    pretrained=False,
)
def lints(pretrained: ItemPolicy, online: Online) -> Deployment:
    """Linear bandit on item features that acts on one draw of its weights for each user."""
    vectors = online.spec.policy["item_vectors"]
    return Deployment(LinTS(online.env, vectors, luck=online.luck), learns=True)
