"""From a specification, data and an item table to a world: for `gymnasium.make` and for studies."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simrec.datasets.columns import friend_pairs
from simrec.datasets.dataset import Dataset
from simrec.envs.fitting import Fitted
from simrec.envs.friends import Friends, under_influence
from simrec.envs.llm_user import TOP, LLMUser
from simrec.envs.modality_users import fit_modality_users
from simrec.envs.planned import make_schedule
from simrec.envs.realism import FitReport, Score, area_under_curve, calibration_error
from simrec.envs.spec import SCALES, WorldSpec
from simrec.envs.told_users import ToldUsers, told
from simrec.envs.world import World, assemble, fit_users
from simrec.errors import SimrecError
from simrec.interactions import Part, Split, start_histories
from simrec.items.build import build_item_table
from simrec.items.table import ItemTable
from simrec.llm.cache import answers_path
from simrec.llm.kept import KeptModel

Say = Callable[[str], None]
ANSWERS = tuple(str(n) for n in range(TOP + 1))


@dataclass(frozen=True)
class Source:
    """The data of a world, filtered and split."""

    dataset: Dataset
    split: Split
    propensity: NDArray[np.float64] | None  # (n,) the chance that each event was seen, if wanted
    asked: NDArray[np.bool_] | None  # (n,) events that the log sets apart for judging, if any


def fit_world(
    spec: WorldSpec, source: Source, table: ItemTable, say: Say = lambda line: None
) -> tuple[World, FitReport]:
    """Return the world of a specification, made now, and how its users agree with real ones.

    Args:
        spec: The users and how they behave; its data and item settings were read for the rest.
        source: The data.
        table: The agent's item table, on which cold items and topics without an attribute rest.
            Users who weigh modalities judge the true item instead, from a table of their own.
        say: Told how far the asking of a language model is.

    Raises:
        SimrecError: The users cannot be fitted or asked, or the behaviour does not suit them.
    """
    dataset, split = source.dataset, source.split
    if spec.users == "llm":
        split = _few(split, spec)
        fitted_users, report = _told(spec, replace(source, split=split), table, say)
        users: Any = fitted_users
    else:
        fitted = _fitted(spec, source, table)
        users, report = _with_friends(spec, fitted, dataset), fitted.report
    world = assemble(
        dataset,
        split,
        table,
        users,
        topics_attribute=spec.topics_attribute,
        like_at=spec.like_at,
        history=spec.history,
        rules=spec.rules,
        seed=spec.seed,
    )
    if isinstance(users, ToldUsers):
        world = replace(world, name=f"{world.name} ({users.label})")
    return behaving(spec, world, dataset), report


def behaving(spec: WorldSpec, world: World, dataset: Dataset) -> World:
    """Return a world with all of a specification that is no part of its population.

    Args:
        spec: How users behave: rules, retention, what is scheduled, creators, friends.
        world: Who they are.
        dataset: Names the topics, the makers of the items and the friends.

    Raises:
        SimrecError: The data has no such topic, attribute or friends.
    """
    catalogue = dataset.catalogue
    names: tuple[str, ...] = ()
    if spec.topics_attribute is not None:
        names = tuple(catalogue.attribute(spec.topics_attribute).vocabulary)
    schedule = make_schedule(
        spec.shifts, spec.churn, topics=names, n_items=world.n_items, seed=spec.seed
    )
    friends = None
    if spec.influence:
        friends = Friends(_friends(dataset, "influence", spec.influence), spec.influence)
    return replace(
        world,
        rules=spec.rules,
        retention=spec.retention,
        schedule=schedule,
        creators=None if spec.creators is None else spec.creators.creators(catalogue, spec.seed),
        friends=friends,
    )


def true_table(spec: WorldSpec, dataset: Dataset) -> ItemTable:
    """Return every modality of the true items; no agent is given this table.

    Nothing of it is hidden, completed or learnt, whatever the agent's own table is like.
    """
    nothing = np.zeros(len(dataset.catalogue), dtype=np.int64)
    return build_item_table(dataset.catalogue, nothing, text=spec.text, seed=spec.seed)


def fit_settings(spec: WorldSpec) -> dict[str, Any]:
    """Return the arguments of the fit of a specification's users, without the scales."""
    settings: dict[str, Any] = {"like_at": spec.like_at, "seed": spec.seed}
    if spec.users == "factor":
        settings["rank"] = spec.rank
    if spec.shrinkage is not None:
        settings["shrinkage"] = spec.shrinkage
    return settings


def _fitted(spec: WorldSpec, source: Source, table: ItemTable) -> Fitted:
    settings = fit_settings(spec) | {name: getattr(spec, name) for name in SCALES}
    settings["propensity"] = source.propensity
    log, part = source.dataset.log, source.split.part
    if spec.users == "factor":
        return fit_users(log, source.split, table.fused, **settings)
    return fit_modality_users(
        log,
        np.flatnonzero(part == Part.TRUTH),
        np.flatnonzero(part == Part.REALISM),
        true_table(spec, source.dataset).parts,
        **settings,
    )


def _with_friends(spec: WorldSpec, fitted: Fitted, dataset: Dataset) -> Any:
    if not spec.friends:
        return fitted.users
    return under_influence(fitted.users, _friends(dataset, "friends", spec.friends), spec.friends)


def _friends(dataset: Dataset, key: str, pull: float) -> NDArray[np.int64]:
    """Return the friendships (n, 2) that a key of the specification reads."""
    pairs = friend_pairs(dataset)
    if not len(pairs):
        raise SimrecError(
            f"{key} is {pull}, but the data set '{dataset.catalogue.name}' names no friends; "
            f"expected a column 'friends' in users.parquet, or {key} 0"
        )
    return pairs


def _few(split: Split, spec: WorldSpec) -> Split:
    """Return the split with only the first `people` of the online users online."""
    online = np.zeros_like(split.online)
    online[np.flatnonzero(split.online)[: spec.people]] = True
    return replace(split, online=online)


def _told(
    spec: WorldSpec, source: Source, table: ItemTable, say: Say
) -> tuple[ToldUsers, FitReport]:
    """Ask a language model as each user who arrives, and judge it where people judged."""
    log, split = source.dataset.log, source.split
    items, liked = start_histories(log, split, length=spec.history, like_at=spec.like_at)
    model = KeptModel(spec.user_model, dict(spec.user_options), answers_path(), choices=ANSWERS)
    asked = LLMUser(
        model.complete,
        model=spec.user_model,
        catalogue=source.dataset.catalogue,
        history=items,
        liked=liked,
        batch=512,
    )
    users = told(asked, np.flatnonzero(split.online), say)
    unseen = ~users.known[log.user] & (split.part == Part.REALISM)
    known = replace(split, part=np.where(unseen, Part.AGENT, split.part).astype(np.int8))
    people = fit_users(log, known, table.fused, like_at=spec.like_at, seed=spec.seed)
    judging = people.judging
    chance = users.affinity(users.begin(judging.user), judging.item[:, None])[:, 0]
    score = Score(
        rmse=float("nan"),
        auc=area_under_curve(chance, judging.clicked),
        calibration_error=calibration_error(chance, judging.clicked),
    )
    return users, replace(people.report, model=score)
