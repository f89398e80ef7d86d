"""The tidy format: what is read, and that writing and reading give the same data set."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from simrec.catalogue import Attribute, Catalogue, Features
from simrec.datasets.dataset import Dataset
from simrec.datasets.tidy import feedback_unit, read_tidy
from simrec.datasets.tidy_items import MAX_VALUES, attribute, frequent_values
from simrec.datasets.tidy_write import write_tidy
from simrec.errors import SimrecError
from simrec.interactions import InteractionLog
from tests.data_folders import picture, write_tidy_folder


@pytest.fixture
def tiny(tmp_path: Path) -> Dataset:
    return read_tidy(write_tidy_folder(tmp_path / "tiny"), name="tiny")


def test_items_come_in_the_order_of_their_ids(tiny: Dataset) -> None:
    assert tiny.catalogue.item_ids == ("0", "1", "2", "3")
    assert tiny.catalogue.titles == ("Alien", "Babe", "Cube", "Dune")


def test_texts_join_description_and_plot_without_repeating(tiny: Dataset) -> None:
    # Alien's plot "a ship." is inside its description, whatever the case; Babe has a plot only.
    assert tiny.catalogue.texts == (
        "A ship. A beast.",
        "A pig herds sheep.",
        "A maze. People wake up.",
        "Sand.",
    )


def test_columns_become_attributes_by_their_kind(tiny: Dataset) -> None:
    # score is a measurement, n_events counts the whole log: neither is an attribute.
    attributes = tiny.catalogue.attributes
    assert set(attributes) == {"genres", "country", "year"}
    # carried by two items: horror (Alien, Cube), space (Alien, Dune); farm by Babe alone
    assert attributes["genres"].vocabulary == ("horror", "space")
    assert attributes["genres"].membership.tolist() == [
        [True, True],
        [False, False],
        [True, False],
        [False, True],
    ]
    assert attributes["country"].vocabulary == ("US",)
    assert attributes["year"].vocabulary == ("1979",)  # stored as 1979.0 beside an empty cell
    assert attributes["year"].membership[:, 0].tolist() == [True, False, False, True]


def test_a_mask_serves_the_features_whose_name_it_begins(tiny: Dataset) -> None:
    features = tiny.catalogue.features
    assert set(features) == {"clip_tone", "colour"}  # user_onehot is about users
    assert features["clip_tone"].present.tolist() == [True, False, True, True]
    assert features["clip_tone"].values.tolist() == [[0, 1], [0, 0], [4, 5], [6, 7]]
    assert features["clip_tone"].values.dtype == np.float32
    assert features["colour"].present.all()


def test_the_longest_fitting_mask_wins(tmp_path: Path) -> None:
    folder = write_tidy_folder(tmp_path / "tiny")
    np.save(folder / "features" / "clip_tone_mask.npy", np.array([False, True, True, True]))
    np.save(folder / "features" / "clip_x.npy", np.ones((4, 1)))
    features = read_tidy(folder, name="tiny").catalogue.features
    assert features["clip_tone"].present.tolist() == [False, True, True, True]
    assert features["clip_x"].present.tolist() == [True, False, True, True]


def test_pictures_lie_at_their_items(tiny: Dataset) -> None:
    assert tiny.catalogue.images == (None, picture(10), None, picture(200))


def test_the_log_keeps_order_units_and_silent_users(tiny: Dataset) -> None:
    log = tiny.log
    assert (log.n_users, log.n_items, len(log), log.unit) == (4, 4, 7, "stars")
    assert log.user_ids == ("0", "1", "2", "3")  # user 3 is in users.parquet only
    assert log.item.tolist() == [0, 1, 2, 3, 0, 1, 1]  # the repeated pair stays
    assert log.time is not None and log.time.tolist() == [10, 20, 30, 10, 10, 5, 6]


def test_users_without_a_table_are_numbered_by_their_ids(tmp_path: Path) -> None:
    folder = write_tidy_folder(tmp_path / "tiny")
    (folder / "users.parquet").unlink()
    import pandas as pd

    events = pd.read_parquet(folder / "interactions.parquet")
    events["user_id"] = events["user_id"] * 10 + 7  # 7, 17, 27
    events.to_parquet(folder / "interactions.parquet")
    log = read_tidy(folder, name="tiny").log
    assert log.user_ids == ("7", "17", "27")
    assert log.user.tolist() == [0, 0, 0, 1, 1, 2, 2]


@pytest.mark.parametrize(
    ("ratings", "unit"),
    [
        ([1, 1, 1], "implicit"),
        ([0, 1, 1], "implicit"),
        ([0.5, 5, 3], "stars"),
        ([1, 2], "stars"),  # all fit both stars and counts; stars are the commoner case
        ([1, 2, 6], "count"),
        ([13883], "count"),
    ],
)
def test_the_unit_follows_from_the_values(ratings: list[float], unit: str) -> None:
    assert feedback_unit(np.array(ratings, dtype=np.float64)) == unit


def test_a_vocabulary_holds_shared_values_and_the_most_frequent_of_them() -> None:
    # value k is carried by the items k, k+1, ..., 300: 301 - k items, so k = 300 by one only
    values = [[f"{k:03d}" for k in range(i + 1)] for i in range(301)]
    vocabulary = frequent_values(values)
    assert len(vocabulary) == MAX_VALUES
    assert vocabulary == tuple(f"{k:03d}" for k in range(MAX_VALUES))
    assert frequent_values([["a", "a"], ["b"]]) == ()  # twice in one item is still one item
    assert attribute([["x", "z"], []], ("z", "x")).membership.tolist() == [[1, 1], [0, 0]]


def test_a_data_set_is_the_same_after_writing_and_reading(tiny: Dataset, tmp_path: Path) -> None:
    write_tidy(tiny, tmp_path / "copy")
    again = read_tidy(tmp_path / "copy", name="tiny")
    assert again.fingerprint == tiny.fingerprint
    assert again.log.user_ids == tiny.log.user_ids
    assert again.folder == tmp_path / "copy"


def test_a_part_of_a_data_set_survives_writing_too(tiny: Dataset, tmp_path: Path) -> None:
    # after filtering, a value may be carried by one item and the log may hold whole stars only
    part = tiny.filtered(min_item_events=2, min_user_events=2)
    assert part.catalogue.item_ids == ("0", "1")
    write_tidy(part, tmp_path / "part")
    assert read_tidy(tmp_path / "part", name="tiny").fingerprint == part.fingerprint


words = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=6).map(
    lambda text: text.strip() or "x"
)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.differing_executors])
@given(data=st.data(), timed=st.booleans(), unit=st.sampled_from(["stars", "count", "implicit"]))
def test_any_data_set_survives_writing_and_reading(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, timed: bool, unit: str
) -> None:
    n_items = data.draw(st.integers(1, 5))
    n_users = data.draw(st.integers(1, 4))
    n = data.draw(st.integers(1, 12))
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    vocabulary = tuple(data.draw(st.lists(words, unique=True, max_size=4)))
    present = rng.random(n_items) < 0.5
    dataset = Dataset(
        Catalogue(
            name="any",
            item_ids=tuple(f"i{k}" for k in range(n_items)),
            titles=tuple(data.draw(words) for _ in range(n_items)),
            texts=tuple(data.draw(st.one_of(st.just(""), words)) for _ in range(n_items)),
            images=tuple(picture(k) if rng.random() < 0.5 else None for k in range(n_items)),
            attributes={"kind": Attribute(vocabulary, rng.random((n_items, len(vocabulary))) < 1)},
            features={"f": Features(np.zeros((n_items, 2), dtype=np.float32), present)},
        ),
        InteractionLog(
            rng.integers(0, n_users, n).astype(np.int32),
            rng.integers(0, n_items, n).astype(np.int32),
            np.ones(n, dtype=np.float32),
            rng.integers(0, 2 * 10**9, n) if timed else None,
            unit,
            tuple(f"u{k}" for k in range(n_users)),
            n_items,
        ),
        None,
    )
    folder = tmp_path_factory.mktemp("any") / "set"
    write_tidy(dataset, folder)
    assert read_tidy(folder, name="any").fingerprint == dataset.fingerprint


def test_writing_into_a_full_folder_is_refused(tiny: Dataset, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("keep me")
    with pytest.raises(SimrecError) as caught:
        write_tidy(tiny, tmp_path / "full")
    assert str(caught.value) == (
        f"{tmp_path / 'full'} is not empty; expected a new folder; choose another"
    )
    assert (tmp_path / "full" / "mine.txt").read_text() == "keep me"


@pytest.mark.parametrize(
    ("name", "items", "users", "events", "unit", "timed"),
    [
        ("coat", 300, 290, 11600, "stars", False),
        ("ml100k_mm", 1682, 943, 100000, "stars", True),
        ("lastfm2k", 17632, 1892, 92834, "count", False),
        ("amazon_scientific", 20825, 12076, 85211, "implicit", True),
        ("microlens50k", 19220, 50000, 359708, "implicit", True),
    ],
)
def test_every_real_data_set_is_read_with_its_stated_counts(
    shared_data: Path, name: str, items: int, users: int, events: int, unit: str, timed: bool
) -> None:
    dataset = read_tidy(shared_data / name, name=name)
    assert (len(dataset.catalogue), dataset.log.n_users) == (items, users)
    assert (len(dataset.log), dataset.log.unit) == (events, unit)
    assert (dataset.log.time is not None) is timed


def test_the_film_set_has_its_stated_posters_trailers_and_texts(shared_data: Path) -> None:
    catalogue = read_tidy(shared_data / "ml100k_mm", name="ml100k_mm").catalogue
    assert sum(image is not None for image in catalogue.images) == 1431
    assert int(catalogue.features["poster_lowlevel"].present.sum()) == 1431
    assert int(catalogue.features["trailer_mise_en_scene"].present.sum()) == 1047
    assert sum(bool(text) for text in catalogue.texts) == 1677
    assert len(catalogue.attribute("genres").vocabulary) == 19
