"""Downloading public data sets, after their terms are accepted, into the library."""

import hashlib
import shutil
import tempfile
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import IO

from simrec.datasets.dataset import Dataset
from simrec.datasets.library import check_new, import_dataset
from simrec.errors import SimrecError, nearest
from simrec.files import home

_CHUNK = 1 << 16  # bytes
_TIMEOUT = 60.0  # seconds without an answer
_MAX_GROWTH = 100  # times an archive's size that its files may take: more is no honest data set


@dataclass(frozen=True)
class PublicSet:
    """A data set that anyone may download under its terms."""

    url: str  # of a zip archive
    sha256: str  # of the archive
    size: int  # bytes of the archive; for the progress bar, the checksum is what is checked
    format: str  # a name in simrec.datasets.library.FORMATS
    folder: str  # the folder inside the archive that holds the files, "" for its root
    terms: str  # in one or two sentences
    terms_url: str  # where they stand in full


_GROUPLENS = (
    "For research and teaching; no commercial use without permission; no passing on without "
    "permission; acknowledge GroupLens and cite Harper and Konstan (2015), The MovieLens Datasets."
)

# The checksums were compared with the ones pinned by TensorFlow Datasets and others. GroupLens
# says that ml-latest-small may change; a changed archive is refused, not read unseen.
REGISTRY: Mapping[str, PublicSet] = {
    "ml-100k": PublicSet(
        url="https://files.grouplens.org/datasets/movielens/ml-100k.zip",
        sha256="50d2a982c66986937beb9ffb3aa76efe955bf3d5c6b761f4e3a7cd717c6a3229",
        size=4_924_029,
        format="movielens",
        folder="ml-100k",
        terms=_GROUPLENS,
        terms_url="https://files.grouplens.org/datasets/movielens/ml-100k-README.txt",
    ),
    "ml-latest-small": PublicSet(
        url="https://files.grouplens.org/datasets/movielens/ml-latest-small.zip",
        sha256="696d65a3dfceac7c45750ad32df2c259311949efec81f0f144fdfb91ebc9e436",
        size=978_202,
        format="movielens",
        folder="ml-latest-small",
        terms=_GROUPLENS,
        terms_url="https://files.grouplens.org/datasets/movielens/ml-latest-small-README.html",
    ),
}


def public_set(name: str, registry: Mapping[str, PublicSet] = REGISTRY) -> PublicSet:
    """Return the entry called `name`.

    Raises:
        SimrecError: There is none.
    """
    if name not in registry:
        raise SimrecError(f"there is no public data set '{name}'; {nearest(name, registry)}")
    return registry[name]


def fetch(
    name: str,
    *,
    accept_terms: bool,
    registry: Mapping[str, PublicSet] = REGISTRY,
    progress: Callable[[int, int], None] | None = None,
    replace: bool = False,
    imported_at: str | None = None,
) -> Dataset:
    """Download, check, unpack and import a public data set; on any error nothing is left.

    An interrupted download starts again from its beginning.

    Args:
        name: A name in the registry, and the name it gets in the library.
        accept_terms: Whether the user has accepted the terms of the data set.
        registry: What can be fetched.
        progress: Called with bytes so far and bytes in all (0 where the server does not say).
        replace: Put it in the place of a data set of the same name.
        imported_at: When, in ISO 8601; the caller's clock.

    Raises:
        SimrecError: The name is unknown or taken, the terms are not accepted, the download fails
            or is not the expected archive, or its content is not as its format says.
    """
    entry = public_set(name, registry)
    if not accept_terms:
        raise SimrecError(
            f"the terms of '{name}' are not accepted: {entry.terms} In full: {entry.terms_url}; "
            "say --accept-terms if you accept them"
        )
    check_new(name, replace=replace)
    home().mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".fetch-", dir=home()) as temporary:
        archive = Path(temporary) / "archive.zip"
        _download(entry, archive, progress)
        _unpack(archive, Path(temporary) / "files")
        return import_dataset(
            entry.format,
            Path(temporary) / "files" / entry.folder,
            name,
            replace,
            imported_at=imported_at,
            source=entry.url,
        )


def _download(entry: PublicSet, archive: Path, progress: Callable[[int, int], None] | None) -> None:
    try:
        with (
            urllib.request.urlopen(entry.url, timeout=_TIMEOUT) as answer,
            archive.open("wb") as file,
        ):
            total = int(answer.headers.get("Content-Length") or 0)
            digest, received = _stream(answer, file, total, progress)
    except urllib.error.HTTPError as error:
        raise SimrecError(
            f"{entry.url} answered {error.code} {error.reason}; expected the archive; try again "
            "later or import a copy you have with `simrec data import`"
        ) from error
    except (OSError, HTTPException) as error:  # URLError is an OSError
        raise SimrecError(
            f"{entry.url} cannot be reached ({error}); expected the archive; check the connection "
            "or import a copy you have with `simrec data import`"
        ) from error
    if received < total:
        raise SimrecError(
            f"{entry.url} broke off after {received} of {total} bytes; expected the whole "
            "archive; fetch it again"
        )
    if digest != entry.sha256:
        raise SimrecError(
            f"{entry.url} has SHA-256 {digest[:16]}...; expected {entry.sha256[:16]}...; the "
            "archive was changed: read its terms anew, and import it with `simrec data import` if "
            "you trust it"
        )


def _stream(
    answer: IO[bytes], file: IO[bytes], total: int, progress: Callable[[int, int], None] | None
) -> tuple[str, int]:
    """Copy an answer to a file; return the SHA-256 and the number of bytes."""
    digest, received = hashlib.sha256(), 0
    while chunk := answer.read(_CHUNK):
        file.write(chunk)
        digest.update(chunk)
        received += len(chunk)
        if progress:
            progress(received, total)
    return digest.hexdigest(), received


def _unpack(archive: Path, folder: Path) -> None:
    """Unpack a zip archive, refusing members that would land outside `folder` and bombs."""
    limit = _MAX_GROWTH * archive.stat().st_size
    try:
        with zipfile.ZipFile(archive) as opened:
            if sum(member.file_size for member in opened.infolist()) > limit:
                raise SimrecError(
                    f"the archive would unpack to more than {_MAX_GROWTH} times its size; "
                    "expected a data set; do not trust it"
                )
            for member in opened.infolist():
                target = (folder / member.filename).resolve()
                if not target.is_relative_to(folder.resolve()):
                    raise SimrecError(
                        f"the archive holds '{member.filename}', which lies outside its folder; "
                        "expected plain names; do not trust it"
                    )
                if member.is_dir():
                    continue
                target.parent.mkdir(parents=True, exist_ok=True)
                with opened.open(member) as source, target.open("wb") as file:
                    shutil.copyfileobj(source, file)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
        raise SimrecError(
            f"the archive cannot be unpacked ({error}); expected a zip file; fetch it again"
        ) from error
