"""Malformed MovieLens folders, and folders and names that are none, are refused in a sentence."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.damaged_data import Damage, line, refuse, remove, text
from tests.data_folders import write_100k_folder, write_latest_folder, write_tidy_folder

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
