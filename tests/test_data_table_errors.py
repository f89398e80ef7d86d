"""Every mistake in tables of one's own is one sentence with the next step; nothing is kept."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from simrec.cli.data import data_app
from simrec.datasets.table import TableRequest, read_own_tables
from simrec.errors import SimrecError
from tests.damaged_data import Damage, refuse, remove, text
from tests.own_tables import ITEMS, LOG, beside, both, write_own

ENDINGS = "with an ending of .csv .tsv .parquet .jsonl"


def log(old: str, new: str) -> Damage:
    assert old in LOG
    return text("interactions.csv", LOG.replace(old, new))


def items(old: str, new: str) -> Damage:
    assert old in ITEMS
    return text("items.csv", ITEMS.replace(old, new))


MISTAKES: list[tuple[str, Damage, str]] = [
    (
        "no log",
        remove("interactions.csv"),
        "{folder} has no log; expected interactions or log or ratings or events or clicks "
        f"{ENDINGS}; there is items.csv: rename the file that it is",
    ),
    (
        "no catalogue",
        remove("items.csv"),
        "{folder} has no catalogue; expected items or catalogue or catalog or products or movies "
        f"{ENDINGS}; there is interactions.csv: rename the file that it is",
    ),
    (
        "two logs",
        beside("ratings.tsv", "a\tb\n"),
        "{folder} has interactions.csv and ratings.tsv, and each may be the log; expected one; "
        "move or rename the others",
    ),
    (
        "two columns of one name",
        log("rating", "user_id"),
        "interactions.csv has the column 'user_id' twice; expected a line of different names "
        "first; mend it",
    ),
    (
        "an empty file",
        text("items.csv", ""),
        "items.csv is empty; expected a line of different names first; mend it",
    ),
    (
        "an empty log",
        text("interactions.csv", "user_id,item_id\n"),
        "interactions.csv has no rows; expected one for each event; add the events",
    ),
    (
        "an empty catalogue",
        text("items.csv", "item_id,title\n"),
        "items.csv has no rows; expected one for each item; add the items",
    ),
    (
        "a row too long",
        log("bob,", "bob,bob,"),
        "interactions.csv cannot be read (CSV parse error: Row #3: Expected 4 columns, got 5: "
        "bob,bob,sku-10,3.5,1700000060); expected a whole table, text in UTF-8; mend the file or "
        "write it again",
    ),
    (
        "no user",
        log("user_id", "who"),
        "interactions.csv has no column that is known as the user; it has who, item_id, rating, "
        "timestamp; say which it is: --column user=NAME",
    ),
    (
        "no title",
        items("title", "label"),
        "items.csv has no column that is known as the title; it has item_id, label, description, "
        "genres, year, price; say which it is: --column title=NAME",
    ),
    (
        "two that may be the user",
        log("user_id,item_id,rating", "user_id,item_id,Customer ID"),
        "interactions.csv has user_id and Customer ID, and each may be the user; expected one; say "
        "which: --column user=user_id",
    ),
    (
        "two that may be the feedback",
        log("timestamp", "Count"),
        "interactions.csv has rating and Count, and each may be the feedback; expected one; say "
        "which: --column feedback=rating (or --column feedback= for none)",
    ),
    (
        "a blank user",
        log("bob,", " ,"),
        "interactions.csv: user_id is empty in row 2; expected an id in every row; fill or drop it",
    ),
    (
        "lists for ids",
        both(
            remove("interactions.csv"),
            text("log.jsonl", '{"user": ["ann"], "item": "007", "rating": 1}'),
        ),
        "log.jsonl: user holds lists; expected ids, text or whole numbers; convert the column",
    ),
    (
        "fractions for ids",
        both(remove("interactions.csv"), text("log.jsonl", '{"user": 1.5, "item": "007"}')),
        "log.jsonl: user holds double; expected ids, text or whole numbers; convert the column",
    ),
    (
        "times of day",
        text("interactions.csv", "user,item,time\nann,007,10:30\n"),
        "interactions.csv: time holds times of day; expected seconds, milliseconds or dates in ISO "
        "8601; convert the column",
    ),
    (
        "feedback that is no number",
        log("3.5", "good"),
        "interactions.csv: rating is 'good' in row 2; expected a number; correct the row, or say "
        "--column feedback= and every event is a click",
    ),
    (
        "NaN feedback",
        log("3.5", "NaN"),
        "interactions.csv: rating is empty in row 2; expected a number in every row; fill or drop "
        "it",
    ),
    (
        "infinite feedback",
        log("3.5", "inf"),
        "interactions.csv: rating is inf in row 2; expected a finite number; correct or drop the "
        "row",
    ),
    (
        "feedback of no unit",
        log("3.5", "-1"),
        "interactions.csv: rating is -1 in row 2; expected stars (0.5 to 5 in halves), counts (1, "
        "2, ...) or 0 and 1; rescale the column",
    ),
    (
        "an unreadable date",
        log("1700000060", "31.05.2024"),
        "interactions.csv: timestamp is '31.05.2024' in row 2; expected seconds, milliseconds or a "
        "date in ISO 8601 such as 2024-05-31 18:30:00, the same in every row; rewrite the column",
    ),
    (
        "a year before the calendar",
        log("1700000060", "-99999999999"),
        "interactions.csv: timestamp runs from -99999999999 to 1700000120 seconds since 1970, "
        "which is no date; expected years 1 to 9999; correct the column",
    ),
    (
        "items that the catalogue has not",
        log("sku-10,1", "sku-11,1"),
        "interactions.csv: item_id is 'sku-11' in row 3, which is not in items.csv (in 1 of 3 "
        "events; such items: 1); expected every item there; add them or say --drop-unknown",
    ),
    (
        "no common item",
        text("interactions.csv", LOG.replace("sku-", "")),
        "interactions.csv: item_id has no id of items.csv: '9' here, 'sku-10' there; expected the "
        "same ids in both; rename them, or name another column with --column item=NAME",
    ),
    (
        "an item twice",
        items("007", "sku-10"),
        "items.csv: item_id is 'sku-10' in row 1 and in row 3; expected each id once; drop one of "
        "the rows",
    ),
    (
        "a blank title",
        items("Lamp", " "),
        "items.csv: item 'sku-9' has no title in row 2; expected some text; give it a title",
    ),
]


@pytest.mark.parametrize(
    ("damage", "sentence"), [m[1:] for m in MISTAKES], ids=[m[0] for m in MISTAKES]
)
def test_a_mistake_in_the_folder(
    tmp_path: Path, data_home: Path, damage: Damage, sentence: str
) -> None:
    folder = write_own(tmp_path / "shop")
    damage(folder)
    refuse("table", folder, data_home, sentence)


@pytest.mark.parametrize(
    ("columns", "sentence"),
    [
        (
            ["user=customr"],
            "--column user=customr: there is no column 'customr' in interactions.csv; expected one "
            "of item_id, rating, timestamp, user_id",
        ),
        (
            ["title=titel"],
            "--column title=titel: there is no column 'titel' in items.csv; did you mean 'title'?",
        ),
        (
            ["item=item"],
            "--column item=item: there is no column 'item' in interactions.csv or items.csv; did "
            "you mean 'item_id'?",
        ),
        (["usr=a"], "a column is never 'usr'; did you mean 'user'?"),
        (
            ["customer"],
            "--column customer has no '='; expected ROLE=NAME; for example --column user=customer",
        ),
        (
            ["user="],
            "--column user= names no column; expected a name, since every data set has the user; "
            "only feedback, time, text may be left out so",
        ),
    ],
)
def test_a_mistake_in_what_was_said(tmp_path: Path, columns: list[str], sentence: str) -> None:
    with pytest.raises(SimrecError) as caught:
        read_own_tables(write_own(tmp_path), name="shop", request=TableRequest(columns))
    assert str(caught.value) == sentence


@pytest.mark.usefixtures("data_home")
def test_columns_belong_to_tables(tmp_path: Path) -> None:
    command = ["import", str(tmp_path), "--name", "shop", "--column", "user=customer"]
    result = CliRunner().invoke(data_app, command)
    assert str(result.exception) == (
        "--column and --drop-unknown are for --format table; the format here is 'tidy', whose "
        "columns have fixed names; leave them out or say --format table"
    )
