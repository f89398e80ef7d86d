"""From a specification to a world: read the data, fit the users, keep the result on disk."""

import importlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simrec import __version__
from simrec.datasets.columns import event_columns, split_dataset
from simrec.datasets.dataset import Dataset
from simrec.envs.propensity import popularity_propensity
from simrec.envs.realism import FitReport
from simrec.envs.world import SCHEMA, Rules, World, build_world
from simrec.errors import SimrecError
from simrec.files import atomic_folder, fingerprint, write_json
from simrec.interactions import Part, Split
from simrec.items.build import build_item_table
from simrec.items.table import ItemTable

FETCHED = "ml-100k"  # MovieLens 100K under the name that fetching gives it
IMPORTS = {  # names that the registered worlds expect in the library
    "movielens": "MovieLens 100K",
    "coat": "Coat, Schnabel et al. 2016",
    "lastfm": "HetRec 2011 Last.fm 2K",
    "industry": "Amazon Industrial and Scientific 2018",
    "microlens": "MicroLens-50k",
}


@dataclass(frozen=True)
class WorldSpec:
    """All that fixes a world: its data, its population and its rules."""

    dataset: str  # "toy", a name in the library, or "module:function" returning a Dataset
    seed: int = 0  # of the generated data, the split, the item table and the fit
    topics_attribute: str | None = None  # attribute whose values bore; None = clusters of items
    like_at: float = 4.0  # feedback of at least this much is a like
    history: int = 10  # H, items known of a user before the first recommendation
    min_item_events: int = 1  # items with fewer events are left out
    min_user_events: int = 2  # users with fewer events are left out
    text: str = "hashed"  # text encoder of the item table
    rank: int = 12  # length of the users' taste vectors
    shrinkage: float | None = None  # ridge penalty of those; None = the fit's own
    user_scale: float = 1.0  # 1 = calibrated, as for the next three
    item_scale: float = 1.0
    interaction_scale: float = 1.0
    intercept_shift: float = 0.0  # 0 = calibrated
    horizon: int = 20  # see Rules for these four
    patience: int = 4
    boredom: float = 0.6
    window: int = 5
    debias: bool = False  # weight ratings by the inverse of the chance that they were given

    @property
    def rules(self) -> Rules:
        """How a session runs."""
        return Rules(self.horizon, self.patience, self.boredom, self.window)


@dataclass(frozen=True)
class Loaded:
    """A world with what belongs to it."""

    world: World
    table: ItemTable
    titles: tuple[str, ...]  # (I,)
    fit: Mapping[str, Any]  # FitReport.as_dict()


@dataclass(frozen=True)
class Source:
    """The data of a world, filtered and split."""

    dataset: Dataset
    split: Split
    propensity: NDArray[np.float64] | None  # (n,) the chance that each event was seen, if known
    asked: NDArray[np.bool_] | None  # (n,) events that the log sets apart for judging, if any


def load_source(name: str, seed: int) -> Dataset:
    """Return the data set a specification names.

    Args:
        name: "toy", a name in the library, or "module:function".
        seed: Of the toy's generator.

    Raises:
        SimrecError: There is no such data set.
    """
    if name == "toy":
        from simrec.datasets.toy import make_toy

        return make_toy(seed=seed)
    if ":" in name:
        return _call(name)
    from simrec.datasets.library import load_dataset

    found = library_name(name)
    if found is None and name in IMPORTS:
        raise SimrecError(
            f"the data set '{name}' ({IMPORTS[name]}) is not in the library; run "
            + ("`simrec data fetch ml-100k` or " if name == "movielens" else "")
            + f"`simrec data import --format tidy PATH --name {name}` with your copy of it"
        )
    return load_dataset(found or name)


def library_name(name: str) -> str | None:
    """Return the library's name of a specification's data set, or None where it is absent.

    A data set of "module:function" is taken to be there and keeps its name.
    """
    from simrec.datasets.library import list_datasets

    known = list_datasets()
    if ":" in name or name in known:
        return name
    return FETCHED if name == "movielens" and FETCHED in known else None


