"""The data of a world or a study, by whatever name it is called."""

import importlib
from collections.abc import Callable
from pathlib import Path

from simrec.datasets.dataset import Dataset
from simrec.datasets.library import list_datasets, load_dataset, open_dataset
from simrec.datasets.toy import make_toy
from simrec.errors import SimrecError

FETCHED = "ml-100k"  # MovieLens 100K under the name that fetching gives it
IMPORTS = {  # names that the registered worlds expect in the library
    "movielens": "MovieLens 100K",
    "coat": "Coat, Schnabel et al. 2016",
    "lastfm": "HetRec 2011 Last.fm 2K",
    "industry": "Amazon Industrial and Scientific 2018",
    "microlens": "MicroLens-50k",
}


def load_source(name: str, seed: int) -> Dataset:
    """Return the data set a specification names.

    Args:
        name: "toy", a name in the library, or "module:function".
        seed: Of the toy's generator.

    Raises:
        SimrecError: There is no such data set.
    """
    if name == "toy":
        return make_toy(seed=seed)
    if ":" in name:
        return _call(name)
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


def read_dataset(
    name: str | None, path: Path | None, *, seed: int, min_item_events: int, min_user_events: int
) -> Dataset:
    """Read the data of a specification or a study, without what is too rare.

    Args:
        name: "toy", a name in the library, or "module:function"; with `path`, the catalogue's name.
        path: A tidy folder to read where it lies; None reads by name.
        seed: Of the toy's generator.
        min_item_events: Items with fewer events are left out.
        min_user_events: Users with fewer events are left out.
    """
    if path is not None or name is None:
        dataset = open_dataset(name, path)
    else:
        dataset = load_source(name, seed)
    return dataset.filtered(min_item_events=min_item_events, min_user_events=min_user_events)
