"""The library: imported data sets, whole or absent, under the data home.

Each lies in `data/NAME` of the data home, in the tidy format, with a `dataset.json` that says where
it came from. "toy" is always there and never stored.
"""

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace as replaced
from functools import partial
from pathlib import Path
from typing import Any

from simrec.datasets.dataset import Dataset
from simrec.datasets.movielens import read_movielens
from simrec.datasets.table import TableRequest, read_own_tables
from simrec.datasets.tidy import read_tidy
from simrec.datasets.tidy_write import write_tidy
from simrec.datasets.toy import NAME as TOY
from simrec.datasets.toy import SEED as TOY_SEED
from simrec.datasets.toy import make_toy
from simrec.errors import SimrecError, nearest
from simrec.files import atomic_folder, home, write_json


def _layout(path: Path, *, name: str, layout: str) -> Dataset:
    from simrec.datasets.layouts import read_layout  # pandas, only where it is needed

    dataset = read_layout(layout, path)
    return replaced(dataset, catalogue=replaced(dataset.catalogue, name=name))


FORMATS: dict[str, Callable[..., Dataset]] = {
    "table": read_own_tables,
    "tidy": read_tidy,
    "movielens": read_movielens,
    **{n: partial(_layout, layout=n) for n in ("microlens", "ninerec", "pixelrec", "mmrec")},
}
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_INFO = "dataset.json"
_KEYS = (
    *("source", "format", "imported_at", "users", "items", "events", "unit", "timed"),
    *("descriptions", "images", "attributes", "features", "fingerprint"),
)


def import_dataset(
    format: str,
    path: Path,
    name: str,
    replace: bool = False,
    *,
    imported_at: str | None = None,
    source: str | None = None,
    request: TableRequest | None = None,
) -> Dataset:
    """Read a data set and keep a checked copy of it in the library.

    A tidy folder is copied table by table, with its further tables and its README; anything else is
    written in the tidy format. Nothing is left behind when something is wrong.

    Args:
        format: A name in FORMATS.
        path: The folder to read.
        name: What to call it: lower-case letters, digits, "-" and "_".
        replace: Put it in the place of a data set of the same name.
        imported_at: When, in ISO 8601; the caller's clock.
        source: Where it came from, if not from `path`.
        request: Columns and remedies of the format "table"; None for the others.

    Returns:
        The data set as `load_dataset` returns it.

    Raises:
        SimrecError: A name is not valid or taken, or the folder is not as its format says.
    """
    if format not in FORMATS:
        raise SimrecError(f"there is no data format '{format}'; {nearest(format, FORMATS)}")
    if request is not None and format != "table":
        raise SimrecError(
            f"--column and --drop-unknown are for --format table; the format here is '{format}', "
            "whose columns have fixed names; leave them out or say --format table"
        )
    target = check_new(name, replace=replace)
    how = {} if request is None else {"request": request}
    dataset = FORMATS[format](path, name=name, **how)
    with atomic_folder(target) as temporary:
        if format == "tidy":
            _copy_tidy(path, temporary)
        else:
            write_tidy(dataset, temporary)
        stored = read_tidy(temporary, name=name)
        info = {
            "source": source or str(path),
            "format": format,
            "imported_at": imported_at,
            **_counts(stored),
        }
        write_json(temporary / _INFO, info)
    return Dataset(stored.catalogue, stored.log, target)


def check_new(name: str, *, replace: bool = False) -> Path:
    """Return the folder a new data set will have.

    Raises:
        SimrecError: The name is not valid, or taken and not to be replaced.
    """
    if not _NAME.fullmatch(name):
        raise SimrecError(
            f"'{name}' cannot name a data set; expected 1 to 64 lower-case letters, digits, '-' "
            "or '_', a letter or digit first; choose another name"
        )
    if name == TOY:
        raise SimrecError("'toy' is the generated data set; expected a new name; choose another")
    target = _shelf() / name
    if target.exists() and not replace:
        raise SimrecError(
            f"there is a data set '{name}' already; expected a new name; choose another or say "
            "--replace"
        )
    return target


def list_datasets() -> list[str]:
    """Return the names `load_dataset` knows, sorted."""
    folders = _shelf().iterdir() if _shelf().is_dir() else ()
    stored = {f.name for f in folders if _NAME.fullmatch(f.name) and (f / _INFO).is_file()}
    return sorted(stored | {TOY})


def load_dataset(name: str) -> Dataset:
    """Load a data set of the library.

    Raises:
        SimrecError: There is none of that name, or its files were changed since the import.
    """
    if name == TOY:
        return make_toy(seed=TOY_SEED)
    info = dataset_info(name)
    dataset = read_tidy(_shelf() / name, name=name)
    if dataset.fingerprint != info["fingerprint"]:
        raise SimrecError(
            f"data set '{name}' has fingerprint {dataset.fingerprint}; expected "
            f"{info['fingerprint']} as imported; import it again with --replace"
        )
    return dataset


def open_dataset(name: str | None, path: Path | None) -> Dataset:
    """Load a data set by name, or read a tidy folder where it lies.

    Args:
        name: Name in the library; with `path`, the name given to the catalogue.
        path: A tidy folder, or None to look in the library.

    Raises:
        SimrecError: Both are None, or the data set cannot be read.
    """
    if path is not None:
        return read_tidy(path, name=name or path.resolve().name)
    if name is None:
        raise SimrecError("no data set is given; expected data.name or data.path; set one of them")
    return load_dataset(name)


def dataset_info(name: str) -> dict[str, Any]:
    """Return source, format, time of import, counts and fingerprint of a data set.

    Raises:
        SimrecError: There is none of that name, or its dataset.json is unreadable.
    """
    if name == TOY:
        return {
            "source": f"generated, seed {TOY_SEED}",
            "format": "toy",
            "imported_at": None,
            **_counts(make_toy(seed=TOY_SEED)),
        }
    if name not in list_datasets():
        raise SimrecError(f"there is no data set '{name}'; {nearest(name, list_datasets())}")
    try:
        info = json.loads((_shelf() / name / _INFO).read_text(encoding="utf-8"))
        return {key: info[key] for key in _KEYS}
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise SimrecError(
            f"the {_INFO} of data set '{name}' cannot be read; expected what the import wrote; "
            "import it again with --replace"
        ) from error


def _shelf() -> Path:
    return home() / "data"


def _copy_tidy(source: Path, target: Path) -> None:
    for path in sorted(source.iterdir()):
        if path.is_file() and (
            path.suffix == ".parquet" or path.name in ("README.md", "tidy.json")
        ):
            shutil.copyfile(path, target / path.name)
    for path in sorted((source / "features").glob("*.npy")):
        (target / "features").mkdir(exist_ok=True)
        shutil.copyfile(path, target / "features" / path.name)


def _counts(dataset: Dataset) -> dict[str, Any]:
    catalogue, log = dataset.catalogue, dataset.log
    return {
        "users": log.n_users,
        "items": len(catalogue),
        "events": len(log),
        "unit": log.unit,
        "timed": log.time is not None,
        "descriptions": sum(bool(text) for text in catalogue.texts),
        "images": sum(image is not None for image in catalogue.images),
        "attributes": {k: len(a.vocabulary) for k, a in catalogue.attributes.items()},
        "features": {k: int(f.present.sum()) for k, f in catalogue.features.items()},
        "fingerprint": dataset.fingerprint,
    }