def _call(name: str) -> Dataset:
    """Return what "module:function" returns."""
    module, _, function = name.partition(":")
    try:
        load: Callable[[], Dataset] = getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError) as error:
        raise SimrecError(
            f"cannot import the data set '{name}' ({error}); expected 'module:function', with the "
            "module on the Python path"
        ) from error
    dataset = load()
    if not isinstance(dataset, Dataset):
        raise SimrecError(f"'{name}' returned a {type(dataset).__name__}; expected a Dataset")
    return dataset


def load_parts(spec: WorldSpec) -> Source:
    """Return the data of a specification, filtered and split, with propensities if asked for.

    Where `debias` is set and the log has no propensities, they are estimated from how active users
    and how popular items are in the events that may be fitted on.
    """
    dataset = load_source(spec.dataset, spec.seed)
    if spec.min_item_events > 1 or spec.min_user_events > 1:
        dataset = dataset.filtered(
            min_item_events=spec.min_item_events, min_user_events=spec.min_user_events
        )
    split = split_dataset(dataset, seed=spec.seed, history=spec.history)
    columns = event_columns(dataset)
    chances = _propensity(dataset, split, columns.propensity) if spec.debias else None
    return Source(dataset, split, chances, columns.judging)


def _propensity(
    dataset: Dataset, split: Split, known: NDArray[np.float64] | None
) -> NDArray[np.float64]:
    if known is not None:
        return known
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


def make_table(spec: WorldSpec, source: Source) -> ItemTable:
    """Return the item table of a specification; of the log it sees the agent's part only."""
    visible = source.dataset.log.item[source.split.part == Part.AGENT]
    popularity = np.bincount(visible, minlength=source.dataset.log.n_items)
    return build_item_table(source.dataset.catalogue, popularity, text=spec.text, seed=spec.seed)


def fit_world(spec: WorldSpec, source: Source, table: ItemTable) -> tuple[World, FitReport]:
    """Return the world of a specification, fitted now, and how its users agree with real ones."""
    fit = {} if spec.shrinkage is None else {"shrinkage": spec.shrinkage}
    return build_world(
        source.dataset,
        source.split,
        table,
        topics_attribute=spec.topics_attribute,
        like_at=spec.like_at,
        history=spec.history,
        rules=spec.rules,
        seed=spec.seed,
        propensity=source.propensity,
        rank=spec.rank,
        user_scale=spec.user_scale,
        item_scale=spec.item_scale,
        interaction_scale=spec.interaction_scale,
        intercept_shift=spec.intercept_shift,
        **fit,
    )


def world_folder(spec: WorldSpec, source: Source, data_home: Path) -> Path:
    """Return where the fitted world lies; its name is the key over everything it is made from."""
    key = fingerprint(
        source.dataset.fingerprint,
        source.split.part,
        source.propensity,
        asdict(spec),
        __version__,
        str(SCHEMA),
    )
    return data_home / "worlds" / key


@lru_cache(maxsize=8)
def load(spec: WorldSpec, data_home: Path) -> Loaded:
    """Return the world of a specification; `data_home` is part of the cache's key."""
    source = load_parts(spec)
    titles = source.dataset.catalogue.titles
    folder = world_folder(spec, source, data_home)
    if folder.is_dir():
        table = ItemTable.load(folder / "items.safetensors")
        fit = json.loads((folder / "fit.json").read_text(encoding="utf-8"))
        return Loaded(World.load(folder / "world"), table, titles, fit)
    table = make_table(spec, source)
    world, report = fit_world(spec, source, table)
    with atomic_folder(folder) as temporary:
        world.save(temporary / "world")
        table.save(temporary / "items.safetensors")
        write_json(temporary / "fit.json", report.as_dict())
    return Loaded(world, table, titles, report.as_dict())
