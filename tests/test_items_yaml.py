"""Everything about items that a study file can choose, chosen through a study file."""

from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from simrec.cli import app
from simrec.config import ItemsConfig, load_config
from simrec.datasets.library import FORMATS, import_dataset
from simrec.datasets.toy import make_toy
from simrec.errors import SimrecError
from simrec.items.adapted import adapted_table
from simrec.items.adapters import ADAPTERS, GRAPH_ADAPTERS
from simrec.items.build import build_item_table
from simrec.items.contents import prepare
from simrec.items.id_kinds import KINDS
from simrec.items.masked import hidden_table
from simrec.items.missing import POLICIES
from simrec.items.store import encode_features
from simrec.items.table import ItemTable
from simrec.stages.inputs import Inputs
from simrec.stages.tables import agent_table, item_table

STUDY = "study: chosen\ndata: {name: toy}\nitems: {modalities: [text, image]}\n"
SHORT = "items.adapter={name: %s, width: 4, epochs: 1}"


def inputs(folder: Path, *overrides: str) -> Inputs:
    path = folder / "study.yaml"
    path.write_text(STUDY, encoding="utf-8")
    return Inputs(load_config(path, list(overrides)), folder / "runs")


SMALL = make_toy(seed=0, n_items=40, n_users=30)


@cache
def small_table() -> ItemTable:
    """The frozen table of a small toy world."""
    counts = np.bincount(SMALL.log.item, minlength=40)
    return build_item_table(SMALL.catalogue, counts, modalities=["text", "image"])


@pytest.mark.parametrize("name", [*ADAPTERS, *GRAPH_ADAPTERS])
def test_every_adapter_fusion_and_builder_by_its_name(name: str, tmp_path: Path):
    config = inputs(tmp_path, SHORT % name).config.items
    table = adapted_table(small_table(), SMALL.log, **config.adapter.model_dump())
    assert table.provenance["learnt"]["adapter"] == name and np.isfinite(table.fused).all()
    known = {**ADAPTERS, **GRAPH_ADAPTERS}[name]
    assert known.paper and (known.evidence == "ours" or len(known.paper) > 4)


@pytest.mark.parametrize("policy", [*POLICIES, "tests.test_items_yaml:sevens"])
def test_every_completion_by_its_name(policy: str, tmp_path: Path):
    catalogue, true = SMALL.catalogue, small_table()
    chosen = f"items.hidden={{pattern: item, rate: 0.5, policy: '{policy}'}}"
    seen = hidden_table(true, catalogue, inputs(tmp_path, chosen).config.items.hidden)
    assert seen.present.sum() < true.present.sum() and np.isfinite(seen.fused).all()
    gone = true.present & ~seen.present
    filled = any(seen.parts[m][gone[:, c]].any() for c, m in enumerate(seen.parts))
    assert filled == (policy not in ("zero", "learned_token"))
    assert hidden_table(true, catalogue, ItemsConfig().hidden) is true


def sevens(states, present, name):
    return np.full_like(states[name], 7.0)


def test_what_is_hidden_is_the_agents_affair_and_not_the_worlds(tmp_path: Path):
    plain = inputs(tmp_path)
    blind = inputs(tmp_path, "items.hidden={pattern: whole, modality: text}")
    assert blind.items_key == plain.items_key and blind.world_key == plain.world_key
    assert blind.preferences_key(0) != plain.preferences_key(0)
    assert blind.policy_key(0, False) != plain.policy_key(0, False)
    assert blind.run_key("ft", 0) != plain.run_key("ft", 0)
    assert plain.agent_items_key == plain.items_key
    seen, true = agent_table(blind), item_table(blind)
    assert not seen.parts["text"].any() and seen.parts["image"].any()
    assert true.parts["text"].any() and item_table(plain).fingerprint == true.fingerprint
    assert agent_table(blind).fingerprint == seen.fingerprint  # read back
    learnt = agent_table(
        inputs(
            tmp_path, "items.hidden={pattern: block, rate: 0.5, blocks: topic}", SHORT % "linear"
        )
    )
    assert learnt.provenance["learnt"]["adapter"] == "linear"
    assert "masked" in learnt.provenance
    with pytest.raises(SimrecError, match="there is no modality 'sound' to hide"):
        agent_table(inputs(tmp_path, "items.hidden={pattern: whole, modality: sound}"))
    with pytest.raises(SimrecError, match=r"cannot load the completion 'no\.module:f'"):
        agent_table(inputs(tmp_path, "items.hidden={pattern: item, policy: 'no.module:f'}"))


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_semantic_ids_by_its_name(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    inputs(tmp_path)
    out = tmp_path / "ids.parquet"
    chosen = f"items.ids={{kind: {kind}, levels: 2, size: 8, width: 4, epochs: 1}}"
    asked = ["items", "ids", str(tmp_path / "study.yaml"), "-o", str(out), "--set", chosen]
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, asked)
    assert done.exit_code == 0, done.output
    assert "usage perplexity" in done.output and KINDS[kind] in done.output.replace("\n", "")
    codes = pd.read_parquet(out)
    assert list(codes.columns) == ["item_id", "code_0", "code_1", "code_2"]
    assert not codes.duplicated(["code_0", "code_1", "code_2"]).any()
    assert codes[["code_0", "code_1"]].max().max() < 8


def test_published_layouts_are_formats_of_the_library(data_home: Path, tmp_path: Path):
    folder = tmp_path / "baby"
    folder.mkdir()
    user, item = [1 + k % 4 for k in range(20)], [1 + k % 5 for k in range(20)]
    log = pd.DataFrame({"userID": user, "itemID": item, "rating": 4.0, "timestamp": range(20)})
    log.to_csv(folder / "baby.inter", sep="\t", index=False)
    names = pd.DataFrame({"asin": list("EDCBA"), "itemID": [5, 4, 3, 2, 1]})
    names.to_csv(folder / "i_id_mapping.csv", sep="\t", index=False)
    np.save(folder / "image_feat.npy", np.arange(1.0, 11.0).reshape(5, 2))
    data = import_dataset("mmrec", folder, "baby")
    assert data.catalogue.name == "baby" and data.catalogue.titles == ("A", "B", "C", "D", "E")
    assert data.catalogue.features["image_features"].values[4].tolist() == [9, 10]
    assert {"microlens", "ninerec", "pixelrec"} <= set(FORMATS)
    with pytest.raises(SimrecError, match=r"has no \*_pairs.csv; expected that file"):
        import_dataset("microlens", folder, "lens")


def test_an_adapters_key_is_the_content_of_its_stores_and_not_their_place(tmp_path: Path):
    catalogue = make_toy(seed=0, n_items=12, n_users=10).catalogue
    made, contents = prepare(catalogue, "text", "none", folder=None, keep=None)
    for name in ("here", "there"):
        encode_features(tmp_path / name, made, contents, catalogue.item_ids)
    other = prepare(catalogue, "image", "none", folder=None, keep=None)
    encode_features(tmp_path / "other", *other, catalogue.item_ids)
    keys = [
        inputs(
            tmp_path, f"items.adapter={{name: iisan, stores: {{text: {tmp_path / n}}}}}"
        ).agent_items_key
        for n in ("here", "there", "other")
    ]
    assert keys[0] == keys[1] != keys[2]
    with pytest.raises(SimrecError, match="there is no feature store in"):
        _ = inputs(tmp_path, "items.adapter={name: iisan, stores: {text: nowhere}}").agent_items_key
