"""A planted world of items whose modalities carry known shares of what users like."""

import numpy as np

from simrec.interactions import InteractionLog
from simrec.items.ranking import ranks


def planted(
    n_users: int = 500,
    n_items: int = 200,
    events: int = 10,
    *,
    text_share: float = 0.7,
    seed: int = 0,
    correlated: bool = False,
) -> tuple[dict[str, np.ndarray], np.ndarray, InteractionLog]:
    """Items with a latent taste in text and one in image; users choose by both.

    Returns:
        Standardised states (I, 2, 12) and (I, 1, 8), present (I, 2) all True, and the log.
    """
    rng = np.random.default_rng(seed)
    text = rng.normal(size=(n_items, 3))
    image = text + 0.2 * rng.normal(size=text.shape) if correlated else rng.normal(size=text.shape)
    taste = rng.normal(size=(n_users, 2, 3))
    weight = np.sqrt([text_share, 1 - text_share])
    utility = 2.5 * (weight[0] * taste[:, 0] @ text.T + weight[1] * taste[:, 1] @ image.T)
    gumbel = rng.gumbel(size=utility.shape)
    order = np.argsort(-(utility + gumbel), axis=1)[:, :events]
    order = rng.permuted(order, axis=1)
    states = {}
    for name, latent, layers, width in (("text", text, 2, 12), ("image", image, 1, 8)):
        maps = rng.normal(size=(layers, 3, width))
        values = np.einsum("id,kdw->ikw", latent, maps)
        values = values + 0.1 * rng.normal(size=values.shape)
        values = (values - values.mean(0)) / values.std(0)
        states[name] = values.astype(np.float32)
    user = np.repeat(np.arange(n_users), events)
    log = InteractionLog(
        user.astype(np.int32),
        order.ravel().astype(np.int32),
        np.ones(order.size, dtype=np.float32),
        np.tile(np.arange(events), n_users).astype(np.int64),
        "implicit",
        tuple(str(u) for u in range(n_users)),
        n_items,
    )
    return states, np.ones((n_items, 2), dtype=bool), log


def popularity_places(counts: np.ndarray, history: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Places of targets when items are ranked by how often they were seen."""
    scores = np.repeat(counts[None].astype(np.float32), len(target), axis=0)
    return ranks(scores, target, history)
