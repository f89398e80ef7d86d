"""Every malformed tidy data set is refused with one sentence, and nothing of it is kept."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.damaged_data import (
    Damage,
    array,
    cell,
    column,
    cut,
    drop,
    empty,
    images,
    refuse,
    remove,
    text,
)
from tests.data_folders import picture, write_tidy_folder

ITEMS, LOG, USERS = "items.parquet", "interactions.parquet", "users.parquet"
NAN, INF = float("nan"), float("inf")
LAYOUT = (
    "the tidy format needs it; tables of your own are read with --format table: see `simrec data "
    "import --help` for both layouts"
)
NUMBER = "expected a whole number in every row; fill or drop the row"
STATED = (
    "tidy.json is not as expected: an object with 'unit' (one of stars, implicit, count) and "
    "'attributes' (each with a list of its values); correct it or remove it, and both are found "
    "from the tables"
)

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
        "the same source_id twice among items",
        column(ITEMS, "source_id", ["a", "b", "a", "c"]),
        "items.parquet: source_id 'a' appears 2 times; expected each id once; merge or "
        "rename the repeats",
    ),
    (
        "a blank source_id",
        column(ITEMS, "source_id", ["a", None, "b", "c"]),
        "items.parquet: source_id is blank in 1 of 4 rows; expected an id in every row; fill them "
        "or drop the column",
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
        STATED,
    ),
    ("stated unit unknown", text("tidy.json", '{"unit": "thumbs", "attributes": {}}'), STATED),
    (
        "stated values no list",
        text("tidy.json", '{"unit": "stars", "attributes": {"genres": 5}}'),
        STATED,
    ),
    (
        "stated attributes no object",
        text("tidy.json", '{"unit": "stars", "attributes": 1}'),
        STATED,
    ),
    (
        "stated attribute that is not there",
        text("tidy.json", '{"unit": "stars", "attributes": {"mood": ["dark"]}}'),
        "items.parquet has no column 'mood', which tidy.json calls an attribute; add the column or "
        "correct tidy.json",
    ),
]


@pytest.mark.parametrize(("damage", "expected"), [c[1:] for c in TIDY], ids=[c[0] for c in TIDY])
def test_a_malformed_tidy_folder_is_refused_whole(
    tmp_path: Path, data_home: Path, damage: Damage, expected: str
) -> None:
    folder = write_tidy_folder(tmp_path / "source")
    damage(folder)
    refuse("tidy", folder, data_home, expected)
