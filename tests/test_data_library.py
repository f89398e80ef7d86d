"""The library of imported data sets."""

import json
from pathlib import Path

import pandas as pd
import pytest

from simrec.datasets.library import (
    dataset_info,
    import_dataset,
    list_datasets,
    load_dataset,
    open_dataset,
)
from simrec.datasets.tidy import read_tidy
from simrec.errors import SimrecError
from tests.data_folders import write_100k_folder, write_latest_folder, write_tidy_folder

pytestmark = pytest.mark.usefixtures("data_home")


def test_the_toy_world_is_always_there() -> None:
    assert list_datasets() == ["toy"]
    toy = load_dataset("toy")
    info = dataset_info("toy")
    assert info["fingerprint"] == toy.fingerprint
    assert (info["items"], info["users"], info["events"]) == (240, 600, len(toy.log))


def test_an_imported_tidy_set_is_the_one_read(tmp_path: Path, data_home: Path) -> None:
    folder = write_tidy_folder(tmp_path / "source")
    imported = import_dataset("tidy", folder, "films", imported_at="2025-01-01T00:00:00+00:00")
    assert imported.fingerprint == read_tidy(folder, name="films").fingerprint
    assert load_dataset("films").fingerprint == imported.fingerprint
    assert list_datasets() == ["films", "toy"]
    assert imported.folder == data_home / "data" / "films" == load_dataset("films").folder


def test_further_tables_and_terms_come_along(tmp_path: Path) -> None:
    stored = import_dataset("tidy", write_tidy_folder(tmp_path / "source"), "films").folder
    assert stored is not None
    assert pd.read_parquet(stored / "llm_ratings.parquet")["llm_rating"].tolist() == [4.0]
    assert (stored / "README.md").read_text() == "Terms: made up, free to use.\n"
    assert (stored / "features" / "user_onehot.npy").is_file()
    assert pd.read_parquet(stored / "users.parquet")["age"].tolist() == [20, 30, 40, 50]


def test_movielens_is_stored_tidy_with_the_ids_of_its_source(tmp_path: Path) -> None:
    imported = import_dataset("movielens", write_100k_folder(tmp_path / "source"), "ml")
    stored = load_dataset("ml")
    assert stored.fingerprint == imported.fingerprint
    assert stored.catalogue.item_ids == ("1", "2", "10")
    assert stored.log.user_ids == ("3", "7")


def test_information_says_where_a_set_came_from_and_what_it_holds(tmp_path: Path) -> None:
    folder = write_tidy_folder(tmp_path / "source")
    import_dataset("tidy", folder, "films", imported_at="2025-01-01T00:00:00+00:00")
    assert dataset_info("films") == {
        "source": str(folder),
        "format": "tidy",
        "imported_at": "2025-01-01T00:00:00+00:00",
        "users": 4,
        "items": 4,
        "events": 7,
        "unit": "stars",
        "timed": True,
        "descriptions": 4,
        "images": 2,
        "attributes": {"genres": 2, "country": 1, "year": 1},
        "features": {"clip_tone": 3, "colour": 4},
        "fingerprint": load_dataset("films").fingerprint,
    }


def test_a_taken_name_is_refused_unless_replaced(tmp_path: Path) -> None:
    first = import_dataset("movielens", write_100k_folder(tmp_path / "a"), "ml")
    other = write_latest_folder(tmp_path / "b")
    with pytest.raises(SimrecError) as caught:
        import_dataset("movielens", other, "ml")
    assert str(caught.value) == (
        "there is a data set 'ml' already; expected a new name; choose another or say --replace"
    )
    assert load_dataset("ml").fingerprint == first.fingerprint
    second = import_dataset("movielens", other, "ml", replace=True)
    assert load_dataset("ml").fingerprint == second.fingerprint != first.fingerprint


