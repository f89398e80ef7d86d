"""A world: a population, its topics and start histories, who arrives, and the rules."""

from dataclasses import asdict, dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simrec.datasets.dataset import Dataset
from simrec.envs.creators import Creators
from simrec.envs.fit import fit_population
from simrec.envs.fitting import Fitted
from simrec.envs.friends import Friends, friend_graph
from simrec.envs.implicit import fit_clicks
from simrec.envs.realism import FitReport
from simrec.envs.retention import Retention
from simrec.envs.rules import Rules as Rules
from simrec.envs.saved import ARRAYS, read_world, save_world
from simrec.envs.schedule import Schedule
from simrec.envs.topics import attribute_topics, cluster_topics
from simrec.envs.users import UserModel, has_plain_factors
from simrec.errors import SimrecError, nearest
from simrec.files import fingerprint
from simrec.interactions import IMPLICIT, InteractionLog, Part, Split, start_histories
from simrec.items.table import ItemTable
from simrec.randomness import generator


@dataclass(frozen=True)
class World:
    """Everything the dynamics need; the population in it is the truth, which no agent may read.

    Raises:
        SimrecError: The shapes do not agree, or a row number is out of range.
    """

    name: str
    users: UserModel
    topics: NDArray[np.float32]  # (I, G) rows of length 1, or 0 for an item without topics
    start_items: NDArray[np.int64]  # (U, H) oldest first, -1 = empty, padded on the left
    start_feedback: NDArray[np.float32]  # (U, H) 1 liked, 0 not or empty
    arrivals: NDArray[np.int64]  # (n,) user rows that may arrive, all equally often
    rules: Rules = field(default_factory=Rules)
    schedule: Schedule = field(default_factory=Schedule)  # what changes on a date
    retention: Retention | None = None  # when users come back; None = a new user each time
    creators: Creators | None = None  # who answer to exposure
    friends: Friends | None = None  # who influence each other

    def __post_init__(self) -> None:
        """Check that the parts agree."""
        n_users, n_items = self.users.n_users, self.users.n_items
        wanted = {
            "topics": (n_items, *self.topics.shape[1:2]),
            "start_items": (n_users, *self.start_items.shape[1:2]),
            "start_feedback": self.start_items.shape,
            "arrivals": (len(self.arrivals),),
        }
        for name, shape in wanted.items():
            if getattr(self, name).shape != shape:
                raise SimrecError(
                    f"world '{self.name}' has {name} of shape {getattr(self, name).shape}; "
                    f"expected {shape} to agree with {n_users} users and {n_items} items"
                )
        for name, low, end in (("arrivals", 0, n_users), ("start_items", -1, n_items)):
            values = getattr(self, name)
            if values.size and (values.min() < low or values.max() >= end):
                raise SimrecError(
                    f"world '{self.name}' has {name} from {values.min()} to {values.max()}; "
                    f"expected row numbers from {low} to {end - 1}"
                )
        self.schedule.check(n_items, self.topics.shape[1])
        if self.creators is not None and self.creators.owner.shape != (n_items,):
            raise SimrecError(
                f"world '{self.name}' has creators of {self.creators.owner.shape} items; expected "
                f"({n_items},), one an item"
            )
        if self.friends is not None:
            if not has_plain_factors(self.users):
                raise SimrecError(
                    f"world '{self.name}' has friends, but {type(self.users).__name__} have no "
                    "taste vectors; expected FactorUsers"
                )
            friend_graph(self.friends.pairs, n_users)
        if not len(self.arrivals):
            raise SimrecError(
                f"world '{self.name}' has no arrivals; expected at least one user row"
            )

    @property
    def n_items(self) -> int:
        """The number of items I."""
        return self.users.n_items

    @property
    def n_users(self) -> int:
        """The number of users U."""
        return self.users.n_users

    @cached_property
    def fingerprint(self) -> str:
        """Sixteen hex digits over population, topics, histories, arrivals and rules.

        A user model without a `fingerprint` of its own counts with the name of its class only.
        """
        own = getattr(self.users, "fingerprint", type(self.users).__name__)
        arrays = [getattr(self, name) for name in ARRAYS]
        parts = [self.name, str(own), *arrays, self.rules.described()]
        if self.schedule:
            parts.append(self.schedule.described())
        if self.retention is not None:
            parts.append(asdict(self.retention))
        for process in (self.creators, self.friends):
            if process is not None:
                parts.append({type(process).__name__: process.described()})
        return fingerprint(*parts)

    def changed(
        self,
        schedule: Schedule | None = None,
        retention: Retention | None = None,
        creators: Creators | None = None,
        friends: Friends | None = None,
        **rules: Any,
    ) -> "World":
        """Return the same world with other rules, a schedule, users who come back, and so on.

        Args:
            schedule: What changes on a date; None keeps what there is.
            retention: When users come back; None keeps what there is.
            creators: Who answer to exposure; None keeps what there is.
            friends: Who influence each other; None keeps what there is.
            **rules: Fields of Rules.

        Raises:
            SimrecError: Rules has no such field, or its value is out of range.
        """
        known = [part.name for part in fields(Rules)]
        for name in rules:
            if name not in known:
                raise SimrecError(f"rules have no '{name}'; {nearest(name, known)}")
        return replace(
            self,
            rules=replace(self.rules, **rules),
            schedule=self.schedule if schedule is None else schedule,
            retention=self.retention if retention is None else retention,
            creators=self.creators if creators is None else creators,
            friends=self.friends if friends is None else friends,
        )

    def save(self, folder: Path) -> None:
        """Write the world as a folder of one .npz and one .json file, whole or not at all.

        Raises:
            SimrecError: The population is of a kind that cannot be saved.
        """
        save_world(self, folder)

    @classmethod
    def load(cls, folder: Path) -> "World":
        """Read a world written by `save`; raise SimrecError when the folder cannot be read."""
        return read_world(folder)


