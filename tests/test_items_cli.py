"""`simrec items` and the study's items.adapter: encode, fit, report and export on the toy world."""

import re
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from simrec.cli import app
from simrec.config import ItemsConfig, load_config
from simrec.datasets.feature_files import read_states
from simrec.datasets.library import open_dataset
from simrec.datasets.toy import make_toy
from simrec.errors import SimrecError
from simrec.items.build import build_item_table
from simrec.items.table import ItemTable
from simrec.stages.inputs import Inputs
from tests.data_folders import write_tidy_folder
from tests.tiny_vlm import save_tiny_vlm

STUDY = """
study: learnt
data: {name: toy}
items:
  modalities: [text, image]
  adapter: {name: iisan, width: 16, epochs: 2}
"""


def _run(*arguments: str) -> str:
    result = CliRunner().invoke(app, list(arguments))
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.output


def _study(folder: Path, text: str = STUDY) -> Path:
    path = folder / "study.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_encode_then_report(data_home: Path, tmp_path: Path):
    out = tmp_path / "features"
    for modality in ("text", "image"):
        said = _run("items", "encode", "toy", "--modality", modality, "-o", str(out))
        assert "1 layers of" in said and "bytes an item" in said
    stores = [f"text={out}/text/hashed-128", f"image={out}/image/colour-edge-1"]
    told = [x for s in stores for x in ("--store", s)]
    short = ("--seeds", "2", "--epochs", "1", "--users", "80", "-o", str(tmp_path / "report"))
    thin = ("--reduce", "4", "--questions", "30", "--batch", "32")
    names = ("--adapters", "linear,lirdrec,moe")
    said = _run("items", "report", "toy", *told, *names, *short, *thin)
    lines = [line.split()[0] for line in said.splitlines() if line.split()]
    rows = [x for x in lines if x in ("popularity", "linear", "moe", "lirdrec")]
    assert rows == ["popularity", "linear", "moe", "lirdrec", "linear", "moe", "lirdrec"]
    assert "without image" in said and "moe: MOMEF-style" in said and "lirdrec: LIRDRec" in said
    assert "every adapter above shuffled linear" in said and "30 questions" in said
    assert "every graph encoder above popularity" in said and "8 of 8, 0 min left" in said
    again = _run("items", "report", "toy", *told, *names, *short, *thin)
    assert "min left" not in again and "every adapter above popularity" in again
    with pytest.raises(SimrecError, match="there is no item adapter 'mo'; did you mean 'moe'"):
        _run("items", "report", "toy", *told, "--adapters", "linear,mo", *short)
    with pytest.raises(SimrecError, match="expected at least one that learns from sequences"):
        _run("items", "report", "toy", *told, "--adapters", "mgcn", *short)


def test_encoding_a_catalogue_is_timed_with_all_its_states(data_home: Path):
    said = _run("bench", "items", "--encode", "toy")
    n = len(open_dataset("toy", None).catalogue)
    # 7 states of 256 halves and a final vector of 256 floats
    assert f"{n:,} items x 7 x 256 encoded and stored in " in said
    assert "s of the processor), 4,608 bytes an item" in said


def test_fit_learns_from_the_agents_part_and_export_keeps_the_ids(data_home: Path, tmp_path: Path):
    study, made = _study(tmp_path), tmp_path / "table.safetensors"
    assert "NDCG@10" in _run("items", "fit", str(study), "-o", str(made))
    table = ItemTable.load(made)
    inputs = Inputs(load_config(study), tmp_path)
    assert table.provenance["learnt"]["log"] == inputs.agent_log.fingerprint
    assert table.fused.shape == (len(inputs.dataset.catalogue), 16)
    assert table.modalities == ("text", "image")
    np.testing.assert_allclose((table.fused**2).sum(axis=1).mean(), 1.0, rtol=1e-4)
    _run("items", "export", str(made), str(tmp_path / "t.parquet"))
    values, _ = read_states(tmp_path / "t.parquet", table.ids)
    np.testing.assert_array_equal(values[:, 0], table.fused)
    with pytest.raises(SimrecError, match=r"cannot export to 't\.csv'"):
        _run("items", "export", str(made), str(tmp_path / "t.csv"))


