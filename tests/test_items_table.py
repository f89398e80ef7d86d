"""The item table: pictures measured, modalities scaled alike, absent content never read."""

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from simrec.catalogue import Attribute, Catalogue, Features
from simrec.errors import SimrecError
from simrec.items.build import available_modalities, build_item_table
from simrec.items.describe import DESCRIPTION_LIMIT, clipped, item_texts
from simrec.items.image import DIM, image_features, image_vector
from simrec.items.reduce import principal_components, standardised
from simrec.items.table import ItemTable


def _png(colour: tuple[int, int, int], side: int = 10) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (side, side), colour).save(buffer, "PNG")
    return buffer.getvalue()


def _catalogue(n: int = 12) -> Catalogue:
    """A small catalogue in which every modality varies and all but text are absent somewhere."""
    rng = np.random.default_rng(5)
    words = ["bread", "goal", "guitar", "rocket", "river", "tiger", "opera", "chess"]
    membership = rng.random((n, 4)) < 0.4
    membership[0] = False
    membership[1:5] = np.eye(4, dtype=bool)
    present = np.arange(n) % 3 != 0
    values = np.where(present[:, None], rng.normal(size=(n, 5)), 0).astype(np.float32)
    return Catalogue(
        name="small",
        item_ids=tuple(f"i{k}" for k in range(n)),
        titles=tuple(" ".join(rng.choice(words, 3)) + f" {k}" for k in range(n)),
        texts=tuple(" ".join(rng.choice(words, 6)) if k % 4 else "" for k in range(n)),
        images=tuple(_png(tuple(rng.integers(256, size=3))) if k % 2 else None for k in range(n)),
        attributes={"kind": Attribute(("a", "b", "c", "d"), membership)},
        features={"sound": Features(values, present)},
    )


def test_a_uniform_red_picture_is_what_a_hand_works_out():
    red = image_vector(Image.new("RGB", (50, 20), (255, 0, 0)))
    # hue 0 -> bin 0 of 8; saturation 255 -> bin 2 of 3; value 255 -> bin 2 of 3:
    # place (0*3 + 2)*3 + 2 = 8 of the 72 holds every pixel. No edges (96 zeros). Then 16 cells of
    # mean colour (1, 0, 0).
    expected = np.zeros(72 + 96 + 48, dtype=np.float32)
    expected[8] = 1.0
    expected[168::3] = 1.0
    assert DIM == 216
    np.testing.assert_allclose(red, expected, atol=1e-7)


def test_a_vertical_edge_has_orientation_zero_in_its_cells_only():
    pixels = np.zeros((64, 64, 3), dtype=np.uint8)
    pixels[:, 8:] = 255
    edges = image_vector(Image.fromarray(pixels))[72:168].reshape(4, 4, 6)
    # central differences see the step of 1 in columns 7 and 8, half of it in each: two of the 16
    # columns of the first cells carry 0.5, so the mean there is 2 * 0.5 / 16
    expected = np.zeros((4, 4, 6))
    expected[:, 0, 0] = 1 / 16
    np.testing.assert_allclose(edges, expected, atol=1e-7)


def test_a_missing_picture_is_absent_and_bad_bytes_are_one_sentence():
    values, present = image_features([None, _png((0, 0, 255))], ["a", "b"])
    assert present.tolist() == [False, True]
    assert not values[0].any() and values[1].any()
    with pytest.raises(SimrecError) as error:
        image_features([b"not a picture"], ["film 7"])
    assert str(error.value).startswith("the image of item 'film 7' cannot be read (")
    assert str(error.value).endswith("expected JPEG or PNG bytes, replace or remove it")


def test_principal_component_of_points_on_a_line():
    # (0,0), (3,4), (6,8): one direction (0.6, 0.8), its larger entry made positive; the centred
    # points lie at -5, 0, 5 along it. The fourth row is absent.
    values = np.array([[0, 0], [3, 4], [6, 8], [np.nan, np.nan]], dtype=np.float32)
    out = principal_components(values, np.array([True, True, True, False]), 2)
    np.testing.assert_allclose(out, [[-5], [0], [5], [0]], atol=1e-5)


def test_standardised_columns_by_hand():
    # column 0 is 1, 3 over the present rows: mean 2, spread 1 -> -1, 1; column 1 never varies and
    # is dropped; column 2 is 0, 4: -1, 1. Two columns remain: times 1/sqrt(2).
    values = np.array([[1, 7, 0], [3, 7, 4], [9, 9, 9]], dtype=np.float32)
    out = standardised(values, np.array([True, True, False]))
    r = 1 / np.sqrt(2)
    np.testing.assert_allclose(out, [[-r, -r], [r, r], [0, 0]], atol=1e-6)


def test_every_modality_has_mean_squared_length_one_where_present():
    catalogue = _catalogue()
    table = build_item_table(catalogue, np.arange(12), text_dim=4, image_dim=3, feature_dim=2)
    assert table.modalities == ("text", "attributes", "image", "sound")
    assert [part.shape for part in table.parts.values()] == [(12, 4), (12, 4), (12, 3), (12, 2)]
    assert table.fused.shape == (12, 13)
    np.testing.assert_array_equal(table.fused, np.hstack(list(table.parts.values())))
    for column, part in enumerate(table.parts.values()):
        there = table.present[:, column]
        assert (part[there].astype(float) ** 2).sum(axis=1).mean() == pytest.approx(1, abs=1e-5)
        assert not part[~there].any()
    assert table.present[:, 2].tolist() == [k % 2 == 1 for k in range(12)]
    np.testing.assert_allclose(table.log_popularity[:2], [0.0, np.log(2)], rtol=1e-6)
    assert table.provenance["widths"] == {"text": 4, "attributes": 4, "image": 3, "sound": 2}
    assert table.provenance["encoders"]["text"] == "hashed-128"
    assert table.provenance["catalogue"] == catalogue.fingerprint