def build_world(
    dataset: Dataset,
    split: Split,
    table: ItemTable,
    *,
    topics_attribute: str | None,
    like_at: float,
    history: int,
    rules: Rules,
    seed: int,
    propensity: NDArray[np.float64] | None = None,
    **fit: Any,
) -> tuple[World, FitReport]:
    """Turn a data set into a world whose arriving users are the online users of the split.

    Args:
        dataset: Catalogue and log.
        split: Who may see which event; the users are fitted on Part.TRUTH, judged on Part.REALISM
            and start with the end of Part.AGENT.
        table: The catalogue's item table; its vectors are what cold items rest on.
        topics_attribute: Attribute whose values bore; None takes clusters of the item vectors.
        like_at: Feedback of at least this much counts as a like.
        history: Items known of a user before the first recommendation, H.
        rules: How a session runs.
        seed: Of the fit and the clusters.
        propensity: (n,) the chance that each event of the log was seen, for a fit to ratings that
            undoes self-selection; None takes the log as it is.
        **fit: Further arguments of `fit_population` (ratings) or `fit_clicks` (implicit logs), such
            as rank or interaction_scale.

    Returns:
        The world, and how well its users agree with the real ones.

    Raises:
        SimrecError: An unknown attribute, or a log that users cannot be fitted to.
    """
    fitted = fit_users(
        dataset.log, split, table.fused, like_at=like_at, seed=seed, propensity=propensity, **fit
    )
    world = assemble(
        dataset,
        split,
        table,
        fitted.users,
        topics_attribute=topics_attribute,
        like_at=like_at,
        history=history,
        rules=rules,
        seed=seed,
    )
    return world, fitted.report


def fit_users(
    log: InteractionLog,
    split: Split,
    vectors: NDArray[np.float32],
    *,
    propensity: NDArray[np.float64] | None = None,
    **fit: Any,
) -> Fitted:
    """Fit factor users to ratings or, where the log tells only what users did, to that.

    Args:
        log: The whole log.
        split: Fitted on Part.TRUTH, judged on Part.REALISM.
        vectors: (I, D) of all items.
        propensity: (n,) the chance that each event was seen; read where there are ratings.
        **fit: Further arguments of `fit_population` or `fit_clicks`.
    """
    truth, judging = (np.flatnonzero(split.part == part) for part in (Part.TRUTH, Part.REALISM))
    if log.unit in IMPLICIT:
        return fit_clicks(log, truth, judging, vectors, **fit)
    return fit_population(log, truth, judging, vectors, propensity=propensity, **fit)


def assemble(
    dataset: Dataset,
    split: Split,
    table: ItemTable,
    users: UserModel,
    *,
    topics_attribute: str | None,
    like_at: float,
    history: int,
    rules: Rules,
    seed: int,
) -> World:
    """Put users and what belongs to them together; the arguments are those of `build_world`."""
    if topics_attribute is None:
        topics = cluster_topics(table.fused, generator(seed, "topics"))
    else:
        topics = attribute_topics(dataset.catalogue.attribute(topics_attribute))
    items, liked = start_histories(dataset.log, split, length=history, like_at=like_at)
    arrivals = np.flatnonzero(split.online).astype(np.int64)
    return World(dataset.catalogue.name, users, topics, items, liked, arrivals, rules)
