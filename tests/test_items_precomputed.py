"""Features that others computed: joined by id, missing rows known; layouts of twenty rows."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import save_file

from simrec.datasets.feature_files import read_states
from simrec.datasets.layouts import read_layout
from simrec.errors import SimrecError
from tests.data_folders import picture

IDS = ("a", "b", "c")


def test_npy_rows_follow_the_catalogue_or_their_ids(tmp_path: Path):
    path = tmp_path / "f.npy"
    np.save(path, np.array([[1, 2], [0, 0], [np.nan, 3]]))
    values, present = read_states(path, IDS)
    assert values.shape == (3, 1, 2) and present.tolist() == [True, False, False]
    np.testing.assert_array_equal(values[:, 0], [[1, 2], [0, 0], [0, 0]])
    values, present = read_states(path, IDS, row_ids=["c", "a", "b"], mask=[True, True, False])
    np.testing.assert_array_equal(values[:, 0], [[0, 0], [0, 0], [1, 2]])
    assert present.tolist() == [True, False, True]  # the mask says the zero row is real


def test_parquet_and_safetensors_join_by_id(tmp_path: Path):
    frame = pd.DataFrame({"item_id": ["c", "a"], "vector": [[3.0, 4.0], [1.0, 2.0]]})
    frame.to_parquet(tmp_path / "f.parquet")
    values, present = read_states(tmp_path / "f.parquet", IDS)
    np.testing.assert_array_equal(values[:, 0], [[1, 2], [0, 0], [3, 4]])
    assert present.tolist() == [True, False, True]
    states = np.arange(12, dtype=np.float32).reshape(2, 3, 2)
    tensors = {"values": states, "present": np.array([True, False])}
    save_file(tensors, tmp_path / "f.safetensors", {"ids": json.dumps(["b", "c"])})
    values, present = read_states(tmp_path / "f.safetensors", IDS)
    assert values.shape == (3, 3, 2) and present.tolist() == [False, True, False]
    np.testing.assert_array_equal(values[1], states[0])


def test_wrong_files_are_one_sentence(tmp_path: Path):
    np.save(tmp_path / "f.npy", np.ones((2, 2)))
    with pytest.raises(SimrecError, match=r"f\.npy has 2 rows for 3 items and no ids"):
        read_states(tmp_path / "f.npy", IDS)
    with pytest.raises(SimrecError, match="holds the unknown item 'z'"):
        read_states(tmp_path / "f.npy", IDS, row_ids=["a", "z"])
    with pytest.raises(SimrecError, match="repeats item 'a'"):
        read_states(tmp_path / "f.npy", IDS, row_ids=["a", "a"])
    np.save(tmp_path / "g.npy", np.ones(3))
    with pytest.raises(SimrecError, match=r"g.npy has shape \(3,\)"):
        read_states(tmp_path / "g.npy", IDS)
    with pytest.raises(SimrecError, match=r"f.csv is no feature file"):
        read_states(tmp_path / "f.csv", IDS)
    (tmp_path / "h.parquet").write_bytes(b"PAR1")
    with pytest.raises(SimrecError, match="cannot be read"):
        read_states(tmp_path / "h.parquet", IDS)
    np.save(tmp_path / "n.npy", np.full((3, 2), np.nan))
    with pytest.raises(SimrecError, match="calls a row real that holds NaN"):
        read_states(tmp_path / "n.npy", IDS, mask=[True] * 3)


def _events(n: int = 20) -> tuple[list[int], list[int], list[int]]:
    return [1 + k % 4 for k in range(n)], [1 + k % 5 for k in range(n)], [100 + k for k in range(n)]


def test_microlens(tmp_path: Path):
    user, item, time = _events()
    frame = pd.DataFrame({"user": user, "item": item, "timestamp": time})
    frame.to_csv(tmp_path / "MicroLens-100k_pairs.csv", index=False)
    titles = pd.DataFrame({"item": range(1, 6), "title": list("vwxyz")})
    titles.to_csv(tmp_path / "MicroLens-100k_title_en.csv", index=False)
    covers = tmp_path / "MicroLens-100k_covers"
    covers.mkdir()
    (covers / "2.jpg").write_bytes(picture(9))
    vectors = np.arange(1, 11, dtype=np.float32).reshape(5, 2)
    np.save(tmp_path / "MicroLens-100k_video_features.npy", vectors)
    data = read_layout("microlens", tmp_path)
    assert data.catalogue.titles == ("v", "w", "x", "y", "z")
    assert [image is not None for image in data.catalogue.images] == [0, 1, 0, 0, 0]
    np.testing.assert_array_equal(data.catalogue.features["video_features"].values, vectors)
    assert (len(data.log), data.log.n_users, data.log.unit) == (20, 4, "implicit")
    assert data.catalogue.item_ids[data.log.item[3]] == "4" and data.log.time[3] == 103


def test_ninerec_and_pixelrec(tmp_path: Path):
    user, item, time = _events()
    nine = tmp_path / "nine"
    nine.mkdir()
    pd.DataFrame({"u": user, "i": [f"v{i}" for i in item], "t": time}).to_csv(
        nine / "KU_pair.csv", index=False, header=False
    )
    pd.DataFrame({"i": [f"v{i}" for i in range(1, 6)], "zh": "文", "en": list("abcde")}).to_csv(
        nine / "KU_item.csv", index=False, header=False
    )
    data = read_layout("ninerec", nine)
    assert data.catalogue.titles == ("a", "b", "c", "d", "e") and len(data.log) == 20
    pixel = tmp_path / "pixel"
    pixel.mkdir()
    pd.DataFrame({"item_id": item, "user_id": user, "timestamp": time}).to_csv(
        pixel / "Pixel50K.csv", index=False
    )
    pd.DataFrame({"item_id": range(1, 6), "title": list("abcde"), "tag": "x"}).to_csv(
        pixel / "item_info.csv", index=False
    )
    data = read_layout("pixelrec", pixel)
    assert data.catalogue.item_ids == ("1", "2", "3", "4", "5") and data.log.n_users == 4


def test_mmrec(tmp_path: Path):
    user, item, time = _events()
    frame = pd.DataFrame({"userID": user, "itemID": item, "rating": 4.0, "timestamp": time})
    frame.to_csv(tmp_path / "baby.inter", sep="\t", index=False)
    mapping = pd.DataFrame({"asin": list("EDCBA"), "itemID": [5, 4, 3, 2, 1]})
    mapping.to_csv(tmp_path / "i_id_mapping.csv", sep="\t", index=False)
    np.save(tmp_path / "image_feat.npy", np.arange(1.0, 11.0).reshape(5, 2))
    data = read_layout("mmrec", tmp_path)
    assert data.catalogue.titles == ("A", "B", "C", "D", "E") and data.log.unit == "stars"
    np.testing.assert_array_equal(data.catalogue.features["image_features"].values[4], [9, 10])


def test_a_layout_says_what_it_lacks(tmp_path: Path):
    with pytest.raises(SimrecError, match=r"has no \*_pairs.csv; expected that file"):
        read_layout("microlens", tmp_path)
    with pytest.raises(SimrecError, match="there is no layout 'mmrek'; did you mean 'mmrec'"):
        read_layout("mmrek", tmp_path)