def test_a_failed_replacement_keeps_the_old_set(tmp_path: Path, data_home: Path) -> None:
    first = import_dataset("movielens", write_100k_folder(tmp_path / "a"), "ml")
    other = write_latest_folder(tmp_path / "b")
    (other / "movies.csv").unlink()
    with pytest.raises(SimrecError):
        import_dataset("movielens", other, "ml", replace=True)
    assert load_dataset("ml").fingerprint == first.fingerprint
    assert [path.name for path in (data_home / "data").iterdir()] == ["ml"]


def test_the_name_of_the_toy_world_is_taken(tmp_path: Path) -> None:
    with pytest.raises(SimrecError) as caught:
        import_dataset("tidy", write_tidy_folder(tmp_path / "source"), "toy", replace=True)
    assert str(caught.value) == (
        "'toy' is the generated data set; expected a new name; choose another"
    )


@pytest.mark.parametrize("ask", [load_dataset, dataset_info])
def test_an_unknown_name_is_answered_with_the_nearest(tmp_path: Path, ask: object) -> None:
    import_dataset("tidy", write_tidy_folder(tmp_path / "source"), "films")
    assert callable(ask)
    with pytest.raises(SimrecError) as caught:
        ask("film")
    assert str(caught.value) == "there is no data set 'film'; did you mean 'films'?"


def test_a_set_changed_after_its_import_is_refused(tmp_path: Path) -> None:
    imported = import_dataset("tidy", write_tidy_folder(tmp_path / "source"), "films")
    assert imported.folder is not None
    path = imported.folder / "interactions.parquet"
    pd.read_parquet(path).iloc[:-1].to_parquet(path)
    changed = read_tidy(imported.folder, name="films").fingerprint
    with pytest.raises(SimrecError) as caught:
        load_dataset("films")
    assert str(caught.value) == (
        f"data set 'films' has fingerprint {changed}; expected {imported.fingerprint} as "
        "imported; import it again with --replace"
    )


def test_an_unreadable_note_about_a_set_is_reported(tmp_path: Path) -> None:
    imported = import_dataset("tidy", write_tidy_folder(tmp_path / "source"), "films")
    assert imported.folder is not None
    (imported.folder / "dataset.json").write_text("[]")
    with pytest.raises(SimrecError) as caught:
        load_dataset("films")
    assert str(caught.value) == (
        "the dataset.json of data set 'films' cannot be read; expected what the import wrote; "
        "import it again with --replace"
    )


def test_a_set_is_opened_by_name_or_by_path(tmp_path: Path) -> None:
    folder = write_tidy_folder(tmp_path / "source")
    by_path = open_dataset(None, folder)
    assert by_path.catalogue.name == "source"
    assert by_path.folder == folder
    assert open_dataset("mine", folder).catalogue.name == "mine"
    assert open_dataset("toy", None).fingerprint == load_dataset("toy").fingerprint
    assert list_datasets() == ["toy"]  # opening a path keeps nothing
    with pytest.raises(SimrecError) as caught:
        open_dataset(None, None)
    assert str(caught.value) == (
        "no data set is given; expected data.name or data.path; set one of them"
    )


def test_a_stored_note_is_plain_json(tmp_path: Path) -> None:
    imported = import_dataset("tidy", write_tidy_folder(tmp_path / "source"), "films")
    assert imported.folder is not None
    note = json.loads((imported.folder / "dataset.json").read_text())
    assert note["fingerprint"] == imported.fingerprint


@pytest.mark.parametrize("name", ["coat", "ml100k_mm"])
def test_real_sets_are_imported_and_loaded_alike(shared_data: Path, name: str) -> None:
    imported = import_dataset("tidy", shared_data / name, name)
    assert load_dataset(name).fingerprint == imported.fingerprint
    assert imported.folder is not None
    extra = {path.name for path in (shared_data / name).glob("llm_*.parquet")}
    assert {path.name for path in imported.folder.glob("llm_*.parquet")} == extra
