"""MovieLens as GroupLens publishes it: the 100K layout and the latest-small layout.

Both have titles, genres, stars and seconds, and no descriptions. Ids of the source are kept as
text; rows are numbered in the order of the ids.
"""

import csv
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from simrec.catalogue import Catalogue
from simrec.datasets.dataset import Dataset
from simrec.datasets.tidy import check_folder
from simrec.datasets.tidy_items import attribute
from simrec.errors import SimrecError
from simrec.interactions import InteractionLog

_NO_GENRE = "(no genres listed)"


def read_movielens(path: Path, *, name: str) -> Dataset:
    """Read u.data, u.item and u.genre, or ratings.csv and movies.csv.

    Args:
        path: The folder that holds the files.
        name: Name given to the catalogue.

    Returns:
        The data set, its folder being `path`.

    Raises:
        SimrecError: A file is missing, or a line in it is not as its layout says.
    """
    check_folder(path)
    if (path / "u.data").exists() or (path / "u.item").exists():
        films = _films_100k(path)
        ratings = list(_ratings(_lines(path / "u.data", "utf-8", _tabs), "u.data", films))
    elif (path / "ratings.csv").exists() or (path / "movies.csv").exists():
        films = _films_csv(path)
        rows = _lines(path / "ratings.csv", "utf-8", csv.reader)
        _header(rows, "ratings.csv", ["userId", "movieId", "rating", "timestamp"])
        ratings = list(_ratings(rows, "ratings.csv", films))
    else:
        raise SimrecError(
            f"{path} holds no MovieLens files; expected u.data, u.item and u.genre, or ratings.csv "
            "and movies.csv; give the folder they lie in"
        )
    if not ratings:
        raise SimrecError(
            f"the ratings file in {path} has no ratings; expected one a line; copy it again"
        )
    return _dataset(path, name, films, ratings)


_Film = tuple[str, Sequence[str]]  # title, genres
_Rating = tuple[int, int, float, int]  # user id, film id, stars, seconds
_Rows = Iterator[tuple[int, list[str]]]  # number of the line in its file, cells


def _dataset(path: Path, name: str, films: dict[int, _Film], ratings: Sequence[_Rating]) -> Dataset:
    film_ids = sorted(films)
    genres = sorted({genre for _, listed in films.values() for genre in listed})
    raw_users, raw_films, stars, seconds = (
        np.asarray(column) for column in zip(*ratings, strict=True)
    )
    user_ids, users = np.unique(raw_users, return_inverse=True)
    return Dataset(
        Catalogue(
            name=name,
            item_ids=tuple(str(i) for i in film_ids),
            titles=tuple(films[i][0] for i in film_ids),
            texts=("",) * len(films),
            images=(None,) * len(films),
            attributes={"genres": attribute([films[i][1] for i in film_ids], genres)},
        ),
        InteractionLog(
            user=users.astype(np.int32),
            item=np.searchsorted(film_ids, raw_films).astype(np.int32),
            feedback=stars.astype(np.float32),
            time=seconds.astype(np.int64),
            unit="stars",
            user_ids=tuple(str(i) for i in user_ids),
            n_items=len(films),
        ),
        path,
    )


def _films_100k(folder: Path) -> dict[int, _Film]:
    genres = [cells[0] for _, cells in _lines(folder / "u.genre", "latin-1", _pipes)]
    films: dict[int, _Film] = {}
    width = 5 + len(genres)  # id, title, two dates, link, one flag for each genre
    for line, cells in _lines(folder / "u.item", "latin-1", _pipes):
        if len(cells) != width:
            raise SimrecError(
                f"u.item line {line} has {len(cells)} columns; expected {width}, five and one for "
                f"each of the {len(genres)} genres in u.genre; correct the line"
            )
        flags = cells[5:]
        if set(flags) - {"0", "1"}:
            raise SimrecError(
                f"u.item line {line} has a genre flag that is neither 0 nor 1; expected "
                f"{len(genres)} flags at its end; correct the line"
            )
        listed = [genre for genre, flag in zip(genres, flags, strict=True) if flag == "1"]
        _add(films, "u.item", line, cells[0], cells[1], listed)
    return films


