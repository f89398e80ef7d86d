"""Other ways to act on the same users: with vectors instead of item numbers."""

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from simrec.envs.sessions import Observation
from simrec.envs.single import RecommendEnv
from simrec.errors import SimrecError


def nearest_items(
    proto: NDArray[np.float64], vectors: NDArray[np.float32], allowed: NDArray[np.bool_]
) -> NDArray[np.int64]:
    """Return the items whose vectors have the largest inner products with proto-items.

    The mapping of Dulac-Arnold et al. (2015; reconstructed) with inner products for distances.
    Each item is taken once, by the first proto-item that wants it.

    Args:
        proto: (k, D) proto-items, in slate order.
        vectors: (I, D) item vectors that the agent may see.
        allowed: (I,) True where the item may be taken; all False counts as all True.

    Returns:
        (k,) item rows.
    """
    free = allowed.copy() if allowed.any() else np.ones_like(allowed)
    slate = np.zeros(len(proto), dtype=np.int64)
    for place, scores in enumerate(proto @ vectors.T.astype(np.float64)):
        if not free.any():
            free[:] = True
            free[slate[:place]] = False
        slate[place] = np.where(free, scores, -np.inf).argmax()
        free[slate[place]] = False
    return slate


class ProtoItemAction(
    gymnasium.ActionWrapper[Observation, NDArray[np.float32], Any],
    gymnasium.utils.RecordConstructorArgs,
):
    """Actions are k vectors in the space of the item table; each shows the nearest item unseen.

    Action: `Box(-bound, bound, (k * D,))`, k proto-items one after the other. The info and reward
    are those of the environment inside; what was shown is in the next observation.

    Args:
        env: A RecommendEnv, wrapped or not, that has an item table.
        bound: Largest size of a component.

    Raises:
        SimrecError: The environment has no table, or one for another catalogue.
    """

    def __init__(self, env: gymnasium.Env[Any, Any], *, bound: float = 1.0) -> None:
        gymnasium.utils.RecordConstructorArgs.__init__(self, bound=bound)
        gymnasium.ActionWrapper.__init__(self, env)
        inner = env.unwrapped
        if not isinstance(inner, RecommendEnv) or inner.table is None:
            raise SimrecError(
                "ProtoItemAction needs a RecommendEnv with an item table; make it by "
                "gymnasium.make, or pass table=..."
            )
        if len(inner.table) != inner.world.n_items:
            raise SimrecError(
                f"the item table has {len(inner.table)} items; expected {inner.world.n_items}, as "
                "the world has"
            )
        self._inner = inner
        self._vectors = inner.table.fused
        size = inner.slate_size * self._vectors.shape[1]
        self.action_space = spaces.Box(-bound, bound, (size,), np.float32)

    def action(self, action: NDArray[np.float32]) -> Any:
        """Return the item row (k = 1) or rows (k,) that an action means now."""
        k = self._inner.slate_size
        proto = np.asarray(action, dtype=np.float64).reshape(k, -1)
        allowed = self._inner.action_masks()[: self._inner.world.n_items]
        slate = nearest_items(proto, self._vectors, allowed)
        return slate if k > 1 else int(slate[0])
