"""`--format table`: a log and a catalogue as people have them, read to exact arrays."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from simrec.cli.data import data_app
from simrec.datasets.dataset import Dataset
from simrec.datasets.library import import_dataset, load_dataset
from simrec.datasets.table import TableRequest, read_own_tables
from tests.data_folders import picture
from tests.own_tables import LOG, write_own


def read(folder: Path, *columns: str, drop: bool = False) -> tuple[Dataset, list[str]]:
    told: list[str] = []
    request = TableRequest(columns, drop, told.append)
    return read_own_tables(folder, name="shop", request=request), told


def test_two_csv_files_become_arrays(tmp_path: Path) -> None:
    dataset, told = read(write_own(tmp_path))
    log, catalogue = dataset.log, dataset.catalogue
    assert log.user_ids == ("ann", "bob")
    assert log.user.tolist() == [0, 1, 0]
    assert log.item.tolist() == [1, 0, 0]
    assert log.feedback.tolist() == [4.0, 3.5, 1.0]
    assert log.time is not None and log.time.tolist() == [1700000000, 1700000060, 1700000120]
    assert (log.unit, log.n_items) == ("stars", 3)
    assert catalogue.item_ids == ("sku-10", "sku-9", "007")  # as text, in the file's order
    assert catalogue.titles == ("Teapot", "Lamp", "Cup")
    assert catalogue.texts == ("Holds two.", "", "White,\nwith a handle.")
    assert list(catalogue.attributes) == ["genres", "year"]
    genres = catalogue.attributes["genres"]
    assert genres.vocabulary == ("Light", "Tea")  # iron is said of one item only
    assert genres.membership.tolist() == [[False, True], [True, False], [True, True]]
    assert catalogue.attributes["year"].vocabulary == ("1990",)
    assert told == [
        "interactions.csv: 3 events; user is user_id, item is item_id; feedback is rating (stars, "
        "1 to 4); time is timestamp (seconds, 2023-11-14 to 2023-11-14)",
        "items.csv: 3 items; item is item_id, title is title; text is description; attributes: "
        "genres (2, split at |), year (1); not used: price",
    ]


def test_names_of_ones_own_and_a_catalogue_that_calls_its_ids_otherwise(tmp_path: Path) -> None:
    log = "who;what;stars;day;device\nb;2;5;2024-05-02;x\na; 10 ;1;2024-05-01;y\n"
    write_own(tmp_path, log, "\ufeffsku\tlabel\tblurb\n10\tTeapot\tOld\n2\tLamp\t\n")
    (tmp_path / "interactions.csv").rename(tmp_path / "Clicks.csv")
    (tmp_path / "items.csv").rename(tmp_path / "products.tsv")
    columns = ("user=who", "item=what", "time=day", "title=label", "text=blurb")
    dataset, told = read(tmp_path, *columns)
    assert dataset.log.user_ids == ("a", "b")
    assert dataset.log.user.tolist() == [1, 0]
    assert dataset.log.item.tolist() == [1, 0]
    assert dataset.log.time is not None
    assert np.diff(dataset.log.time).tolist() == [-86400]
    assert dataset.catalogue.item_ids == ("10", "2")
    assert dataset.catalogue.texts == ("Old", "")
    assert told[0].endswith("not used: device")


def as_parquet(folder: Path) -> None:
    for path in list(folder.glob("*.csv")):
        frame = pd.read_csv(path, dtype={"item_id": str})
        if path.stem == "interactions":
            frame = frame[frame.columns[::-1]]
        frame.to_parquet(path.with_suffix(".parquet"))
        path.unlink()


def as_lines(folder: Path) -> None:
    for path in list(folder.glob("*.csv")):
        frame = pd.read_csv(path, dtype={"item_id": str})
        frame.to_json(path.with_suffix(".jsonl"), orient="records", lines=True)
        path.unlink()


def as_tabs(folder: Path) -> None:
    for path in list(folder.glob("*.csv")):
        frame = pd.read_csv(path, dtype=str, keep_default_na=False)
        frame.to_csv(path.with_suffix(".tsv"), sep="\t", index=False)
        path.unlink()


@pytest.mark.parametrize("rewrite", [as_parquet, as_lines, as_tabs])
def test_every_kind_of_table_says_the_same(tmp_path: Path, rewrite: Callable[[Path], None]) -> None:
    expected, _ = read(write_own(tmp_path / "csv"))
    rewrite(write_own(tmp_path / "other"))
    assert read(tmp_path / "other")[0].fingerprint == expected.fingerprint


def test_number_ids_count_up_and_need_no_text(tmp_path: Path) -> None:
    write_own(tmp_path)
    pd.DataFrame({"user": [10, 9, 10], "item": [3.0, 3.0, 20.0]}).to_parquet(
        tmp_path / "interactions.parquet"
    )
    (tmp_path / "interactions.csv").unlink()
    (tmp_path / "items.csv").write_text("id,name\n3,1984\n20,NA\n")
    dataset, told = read(tmp_path)
    assert dataset.log.user_ids == ("9", "10")
    assert dataset.log.user.tolist() == [1, 0, 1]
    assert dataset.catalogue.item_ids == ("3", "20")
    assert dataset.catalogue.titles == ("1984", "NA")
    assert dataset.log.feedback.tolist() == [1.0, 1.0, 1.0]
    assert (dataset.log.unit, dataset.log.time) == ("implicit", None)
    assert "no feedback, so every event is a click" in told[0]


def test_feedback_can_be_left_out_though_it_is_there(tmp_path: Path) -> None:
    dataset, told = read(write_own(tmp_path), "feedback=", "time=")
    assert dataset.log.feedback.tolist() == [1.0, 1.0, 1.0]
    assert dataset.log.time is None
    assert told[0].endswith("not used: rating, timestamp")


def test_events_of_unknown_items_are_dropped_when_told_and_their_users_with_them(
    tmp_path: Path,
) -> None:
    log = LOG.replace("bob,sku-10", "bob,sku-11") + "ann,sku-12,2,1\n"
    dataset, told = read(write_own(tmp_path, log), drop=True)
    assert dataset.log.user_ids == ("ann",)
    assert dataset.log.item.tolist() == [1, 0]
    assert dataset.log.feedback.tolist() == [4.0, 1.0]
    assert dataset.log.time is not None
    assert dataset.log.time.tolist() == [1700000000, 1700000120]
    assert told[1] == "dropped, since not in items.csv: 2 of 4 events; such items: 2"


def test_the_kept_copy_is_tidy_speaks_the_sources_ids_and_has_the_same_bytes_again(
    tmp_path: Path, data_home: Path
) -> None:
    folder = write_own(tmp_path / "shop")
    (folder / "covers").mkdir()
    (folder / "covers" / "sku-9.jpg").write_bytes(picture(1))
    command = ["import", "--format", "table", str(folder), "--name", "shop"]
    result = CliRunner().invoke(data_app, [*command, "--column", "feedback=rating"])
    assert result.exit_code == 0, result.output
    assert result.output.startswith("interactions.csv: 3 events; user is user_id")
    kept = {p.name: p.read_bytes() for p in (data_home / "data" / "shop").glob("*.parquet")}
    assert sorted(kept) == [
        *("images.parquet", "interactions.parquet", "items.parquet", "users.parquet"),
    ]
    stored = load_dataset("shop")
    assert stored.fingerprint == read(folder)[0].fingerprint
    assert stored.catalogue.item_ids == ("sku-10", "sku-9", "007")
    assert CliRunner().invoke(data_app, [*command, "--replace"]).exit_code == 0
    again = {p.name: p.read_bytes() for p in (data_home / "data" / "shop").glob("*.parquet")}
    assert again == kept


@pytest.mark.usefixtures("data_home")
def test_a_kept_copy_can_be_imported_as_tidy(tmp_path: Path) -> None:
    first = import_dataset("table", write_own(tmp_path / "shop"), "shop")
    assert first.folder is not None
    second = import_dataset("tidy", first.folder, "second")
    assert second.log.fingerprint == first.log.fingerprint
    assert second.catalogue.item_ids == first.catalogue.item_ids
