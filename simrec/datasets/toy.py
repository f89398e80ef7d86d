"""The toy world: a generated catalogue of micro-videos and a log of ratings by generated users.

An item has a main topic, seen in its words, cover and sound, and a quality that none of them tells.
A user likes two or three topics, dislikes two and is lukewarm about the rest. The rating is a
threshold of

    utility[u, i] = bias[u] + mix[i] . affinity[u] + quality[i] + noise

in which the taste term varies about three times as much as quality, so that what a language model
can read matters most and what only feedback can teach still matters. Users come upon popular items
and items of their taste more often than others, as logs of real services have it.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simrec.catalogue import Attribute, Catalogue, Features
from simrec.datasets.dataset import Dataset
from simrec.datasets.toy_media import draw_cover, sound_features
from simrec.datasets.toy_text import TOPICS, write_text
from simrec.errors import SimrecError
from simrec.interactions import InteractionLog
from simrec.randomness import generator

NAME = "toy"
SEED = 0  # of the data set called "toy"
_QUALITY_SPREAD = 0.44
_NOISE = 0.6
_STEPS = (-0.9, -0.1, 0.7, 1.4)  # utilities at which a rating rises from 1 to 2, ..., 4 to 5
_EVENTS = (40, 60)  # least and most events of a user
_SILENT = 0.15  # share of items without sound features
_FIRST_SECOND = 1_700_000_000
_YEAR = 365 * 86_400


@dataclass(frozen=True)
class ToyTruth:
    """What the toy world knows of itself; for tests only, never part of a Dataset."""

    mix: NDArray[np.float64]  # (I, G) share of each topic in an item, rows sum to 1
    quality: NDArray[np.float64]  # (I,) mean 0
    affinity: NDArray[np.float64]  # (U, G) liking of each topic
    bias: NDArray[np.float64]  # (U,) generosity

    @property
    def utility(self) -> NDArray[np.float64]:
        """Expected utility (U, I), before noise."""
        return self.bias[:, None] + self.affinity @ self.mix.T + self.quality


def toy_truth(*, seed: int, n_items: int = 240, n_users: int = 600) -> ToyTruth:
    """Draw tastes, qualities and topic mixes.

    Args:
        seed: The whole world follows from it.
        n_items: Items I.
        n_users: Users U.

    Raises:
        SimrecError: Fewer items than topics, or fewer than two users.
    """
    topics = len(TOPICS)
    if n_items < topics or n_users < 2:
        raise SimrecError(
            f"the toy world got n_items={n_items} and n_users={n_users}; expected at least "
            f"{topics} items and 2 users; raise them"
        )
    rng = generator(seed, NAME, "truth")
    main = rng.permutation(np.arange(n_items) % topics)
    mix = np.zeros((n_items, topics))
    mix[np.arange(n_items), main] = 1.0
    mixed = np.flatnonzero(rng.random(n_items) < 0.3)
    second = (main[mixed] + rng.integers(1, topics, len(mixed))) % topics
    mix[mixed, main[mixed]] = 0.7
    mix[mixed, second] = 0.3
    affinity = rng.normal(-0.3, 0.2, (n_users, topics))
    order = rng.permuted(np.tile(np.arange(topics), (n_users, 1)), axis=1)
    liked = 2 + rng.integers(0, 2, n_users)
    rows = np.arange(n_users)
    for place in range(3):
        fans = rows[place < liked]
        affinity[fans, order[fans, place]] = rng.normal(1.4, 0.3, len(fans))
    for place in (3, 4):
        affinity[rows, order[:, place]] = rng.normal(-1.0, 0.3, n_users)
    quality = rng.normal(0.0, 1.0, n_items)
    quality = _QUALITY_SPREAD * (quality - quality.mean()) / quality.std()
    return ToyTruth(mix, quality, affinity, rng.normal(0.0, 0.3, n_users))


def make_toy(*, seed: int, n_items: int = 240, n_users: int = 600) -> Dataset:
    """Generate the toy data set.

    Args:
        seed: The same seed gives the same bytes.
        n_items: Items I.
        n_users: Users U.

    Returns:
        A catalogue with titles, descriptions, covers, sound features and the attribute "topic", and
        a log of 40 to 60 ratings a user (fewer where there are fewer items), ordered by user and
        time.

    Raises:
        SimrecError: Fewer items than topics, or fewer than two users.
    """
    truth = toy_truth(seed=seed, n_items=n_items, n_users=n_users)
    return Dataset(_catalogue(truth, seed), _log(truth, seed), None)


def _catalogue(truth: ToyTruth, seed: int) -> Catalogue:
    n_items, topics = len(truth.mix), len(TOPICS)
    main = truth.mix.argmax(axis=1)
    rest = truth.mix - np.eye(topics)[main]  # below zero at the main topic
    second = np.where(rest.max(axis=1) > 0, rest.argmax(axis=1), main)
    words = generator(seed, NAME, "text")
    texts = [write_text(int(f), int(s), words) for f, s in zip(main, second, strict=True)]
    ink = generator(seed, NAME, "covers")
    sound = generator(seed, NAME, "sound")
    heard: NDArray[np.bool_] = sound.random((n_items,)) >= _SILENT
    values = np.where(heard[:, None], sound_features(main, sound), 0).astype(np.float32)
    return Catalogue(
        name=NAME,
        item_ids=tuple(f"v{i:04d}" for i in range(n_items)),
        titles=tuple(title for title, _ in texts),
        texts=tuple(text for _, text in texts),
        images=tuple(draw_cover(int(topic), topics, ink) for topic in main),
        attributes={
            "topic": Attribute(
                tuple(topic.name for topic in TOPICS), np.eye(topics, dtype=np.bool_)[main]
            )
        },
        features={"sound": Features(values, heard)},
    )


def _log(truth: ToyTruth, seed: int) -> InteractionLog:
    rng = generator(seed, NAME, "log")
    utility = truth.utility
    n_users, n_items = utility.shape
    fame = 0.8 * truth.quality / _QUALITY_SPREAD + rng.normal(0.0, 0.6, n_items)
    pull = 0.6 * (utility - truth.quality) + 0.6 * fame
    # the n largest of pull + Gumbel noise are a draw of n without replacement from softmax(pull)
    order = np.argsort(-(pull + rng.gumbel(size=utility.shape)), axis=1)
    counts = np.minimum(rng.integers(_EVENTS[0], _EVENTS[1] + 1, n_users), n_items)
    user = np.repeat(np.arange(n_users), counts)
    first: NDArray[np.int64] = np.repeat(np.cumsum(counts) - counts, counts)
    # the draw's order would show the strongest pull first; time is another random order of it
    shuffle = np.lexsort((rng.random(len(user)), user))
    item = order[user, np.arange(len(user)) - first][shuffle]
    noisy = utility[user, item] + rng.normal(0.0, _NOISE, len(user))
    gaps = rng.exponential(8 * 3600.0, len(user))
    elapsed = np.cumsum(gaps)
    start = rng.integers(0, _YEAR, (n_users,))
    time = _FIRST_SECOND + start[user] + np.floor(elapsed - elapsed[first]).astype(np.int64)
    return InteractionLog(
        user=user.astype(np.int32),
        item=item.astype(np.int32),
        feedback=(1 + np.searchsorted(_STEPS, noisy)).astype(np.float32),
        time=time,
        unit="stars",
        user_ids=tuple(f"u{u:04d}" for u in range(n_users)),
        n_items=n_items,
    )
