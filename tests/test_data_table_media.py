"""Pictures and features of one's own tables: joined by id, or refused in one sentence."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from simrec.datasets.table import TableRequest, read_own_tables
from tests.damaged_data import Damage, array, refuse
from tests.data_folders import picture
from tests.own_tables import beside, both, write_own


def test_pictures_and_features_are_joined_by_id(tmp_path: Path) -> None:
    write_own(tmp_path)
    for folder, name in (("covers", "007.jpg"), ("images", "sku-9.PNG"), ("covers", "logo.png")):
        (tmp_path / folder).mkdir(exist_ok=True)
        (tmp_path / folder / name).write_bytes(picture(1))
    features = tmp_path / "features"
    features.mkdir()
    np.save(features / "tone.npy", [[1.0], [2.0], [3.0]])
    (features / "colour.csv").write_text("item_id,red,blue\n007,0.5,1\nsku-10,2,\n")
    lists = {"id": ["sku-9", "007"], "vector": [[1.0, 2.0], None]}
    pd.DataFrame(lists).to_parquet(features / "clip.parquet")
    told: list[str] = []
    request = TableRequest(tell=told.append)
    dataset = read_own_tables(tmp_path, name="shop", request=request)
    assert [image is not None for image in dataset.catalogue.images] == [False, True, True]
    found = dataset.catalogue.features
    assert found["tone"].values.tolist() == [[1.0], [2.0], [3.0]]
    assert found["colour"].present.tolist() == [False, False, True]
    assert found["colour"].values.tolist() == [[0.0, 0.0], [0.0, 0.0], [0.5, 1.0]]
    assert found["clip"].present.tolist() == [False, True, False]
    assert found["clip"].values.tolist() == [[0.0, 0.0], [1.0, 2.0], [0.0, 0.0]]
    assert told[2:] == [
        "pictures: of 2 of 3 items; not used, since named by no item: 1",
        "features: tone (3 of 3 items), clip (1 of 3 items), colour (1 of 3 items)",
    ]


def lists(cells: list[list[float]]) -> Damage:
    def damage(folder: Path) -> None:
        (folder / "features").mkdir()
        frame = pd.DataFrame({"id": ["sku-9", "007"], "v": cells})
        frame.to_parquet(folder / "features" / "clip.parquet")

    return damage


MISTAKES: list[tuple[str, Damage, str]] = [
    (
        "pictures of nothing",
        beside("covers/cover-1.jpg", picture(1)),
        "none of the pictures in {folder}/covers (cover-1.jpg the first) is named by an item's id; "
        "expected names such as sku-10.jpg; rename them",
    ),
    (
        "two pictures",
        both(beside("covers/007.jpg", picture(1)), beside("images/007.png", picture(1))),
        "images/007.png is a second picture of item '007'; expected at most one; remove one of "
        "them",
    ),
    (
        "a broken picture",
        beside("covers/007.jpg", b"no picture"),
        "covers/007.jpg cannot be decoded; expected JPEG or PNG bytes; drop the row or store the "
        "picture again",
    ),
    (
        "features of unknown items",
        beside("features/tone.csv", "id,a\n007,1\n8,2\n"),
        "features/tone.csv: id is '8' in row 2, which the catalogue has not; expected its ids; "
        "drop the row or say --drop-unknown",
    ),
    (
        "features of an item twice",
        beside("features/tone.csv", "id,a\n007,1\n007,2\n"),
        "features/tone.csv: id is '007' in row 1 and in row 2; expected each id once; drop one of "
        "the rows",
    ),
    (
        "features in words",
        beside("features/tone.csv", "id,a\n007,loud\n"),
        "features/tone.csv: a holds text; expected numbers; remove or convert the column",
    ),
    (
        "features without a number",
        beside("features/tone.csv", "id\n007\n"),
        "features/tone.csv has ids and nothing else; expected columns of numbers; add them",
    ),
    (
        "features of nothing",
        beside("features/tone.csv", "id,a\n"),
        "features/tone.csv has no whole row of numbers for any item; expected some; add them or "
        "remove the file",
    ),
    (
        "a feature twice",
        both(beside("features/a.csv", "id,x\n007,1\n"), array("a", np.eye(3))),
        "features/a.csv is a second file of the feature 'a'; expected one; rename or remove it",
    ),
    (
        "lists of two lengths",
        lists([[1.0], [1.0, 2.0]]),
        "features/clip.parquet: v has lists of 1 and 2 numbers; expected one length; mend the rows",
    ),
    (
        "a feature kept for users",
        beside("features/user_tone.csv", "id,a\n007,1\n"),
        "features/user_tone.csv has a name kept for users, propensities or masks; expected another "
        "for a feature of items; rename it",
    ),
    (
        "a file of features too short",
        both(beside("features/notes.txt", ""), array("a", np.eye(2))),
        "features/a.npy has 2 rows; expected 3, one for each item; name it user... or "
        "propensity... if its rows are not items",
    ),
]


@pytest.mark.parametrize(
    ("damage", "sentence"), [m[1:] for m in MISTAKES], ids=[m[0] for m in MISTAKES]
)
def test_a_mistake_in_pictures_or_features(
    tmp_path: Path, data_home: Path, damage: Damage, sentence: str
) -> None:
    folder = write_own(tmp_path / "shop")
    damage(folder)
    refuse("table", folder, data_home, sentence)


def test_features_of_dropped_items_go_too(tmp_path: Path) -> None:
    folder = write_own(tmp_path)
    beside("features/tone.csv", "id,a\n8,2\n007,1\n")(folder)
    request = TableRequest(drop_unknown=True)
    found = read_own_tables(folder, name="shop", request=request).catalogue.features["tone"]
    assert found.values.tolist() == [[0.0], [0.0], [1.0]]