def test_a_table_learnt_twice_is_the_same_and_needs_a_log():
    data = make_toy(seed=0)
    counts = np.bincount(data.log.item, minlength=len(data.catalogue))
    adapter = {"name": "linear", "width": 8, "epochs": 1}
    made = [
        build_item_table(
            data.catalogue, counts, modalities=["text"], adapter=adapter, log=data.log
        ).fingerprint
        for _ in range(2)
    ]
    assert made[0] == made[1]
    graph = {"name": "lirdrec", "width": 8, "epochs": 1}
    learnt = build_item_table(
        data.catalogue, counts, modalities=["text"], adapter=graph, log=data.log
    )
    assert learnt.fused.shape[1] == 16  # a stream of the text and one of all modalities
    with pytest.raises(SimrecError, match="'linear' needs the agent's part of the log"):
        build_item_table(data.catalogue, counts, modalities=["text"], adapter=adapter)


def test_a_study_without_an_adapter_keeps_its_old_key_and_one_with_it_gets_another(tmp_path: Path):
    assert "adapter" not in ItemsConfig().model_dump(mode="json")
    assert "adapter" not in ItemsConfig().model_dump()
    plain = Inputs(load_config(_study(tmp_path, "study: a\ndata: {name: toy}")), tmp_path)
    learnt = Inputs(load_config(tmp_path / "study.yaml", ["items.adapter.name=iisan"]), tmp_path)
    wider = Inputs(
        load_config(tmp_path / "study.yaml", ["items.adapter={name: iisan, width: 8}"]), tmp_path
    )
    assert len({i.agent_items_key for i in (plain, learnt, wider)}) == 3
    assert len({i.items_key for i in (plain, learnt, wider)}) == 1  # users rest on the frozen one
    assert len({i.world_key for i in (plain, learnt, wider)}) == 1


def test_wrong_requests_are_one_sentence(data_home: Path, tmp_path: Path):
    with pytest.raises(SimrecError, match=r"items\.adapter\.wdth'; did you mean 'width'"):
        load_config(_study(tmp_path, "study: a\nitems: {adapter: {wdth: 3}}"))
    with pytest.raises(SimrecError, match=r"names no items\.adapter\.name"):
        _run("items", "fit", str(_study(tmp_path, "study: a")), "-o", str(tmp_path / "t"))
    with pytest.raises(SimrecError, match="there is no encoder 'clip'"):
        _run("items", "encode", "toy", "--modality", "text", "--encoder", "clip", "-o", "f")
    with pytest.raises(SimrecError, match="'audio' need a folder of files named by item id"):
        _run("items", "encode", "toy", "--modality", "audio", "-o", "f")
    with pytest.raises(SimrecError, match="--store got 'text'; expected MODALITY=DIR"):
        _run("items", "report", "toy", "--store", "text", "-o", str(tmp_path))
    with pytest.raises(SimrecError, match="no feature store is given; expected --store MODALITY="):
        _run("items", "report", "toy")


def test_captions_by_a_local_model_that_sees(tmp_path: Path):
    data, out = write_tidy_folder(tmp_path / "data"), tmp_path / "captions"
    pictures = sum(image is not None for image in open_dataset(None, data).catalogue.images)
    model = f"transformers:{save_tiny_vlm(tmp_path / 'sees')}"
    said = _run("items", "caption", str(data), "--model", model, "-o", str(out))
    made, refused = (int(n) for n in re.findall(r"(\d+) (?:captions|replies)", said))
    assert made + refused == pictures > 0 and len(list(out.glob("*.txt"))) == made


@pytest.mark.timeout(1200)  # processes of their own; a laden machine takes its time
def test_a_report_with_costs_prints_tpme_and_the_raw_numbers(data_home: Path, tmp_path: Path):
    out = tmp_path / "features"
    _run("items", "encode", "toy", "--modality", "text", "-o", str(out))
    store = ("--store", f"text={out}/text/hashed-128")
    short = ("--seeds", "2", "--epochs", "1", "--users", "30", "--costs", "-o", str(tmp_path))
    said = _run("items", "report", "toy", *store, "--adapters", "linear,sum", *short)
    costs = [line for line in said.splitlines() if "s an epoch" in line]
    assert [line.split(":")[0] for line in costs] == ["linear", "sum"]
    assert all("s an epoch" in line and "MiB more memory, TPME" in line for line in costs)
    # alone with their maps and the sequence model, both have the same weights
    assert len({line.split(",")[1:3][0] for line in costs}) == 1
    assert "TPME of fewer than three methods is only a sum of its weights" in said