def test_absent_rows_may_hold_anything_and_reach_nothing():
    catalogue = _catalogue()
    sound = catalogue.features["sound"]
    poisoned = sound.values.copy()
    poisoned[~sound.present] = np.nan
    other = replace(catalogue, features={"sound": Features(poisoned, sound.present)})
    clean = build_item_table(catalogue, np.ones(12))
    table = build_item_table(other, np.ones(12))
    assert np.isfinite(table.fused).all()
    assert table.fused.tobytes() == clean.fused.tobytes()


def test_reordering_the_catalogue_reorders_the_table():
    catalogue = _catalogue()
    order = np.random.default_rng(0).permutation(12)
    popularity = np.arange(12)
    # three axes of the image: the last ones have equal variance here, so they are any rotation
    table = build_item_table(catalogue, popularity, text_dim=4, image_dim=3)
    moved = build_item_table(catalogue.select(order), popularity[order], text_dim=4, image_dim=3)
    np.testing.assert_allclose(moved.fused, table.fused[order], atol=1e-4)
    np.testing.assert_array_equal(moved.present, table.present[order])
    np.testing.assert_array_equal(moved.log_popularity, table.log_popularity[order])


def test_the_same_seed_gives_the_same_bytes_and_a_saved_table_comes_back(tmp_path: Path):
    table = build_item_table(_catalogue(), np.ones(12), seed=3)
    again = build_item_table(_catalogue(), np.ones(12), seed=3)
    assert table.fingerprint == again.fingerprint
    table.save(tmp_path / "table.safetensors")
    back = ItemTable.load(tmp_path / "table.safetensors")
    assert back.fingerprint == table.fingerprint
    assert back.modalities == table.modalities
    assert back.provenance == table.provenance
    for name, part in table.parts.items():
        np.testing.assert_array_equal(back.parts[name], part)


def test_wide_attributes_are_projected_to_thirty_two_columns():
    catalogue = _catalogue(60)
    membership = np.random.default_rng(1).random((60, 50)) < 0.2
    wide = replace(
        catalogue, attributes={"tag": Attribute(tuple(f"t{k}" for k in range(50)), membership)}
    )
    table = build_item_table(wide, np.ones(60), modalities=["attributes"])
    assert table.fused.shape == (60, 32)


def test_modalities_are_chosen_by_name_in_the_order_given():
    table = build_item_table(_catalogue(), np.ones(12), modalities=["sound", "text"])
    assert table.modalities == ("sound", "text")
    assert table.provenance["encoders"] == {"sound": "precomputed", "text": "hashed-128"}


@pytest.mark.parametrize(
    ("chosen", "sentence"),
    [
        (["txt"], "catalogue 'small' has no modality 'txt'; did you mean 'text'?"),
        ([], "no modality was chosen; expected one or more of text, attributes, image, sound"),
    ],
)
def test_wrong_modalities_are_one_sentence(chosen: list[str], sentence: str):
    with pytest.raises(SimrecError) as error:
        build_item_table(_catalogue(), np.ones(12), modalities=chosen)
    assert str(error.value) == sentence


def test_a_modality_that_is_the_same_everywhere_is_left_out_or_refused_by_name():
    catalogue = replace(_catalogue(), images=(_png((9, 9, 9)),) * 12)
    table = build_item_table(catalogue, np.ones(12))
    assert table.modalities == ("text", "attributes", "sound")
    assert table.provenance["left_out"] == ["image"]
    with pytest.raises(SimrecError) as error:
        build_item_table(catalogue, np.ones(12), modalities=["text", "image"])
    assert str(error.value) == (
        "modality 'image' of catalogue 'small' is the same for every item that has it, so it "
        "cannot tell items apart; leave it out of modalities"
    )


def test_popularity_of_another_length_and_reserved_names_are_refused():
    with pytest.raises(SimrecError) as error:
        build_item_table(_catalogue(), np.ones(11))
    assert str(error.value) == (
        "popularity has shape (11,); expected (12,), one count for each item of catalogue 'small'"
    )
    catalogue = _catalogue()
    clash = replace(catalogue, features={"image": catalogue.features["sound"]})
    with pytest.raises(SimrecError, match=r"named 'image', a name that simrec's own modality uses"):
        available_modalities(clash)


def test_item_texts_join_title_attributes_and_a_description_cut_at_a_word():
    catalogue = Catalogue(
        "c", ("1", "2"), ("Alien", "Up"), ("In  space\nno one", ""), (None, None),
        {"genre": Attribute(("horror", "sci-fi"), np.array([[True, True], [False, False]]))},
    )  # fmt: skip
    assert item_texts(catalogue) == ["Alien. horror, sci-fi. In space no one", "Up"]
    long = "word " * 200  # 5 letters each: 80 words are 399 letters, the 81st would pass 400
    assert clipped(long) == " ".join(["word"] * 80)
    assert len(clipped("x" * 1000)) == DESCRIPTION_LIMIT
