"""Every malformed data set is refused with one sentence, and nothing of it is kept."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from simrec.datasets.library import import_dataset
from simrec.errors import SimrecError
from tests.data_folders import (
    picture,
    write_100k_folder,
    write_latest_folder,
    write_tidy_folder,
)

Damage = Callable[[Path], object]


def cell(file: str, column: str, row: int, value: object) -> Damage:
    def damage(folder: Path) -> None:
        frame = pd.read_parquet(folder / file)
        values = frame[column].tolist()
        values[row] = value
        frame[column] = values
        frame.to_parquet(folder / file)

    return damage


def column(file: str, name: str, values: list[object]) -> Damage:
    def damage(folder: Path) -> None:
        frame = pd.read_parquet(folder / file)
        frame[name] = values
        frame.to_parquet(folder / file)

    return damage


def drop(file: str, name: str) -> Damage:
    return lambda folder: (
        pd.read_parquet(folder / file).drop(columns=name).to_parquet(folder / file)
    )


def empty(file: str) -> Damage:
    return lambda folder: pd.read_parquet(folder / file).iloc[:0].to_parquet(folder / file)


def remove(file: str) -> Damage:
    return lambda folder: (folder / file).unlink()


def array(name: str, values: object) -> Damage:
    return lambda folder: np.save(folder / "features" / f"{name}.npy", np.asarray(values))


def images(ids: list[object], data: list[object]) -> Damage:
    return lambda folder: pd.DataFrame({"item_id": ids, "jpeg": data}).to_parquet(
        folder / "images.parquet"
    )


def cut(file: str) -> Damage:
    return lambda folder: (folder / file).write_bytes((folder / file).read_bytes()[:-40])


def text(file: str, content: str | bytes) -> Damage:
    data = content if isinstance(content, bytes) else content.encode()
    return lambda folder: (folder / file).write_bytes(data)


def line(file: str, number: int, content: str) -> Damage:
    def damage(folder: Path) -> None:
        lines = (folder / file).read_text(encoding="latin-1").split("\n")
        lines[number - 1] = content
        (folder / file).write_text("\n".join(lines), encoding="latin-1")

    return damage


ITEMS, LOG, USERS = "items.parquet", "interactions.parquet", "users.parquet"
NAN, INF = float("nan"), float("inf")
LAYOUT = "the tidy format needs it: see `simrec data import --help` for the layout"
NUMBER = "expected a whole number in every row; fill or drop the row"

TIDY: list[tuple[str, Damage, str]] = [
    ("no items", remove(ITEMS), "{folder} has no items.parquet; " + LAYOUT),
    ("no log", remove(LOG), "{folder} has no interactions.parquet; " + LAYOUT),
    (
        "no item_id",
        drop(ITEMS, "item_id"),
        "items.parquet has no column 'item_id'; it has title, description, plot, genres, country, "
        "year, n_events, score; expected item_id, title: add the column",
    ),
    (
        "no title",
        drop(ITEMS, "title"),
        "items.parquet has no column 'title'; it has item_id, description, plot, genres, country, "
        "year, n_events, score; expected item_id, title: add the column",
    ),
    *(
        (
            f"no {name}",
            drop(LOG, name),
            f"interactions.parquet has no column '{name}'; it has "
            + ", ".join(c for c in ("user_id", "item_id", "rating", "timestamp") if c != name)
            + "; expected user_id, item_id, rating: add the column",
        )
        for name in ("user_id", "item_id", "rating")
    ),
    (
        "no user_id among users",
        drop(USERS, "user_id"),
        "users.parquet has no column 'user_id'; it has age; expected user_id: add the column",
    ),
    (
        "no bytes among images",
        drop("images.parquet", "jpeg"),
        "images.parquet has no column 'jpeg'; it has item_id; expected item_id, jpeg: add the "
        "column",
    ),
    (
        "repeated item",
        column(ITEMS, "item_id", [0, 1, 1, 2]),
        "items.parquet: item_id 1 appears 2 times; expected each id once; drop the repeats",
    ),
    (
        "ids from 1",
        column(ITEMS, "item_id", [1, 2, 3, 4]),
        "items.parquet: item_id runs from 1 to 4 over 4 items; expected 0 to 3 without gaps; "
        "renumber the items (source_id can keep the old ids)",
    ),
    (
        "ids as text",
        column(ITEMS, "item_id", ["a", "b", "c", "d"]),
        "items.parquet: column 'item_id' holds text; expected whole numbers; convert the column",
    ),
    (
        "half an id",
        column(ITEMS, "item_id", [0, 1, 2, 2.5]),
        "items.parquet: item_id is 2.5 in row 3; expected a whole number; correct the row",
    ),
    (
        "blank title",
        cell(ITEMS, "title", 1, "  "),
        "items.parquet: item 0 has a blank title; expected some text; give it a title",
    ),
    (
        "numbers for titles",
        column(ITEMS, "title", [1, 2, 3, 4]),
        "items.parquet: column 'title' holds int64; expected text; convert the column",
    ),
    (
        "numbers for descriptions",
        column(ITEMS, "description", [1, 2, 3, 4]),
        "items.parquet: column 'description' holds int64; expected text; convert the column",
    ),
    (
        "no item at all",
        empty(ITEMS),
        "items.parquet has no rows; expected one for each item; add the items",
    ),
    (
        "no event at all",
        empty(LOG),
        "interactions.parquet has no rows; expected one for each event; add the events",
    ),
    (
        "unknown item",
        cell(LOG, "item_id", 2, 9),
        "interactions.parquet: item_id 9 in row 2 is not in items.parquet; expected 0 to 3; drop "
        "the row or add the item",
    ),
    (
        "negative item",
        cell(LOG, "item_id", 0, -1),
        "interactions.parquet: item_id -1 in row 0 is not in items.parquet; expected 0 to 3; drop "
        "the row or add the item",
    ),
    (
        "no user",
        cell(LOG, "user_id", 4, None),
        "interactions.parquet: user_id is empty in row 4; " + NUMBER,
    ),
    (
        "unknown user",
        cell(LOG, "user_id", 5, 8),
        "interactions.parquet: user_id 8 in row 5 is not in users.parquet; expected a user listed "
        "there; add the user or drop the row",
    ),
    (
        "repeated user",
        column(USERS, "user_id", [0, 1, 2, 2]),
        "users.parquet: user_id 2 appears 2 times; expected each id once; drop the repeats",
    ),
    (
        "missing rating",
        cell(LOG, "rating", 3, NAN),
        "interactions.parquet: rating is nan in row 3; expected a finite number; correct or drop "
        "the row",
    ),
    (
        "infinite rating",
        cell(LOG, "rating", 6, INF),
        "interactions.parquet: rating is inf in row 6; expected a finite number; correct or drop "
        "the row",
    ),
    (
        "rating in words",
        column(LOG, "rating", ["good"] * 7),
        "interactions.parquet: column 'rating' holds text; expected numbers; convert the column",
    ),
    (
        "rating of no known unit",
        cell(LOG, "rating", 1, -3.5),
        "interactions.parquet: rating is -3.5 in row 1; expected stars (0.5 to 5 in halves), "
        "counts (1, 2, ...) or 0 and 1; rescale the column",
    ),
    (
        "no time",
        cell(LOG, "timestamp", 2, None),
        "interactions.parquet: timestamp is empty in row 2; " + NUMBER,
    ),
    (
        "dates for seconds",
        column(LOG, "timestamp", [pd.Timestamp("2020-01-01")] * 7),
        "interactions.parquet: column 'timestamp' holds dates; expected whole "
        "numbers; convert the column",
    ),
    (
        "feature rows",
        array("colour", np.ones((5, 3))),
        "features/colour.npy has 5 rows; expected 4, one for each item; name it user... or "
        "propensity... if its rows are not items",
    ),
    (
        "feature of one dimension",
        array("colour", np.ones(4)),
        "features/colour.npy has shape (4,); expected a 2-D array, one row of numbers for each "
        "item; reshape it",
    ),
    (
        "feature in words",
        array("colour", [["red"]] * 4),
        "features/colour.npy holds <U3 values; expected real numbers; convert it",
    ),
    (
        "mask length",
        array("clip_mask", [True, False]),
        "features/clip_mask.npy has shape (2,); expected (4,), one value for each item; write it "
        "again",
    ),
    (
        "mask of nothing",
        array("colr_mask", [True] * 4),
        "features/colr_mask.npy masks no feature; expected a file colr.npy or colr_....npy beside "
        "it; rename or remove it",
    ),
    (
        "feature not finite",
        array("clip_tone", [[1, 2], [NAN, 1], [INF, 1], [1, 1]]),  # row 1 is masked
        "features/clip_tone.npy is not finite in row 2, which is marked present; expected numbers; "
        "mark the row absent in clip_tone_mask.npy",
    ),
    (
        "feature unreadable",
        text("features/colour.npy", b"not an array"),
        "features/colour.npy cannot be read as a NumPy array (ValueError); expected a file written "
        "by numpy.save without objects; write it again",
    ),
    (
        "picture that is none",
        images([1], [b"hello"]),
        "images.parquet: the picture of item 1 cannot be decoded; expected JPEG or PNG bytes; drop "
        "the row or store the picture again",
    ),
    (
        "half a picture",
        images([3], [picture(9)[: len(picture(9)) // 2]]),
        "images.parquet: the picture of item 3 cannot be decoded; expected JPEG or PNG bytes; drop "
        "the row or store the picture again",
    ),
    (
        "path for a picture",
        images([1], ["cover.jpg"]),
        "images.parquet: column 'jpeg' holds text; expected the bytes of a picture; "
        "store the file's bytes",
    ),
    (
        "picture of an unknown item",
        images([4], [picture(1)]),
        "images.parquet: item_id 4 is not in items.parquet; expected 0 to 3; drop the row or add "
        "the item",
    ),
    (
        "two pictures",
        images([2, 2], [picture(1), picture(2)]),
        "images.parquet: item 2 has two pictures; expected at most one; drop one",
    ),
    (
        "log cut short",
        cut(LOG),
        "interactions.parquet cannot be read as Parquet (ArrowInvalid); expected a whole Parquet "
        "file; copy or write it again",
    ),
    (
        "items cut short",
        cut(ITEMS),
        "items.parquet cannot be read as Parquet (ArrowInvalid); expected a whole Parquet file; "
        "copy or write it again",
    ),
    (
        "tidy.json unreadable",
        text("tidy.json", "{"),
        "tidy.json is not as expected: an object with 'unit' and 'attributes'; correct it or "
        "remove it, and both are found from the tables",
    ),
    (
        "stated attribute that is not there",
        text("tidy.json", '{"unit": "stars", "attributes": {"mood": ["dark"]}}'),
        "items.parquet has no column 'mood', which tidy.json calls an attribute; add the column or "
        "correct tidy.json",
    ),
]

U_ITEM = "1|Toy Story (1995)|01-Jan-1995||http://a|0|1"
AGAIN = "expected the whole MovieLens folder; unpack it again"

MOVIELENS: list[tuple[str, Callable[[Path], Path], Damage, str]] = [
    (
        "no u.data",
        write_100k_folder,
        remove("u.data"),
        "{folder} has no u.data; " + AGAIN,
    ),
    ("no u.item", write_100k_folder, remove("u.item"), "{folder} has no u.item; " + AGAIN),
    ("no u.genre", write_100k_folder, remove("u.genre"), "{folder} has no u.genre; " + AGAIN),
    (
        "short line",
        write_100k_folder,
        line("u.data", 2, "7\t1\t3"),
        "u.data line 2 has 3 columns; expected 4 (user, film, rating, timestamp); correct the line",
    ),
    (
        "flag missing",
        write_100k_folder,
        line("u.item", 1, U_ITEM),
        "u.item line 1 has 7 columns; expected 8, five and one for each of the 3 genres in "
        "u.genre; correct the line",
    ),
    (
        "flag not a flag",
        write_100k_folder,
        line("u.item", 3, U_ITEM + "|2"),
        "u.item line 3 has a genre flag that is neither 0 nor 1; expected 3 flags at its end; "
        "correct the line",
    ),
    (
        "film twice",
        write_100k_folder,
        line("u.item", 2, U_ITEM + "|0"),
        "u.item line 2 repeats film 1; expected each film once; drop the line",
    ),
    (
        "blank title",
        write_100k_folder,
        line("u.item", 2, "10| |01-Jan-1995||http://a|0|1|0"),
        "u.item line 2 has a blank title; expected some text; give it one",
    ),
    (
        "rating in words",
        write_100k_folder,
        line("u.data", 3, "3\t2\tgood\t80"),
        "u.data line 3 has 'good' as rating; expected a number; correct the line",
    ),
    (
        "rating out of range",
        write_100k_folder,
        line("u.data", 1, "7\t10\t6\t100"),
        "u.data line 1 has a rating of 6; expected 0.5 to 5 stars; correct the line",
    ),
    (
        "rating nan",
        write_100k_folder,
        line("u.data", 1, "7\t10\tnan\t100"),
        "u.data line 1 has a rating of nan; expected 0.5 to 5 stars; correct the line",
    ),
    (
        "user in words",
        write_100k_folder,
        line("u.data", 1, "ann\t10\t5\t100"),
        "u.data line 1 has 'ann' as user id; expected a whole number; correct the line",
    ),
    (
        "unknown film",
        write_100k_folder,
        line("u.data", 2, "7\t99\t3\t90"),
        "u.data line 2 rates film 99, which is not among the films; expected an id from the films "
        "file; correct or drop the line",
    ),
    (
        "no rating",
        write_100k_folder,
        text("u.data", "\n"),
        "the ratings file in {folder} has no ratings; expected one a line; copy it again",
    ),
    (
        "neither layout",
        write_100k_folder,
        lambda folder: [path.unlink() for path in folder.glob("u.*")],
        "{folder} holds no MovieLens files; expected u.data, u.item and u.genre, or ratings.csv "
        "and movies.csv; give the folder they lie in",
    ),
    (
        "no movies.csv",
        write_latest_folder,
        remove("movies.csv"),
        "{folder} has no movies.csv; " + AGAIN,
    ),
    (
        "other header",
        write_latest_folder,
        line("ratings.csv", 1, "user,item,stars"),
        "ratings.csv begins with 'user,item,stars'; expected 'userId,movieId,rating,timestamp'; "
        "restore its first line",
    ),
    (
        "comma in a title",
        write_latest_folder,
        line("movies.csv", 3, "5,Postman, The (1994),Drama"),
        "movies.csv line 3 has 4 columns; expected 3 (movieId, title, genres); correct the line",
    ),
    (
        "other encoding",
        write_latest_folder,
        text("movies.csv", "movieId,title,genres\n1,Amélie,Drama\n".encode("latin-1")),
        "movies.csv is not utf-8 text (byte 25); expected the file as GroupLens publishes it; "
        "download it again",
    ),
]


def refuse(format: str, folder: Path, data_home: Path, expected: str, name: str = "new") -> None:
    with pytest.raises(SimrecError) as caught:
        import_dataset(format, folder, name)
    assert str(caught.value) == expected.replace("{folder}", str(folder))
    assert [p for p in data_home.rglob("*") if p.name != "data"] == []


@pytest.mark.parametrize(("damage", "expected"), [c[1:] for c in TIDY], ids=[c[0] for c in TIDY])
def test_a_malformed_tidy_folder_is_refused_whole(
    tmp_path: Path, data_home: Path, damage: Damage, expected: str
) -> None:
    folder = write_tidy_folder(tmp_path / "source")
    damage(folder)
    refuse("tidy", folder, data_home, expected)


@pytest.mark.parametrize(
    ("write", "damage", "expected"), [c[1:] for c in MOVIELENS], ids=[c[0] for c in MOVIELENS]
)
def test_a_malformed_movielens_folder_is_refused_whole(
    tmp_path: Path,
    data_home: Path,
    write: Callable[[Path], Path],
    damage: Damage,
    expected: str,
) -> None:
    folder = write(tmp_path / "source")
    damage(folder)
    refuse("movielens", folder, data_home, expected)


@pytest.mark.parametrize("format", ["tidy", "movielens"])
def test_a_path_that_is_no_folder_is_refused(tmp_path: Path, data_home: Path, format: str) -> None:
    missing = tmp_path / "missing"
    refuse(
        format,
        missing,
        data_home,
        "there is no folder {folder}; expected a data set there; check the path",
    )
    missing.write_text("a file now")
    refuse(
        format,
        missing,
        data_home,
        "{folder} is a file; expected the folder of a data set; unpack it or give its folder",
    )


def test_an_unknown_format_is_refused_with_the_nearest(tmp_path: Path, data_home: Path) -> None:
    expected = "there is no data format 'movielense'; did you mean 'movielens'?"
    refuse("movielense", tmp_path, data_home, expected)


@pytest.mark.parametrize("name", ["", "A", "../up", "a b", ".hidden", "x" * 65])
def test_an_invalid_name_is_refused(tmp_path: Path, data_home: Path, name: str) -> None:
    refuse(
        "tidy",
        write_tidy_folder(tmp_path / "source"),
        data_home,
        f"'{name}' cannot name a data set; expected 1 to 64 lower-case letters, digits, '-' or "
        "'_', a letter or digit first; choose another name",
        name=name,
    )