def _films_csv(folder: Path) -> dict[int, _Film]:
    rows = _lines(folder / "movies.csv", "utf-8", csv.reader)
    _header(rows, "movies.csv", ["movieId", "title", "genres"])
    films: dict[int, _Film] = {}
    for line, cells in rows:
        if len(cells) != 3:
            raise SimrecError(
                f"movies.csv line {line} has {len(cells)} columns; expected 3 (movieId, title, "
                "genres); correct the line"
            )
        listed = [g for g in cells[2].split("|") if g and g != _NO_GENRE]
        _add(films, "movies.csv", line, cells[0], cells[1], listed)
    return films


def _add(
    films: dict[int, _Film], file: str, line: int, film: str, title: str, genres: Sequence[str]
) -> None:
    number = int(_number(film, int, file, line, "film id"))
    if number in films:
        raise SimrecError(
            f"{file} line {line} repeats film {number}; expected each film once; drop the line"
        )
    if not title.strip():
        raise SimrecError(f"{file} line {line} has a blank title; expected some text; give it one")
    films[number] = (title.strip(), genres)


def _ratings(rows: _Rows, file: str, films: dict[int, _Film]) -> Iterator[_Rating]:
    for line, cells in rows:
        if len(cells) != 4:
            raise SimrecError(
                f"{file} line {line} has {len(cells)} columns; expected 4 (user, film, rating, "
                "timestamp); correct the line"
            )
        user = int(_number(cells[0], int, file, line, "user id"))
        film = int(_number(cells[1], int, file, line, "film id"))
        stars = _number(cells[2], float, file, line, "rating")
        seconds = int(_number(cells[3], int, file, line, "timestamp"))
        if film not in films:
            raise SimrecError(
                f"{file} line {line} rates film {film}, which is not among the films; expected an "
                "id from the films file; correct or drop the line"
            )
        if not 0.5 <= stars <= 5.0:
            raise SimrecError(
                f"{file} line {line} has a rating of {stars:g}; expected 0.5 to 5 stars; correct "
                "the line"
            )
        yield user, film, stars, seconds


def _number(cell: str, kind: type[int] | type[float], file: str, line: int, what: str) -> float:
    try:
        return kind(cell)
    except ValueError as error:
        wanted = "a whole number" if kind is int else "a number"
        raise SimrecError(
            f"{file} line {line} has '{cell}' as {what}; expected {wanted}; correct the line"
        ) from error


def _header(rows: _Rows, file: str, expected: list[str]) -> None:
    _, found = next(rows, (1, []))
    if found != expected:
        raise SimrecError(
            f"{file} begins with '{','.join(found)}'; expected '{','.join(expected)}'; "
            "restore its first line"
        )


def _lines(
    path: Path, encoding: str, split: Callable[[Iterator[str]], Iterator[list[str]]]
) -> _Rows:
    """Yield the number and the cells of every line that is not blank."""
    if not path.is_file():
        raise SimrecError(
            f"{path.parent} has no {path.name}; expected the whole MovieLens folder; unpack it "
            "again"
        )
    try:
        with path.open(encoding=encoding, newline="") as handle:
            for line, cells in enumerate(split(handle), start=1):
                if any(cell.strip() for cell in cells):
                    yield line, cells
    except UnicodeDecodeError as error:
        raise SimrecError(
            f"{path.name} is not {encoding} text (byte {error.start}); expected the file as "
            "GroupLens publishes it; download it again"
        ) from error


def _tabs(lines: Iterator[str]) -> Iterator[list[str]]:
    return (line.rstrip("\r\n").split("\t") for line in lines)


def _pipes(lines: Iterator[str]) -> Iterator[list[str]]:
    return (line.rstrip("\r\n").split("|") for line in lines)
