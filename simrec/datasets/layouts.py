"""Folders of published data sets, as their authors lay them out; the user supplies the files.

None of these sets may be redistributed, so nothing of them is here. The layouts are reconstructed
from the projects' own descriptions: MicroLens (Ni et al. 2023, arXiv 2309.15379), NineRec (Zhang
et al. 2023, arXiv 2309.07705), PixelRec (Cheng et al. 2023, arXiv 2309.06789), MMRec (Zhou 2023,
arXiv 2302.03497).
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from simrec.catalogue import Catalogue, Features
from simrec.datasets.dataset import Dataset
from simrec.datasets.feature_files import read_states
from simrec.errors import SimrecError, nearest
from simrec.interactions import InteractionLog


def read_layout(name: str, folder: Path) -> Dataset:
    """Read a folder in a published layout.

    Args:
        name: "microlens", "ninerec", "pixelrec" or "mmrec".
        folder: Where the files lie.

    Returns:
        Titles, covers and precomputed features in a catalogue, and the log; ids are the source's.

    Raises:
        SimrecError: An unknown layout, or a file that is missing or not as described.
    """
    if name not in LAYOUTS:
        raise SimrecError(f"there is no layout '{name}'; {nearest(name, LAYOUTS)}")
    if not folder.is_dir():
        raise SimrecError(f"there is no folder {folder}; expected a data set there; check the path")
    return LAYOUTS[name](folder)


def _find(folder: Path, *patterns: str) -> Path:
    for pattern in patterns:
        found = sorted(folder.glob(pattern))
        if found:
            return found[0]
    raise SimrecError(f"{folder} has no {' or '.join(patterns)}; expected that file; put it there")


def _read(path: Path, columns: Sequence[str], **how: Any) -> pd.DataFrame:
    try:
        frame: pd.DataFrame = pd.read_csv(path, dtype=str, keep_default_na=False, **how)
    except (OSError, ValueError) as error:
        raise SimrecError(f"{path} cannot be read ({error}); expected text columns") from error
    for column in columns:
        if column not in frame.columns:
            raise SimrecError(
                f"{path.name} has no column '{column}'; it has {', '.join(frame.columns)}; "
                f"rename one"
            )
    return frame


def _covers(folder: Path | None, ids: Sequence[str]) -> tuple[bytes | None, ...]:
    found = {p.stem: p for p in sorted(folder.iterdir())} if folder else {}
    return tuple(found[i].read_bytes() if i in found else None for i in ids)


def _dataset(
    name: str,
    folder: Path,
    log: pd.DataFrame,
    titles: dict[str, str],
    covers: Path | None,
    features: dict[str, Path],
    row_ids: Sequence[str] | None = None,
) -> Dataset:
    """Join a log (user, item, time, rating) with what is known of the items."""
    ids = sorted(set(titles) | set(log["item"]), key=lambda i: (len(i), i))
    rows = {item: row for row, item in enumerate(ids)}
    users, user = np.unique(log["user"].to_numpy(dtype=str), return_inverse=True)
    parts: dict[str, Features] = {}
    for modality, path in features.items():
        values, present = read_states(path, ids, row_ids=row_ids)
        parts[modality] = Features(values.reshape(len(ids), -1), present)
    catalogue = Catalogue(
        name,
        tuple(ids),
        tuple(titles.get(i) or f"item {i}" for i in ids),
        ("",) * len(ids),
        _covers(covers, ids),
        features=parts,
    )
    try:
        time = log["time"].astype(np.float64).to_numpy().astype(np.int64)
        rating = log["rating"].astype(np.float32).to_numpy()
    except ValueError as error:
        raise SimrecError(
            f"the log in {folder} holds a time or rating that is no number ({error}); correct it"
        ) from error
    item: NDArray[np.int32] = np.array([rows[i] for i in log["item"]], dtype=np.int32)
    unit = "implicit" if bool((rating == 1).all()) else "stars"
    names = tuple(str(u) for u in users)
    return Dataset(
        catalogue,
        InteractionLog(user.astype(np.int32), item, rating, time, unit, names, len(ids)),
        folder,
    )


def _folder(folder: Path, pattern: str) -> Path | None:
    return next((p for p in sorted(folder.glob(pattern)) if p.is_dir()), None)


def _positive(frame: pd.DataFrame, user: str, item: str, time: str) -> pd.DataFrame:
    return pd.DataFrame(
        {"user": frame[user], "item": frame[item], "time": frame[time], "rating": "1"}
    )


def _microlens(folder: Path) -> Dataset:
    log = _read(_find(folder, "*_pairs.csv"), ("user", "item", "timestamp"))
    texts = _read(_find(folder, "*title*.csv"), ("item", "title"))
    features = {
        kind: path
        for kind in ("image", "audio", "video")
        for path in sorted(folder.glob(f"*{kind}*features*.npy"))[:1]
    }
    titles = dict(zip(texts["item"], texts["title"], strict=True))
    # feature rows follow the numbers of the items, which start at 1
    row_ids = sorted(titles, key=lambda i: (len(i), i))
    named = {f"{kind}_features": path for kind, path in features.items()}
    pairs = _positive(log, "user", "item", "timestamp")
    return _dataset("microlens", folder, pairs, titles, _folder(folder, "*covers"), named, row_ids)


def _ninerec(folder: Path) -> Dataset:
    log = _read(_find(folder, "*_pair.csv"), (), header=None, names=["user", "item", "time"])
    if len(log) and not log["time"].iloc[0].replace(".", "").isdigit():
        log = log.iloc[1:]  # a header, which some of the files have
    texts = _read(_find(folder, "*_item.csv"), (), header=None)
    if len(texts) and str(texts.iloc[0, 0]).lower() in ("id", "item", "item_id"):
        texts = texts.iloc[1:]
    titles = dict(zip(texts.iloc[:, 0], texts.iloc[:, -1], strict=True))  # id, Chinese, English
    pairs = _positive(log, "user", "item", "time")
    return _dataset("ninerec", folder, pairs, titles, _folder(folder, "*_cover"), {})


def _pixelrec(folder: Path) -> Dataset:
    log = _read(_find(folder, "Pixel*.csv", "*interaction*.csv"), ("user_id", "item_id"))
    texts = _read(_find(folder, "*item_info*.csv", "*item*.csv"), ("item_id", "title"))
    titles = dict(zip(texts["item_id"], texts["title"], strict=True))
    time = "timestamp" if "timestamp" in log.columns else "time"
    if time not in log.columns:
        raise SimrecError(f"the log in {folder} has no column 'timestamp'; add it")
    pairs = _positive(log, "user_id", "item_id", time)
    return _dataset("pixelrec", folder, pairs, titles, _folder(folder, "*cover*"), {})


def _mmrec(folder: Path) -> Dataset:
    log = _read(_find(folder, "*.inter"), ("userID", "itemID"), sep="\t")
    mapping = _read(_find(folder, "i_id_mapping.csv"), ("itemID",), sep="\t")
    row_ids = list(mapping["itemID"])
    pairs = pd.DataFrame(
        {
            "user": log["userID"],
            "item": log["itemID"],
            "time": log.get("timestamp", pd.Series(np.arange(len(log)).astype(str))),
            "rating": log.get("rating", pd.Series(["1"] * len(log))),
        }
    )
    source = [c for c in mapping.columns if c != "itemID"]
    titles = dict(zip(row_ids, mapping[source[0] if source else "itemID"], strict=True))
    features = {
        f"{kind}_features": folder / f"{kind}_feat.npy"
        for kind in ("image", "text")
        if (folder / f"{kind}_feat.npy").is_file()
    }
    by_row = sorted(row_ids, key=lambda i: (len(i), i))  # features are numbered as itemID is
    return _dataset("mmrec", folder, pairs, titles, None, features, by_row)


LAYOUTS: dict[str, Callable[[Path], Dataset]] = {
    "microlens": _microlens,
    "ninerec": _ninerec,
    "pixelrec": _pixelrec,
    "mmrec": _mmrec,
}
