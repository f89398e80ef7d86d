"""From a specification to a world: read the data, fit the users, keep the result on disk."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simrec import __version__
from simrec.catalogue import Catalogue
from simrec.datasets.columns import EventColumns, event_columns, split_dataset
from simrec.datasets.dataset import Dataset
from simrec.datasets.source import read_dataset
from simrec.envs.build import Source, behaving, fit_world
from simrec.envs.propensity import bayes_propensity, popularity_propensity
from simrec.envs.saved import SCHEMA
from simrec.envs.spec import BAYES, BEHAVIOUR
from simrec.envs.spec import WorldSpec as WorldSpec
from simrec.envs.world import World
from simrec.errors import SimrecError
from simrec.files import atomic_folder, fingerprint, write_json
from simrec.interactions import IMPLICIT, Part, Split
from simrec.items.build import build_item_table
from simrec.items.table import ItemTable
from simrec.randomness import generator

FEW = 0.05  # of the ratings not chosen by users, which tell the shares of each rating
NOBODY = -1  # in place of a Part: an event that is neither fitted to nor judged on
FITS = 3  # raise it when a fit's meaning changes, so that older worlds are not read back


@dataclass(frozen=True)
class Loaded:
    """A world with what belongs to it."""

    world: World
    table: ItemTable
    dataset: Dataset
    fit: Mapping[str, Any]  # FitReport.as_dict()

    @property
    def catalogue(self) -> Catalogue:
        """The items."""
        return self.dataset.catalogue

    @property
    def titles(self) -> tuple[str, ...]:
        """Titles of the items (I,)."""
        return self.catalogue.titles


def source_of(dataset: Dataset, split: Split, *, debias: bool | str, seed: int) -> Source:
    """Return a data set with its split and, if asked for, propensities.

    Args:
        dataset: The data.
        split: Who may see which event.
        debias: True takes the log's propensities or, where it has none, estimates them from how
            active users and how popular items are in the events that may be fitted on. BAYES
            estimates them from ratings, with the shares of a few ratings that users did not choose;
            these are then judged by nobody.
        seed: Draws those few.

    Raises:
        SimrecError: BAYES, and all ratings were chosen.
    """
    columns = event_columns(dataset)
    if debias == BAYES:
        return _bayes(dataset, split, columns.judging, seed)
    chances = _propensity(dataset, split, columns) if debias else None
    return Source(dataset, split, chances, columns.judging)


def _bayes(dataset: Dataset, split: Split, asked: NDArray[np.bool_] | None, seed: int) -> Source:
    log = dataset.log
    if asked is None or log.unit in IMPLICIT:
        raise SimrecError(
            f"debias is '{BAYES}', but all events of '{dataset.catalogue.name}' were chosen by its "
            "users; expected ratings whose column 'split' begins with 'test', or debias: true"
        )
    random = np.flatnonzero(asked)
    few = generator(seed, "propensity").permutation(random)[: round(FEW * len(random))]
    part = split.part.copy()
    part[few] = NOBODY
    truth = np.flatnonzero(split.part == Part.TRUTH)
    rating = log.feedback.astype(np.float64)
    chances = np.ones(len(log))
    chances[truth] = bayes_propensity(rating[truth], rating[few], n_pairs=log.n_users * log.n_items)
    return Source(dataset, replace(split, part=part), chances, asked)


def _propensity(dataset: Dataset, split: Split, known: EventColumns) -> NDArray[np.float64]:
    if known.propensity is not None:
        return known.propensity
    log = dataset.log
    truth = split.part == Part.TRUTH
    chances = np.ones(len(log))
    chances[truth] = popularity_propensity(
        log.user[truth].astype(np.int64),
        log.item[truth].astype(np.int64),
        n_users=log.n_users,
        n_items=log.n_items,
    )
    return chances


def load_parts(spec: WorldSpec) -> Source:
    """Return the data of a specification, filtered and split, with propensities if asked for."""
    dataset = read_dataset(
        spec.dataset,
        None,
        seed=spec.seed,
        min_item_events=spec.min_item_events,
        min_user_events=spec.min_user_events,
    )
    split = split_dataset(dataset, seed=spec.seed, history=spec.history)
    return source_of(dataset, split, debias=spec.debias, seed=spec.seed)


def make_table(spec: WorldSpec, source: Source) -> ItemTable:
    """Return the item table of a specification; of the log it sees the agent's part only."""
    visible = source.dataset.log.item[source.split.part == Part.AGENT]
    popularity = np.bincount(visible, minlength=source.dataset.log.n_items)
    return build_item_table(source.dataset.catalogue, popularity, text=spec.text, seed=spec.seed)


@lru_cache(maxsize=8)
def load(spec: WorldSpec, data_home: Path) -> Loaded:
    """Return the world of a specification; it is fitted once and kept under the data home.

    How users behave (the fields in BEHAVIOUR) is no part of what is kept, so that the same users
    are not fitted again for other rules.
    """
    plain: dict[str, Any] = {
        field.name: field.default for field in fields(spec) if field.name in BEHAVIOUR
    }
    fitted = _load(replace(spec, **plain), data_home)
    return replace(fitted, world=behaving(spec, fitted.world, fitted.dataset))


@lru_cache(maxsize=8)
def _load(spec: WorldSpec, data_home: Path) -> Loaded:
    """Return a fitted world from disk or fitted now; `data_home` is part of the cache's key."""
    source = load_parts(spec)
    folder = world_folder(spec, source, data_home)
    if folder.is_dir():
        table = ItemTable.load(folder / "items.safetensors")
        fit = json.loads((folder / "fit.json").read_text(encoding="utf-8"))
        return Loaded(World.load(folder / "world"), table, source.dataset, fit)
    table = make_table(spec, source)
    world, report = fit_world(spec, source, table)
    with atomic_folder(folder) as temporary:
        world.save(temporary / "world")
        table.save(temporary / "items.safetensors")
        write_json(temporary / "fit.json", report.as_dict())
    return Loaded(world, table, source.dataset, report.as_dict())


def world_folder(spec: WorldSpec, source: Source, data_home: Path) -> Path:
    """Return where the fitted world lies; its name is the key over everything it is made from."""
    settings = {k: v for k, v in asdict(spec).items() if k not in BEHAVIOUR}
    key = fingerprint(
        source.dataset.fingerprint,
        source.split.part,
        source.propensity,
        settings,
        __version__,
        f"{SCHEMA}.{FITS}",
    )
    return data_home / "worlds" / key
