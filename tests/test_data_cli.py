"""`simrec data`: what its commands print and store."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from simrec.cli.data import data_app
from simrec.datasets.library import list_datasets, load_dataset
from simrec.errors import SimrecError
from tests.data_folders import write_latest_folder, write_tidy_folder

pytestmark = pytest.mark.usefixtures("data_home")


def test_import_stores_a_set_and_says_what_it_holds(tmp_path: Path) -> None:
    folder = write_tidy_folder(tmp_path / "source")
    result = CliRunner().invoke(data_app, ["import", str(folder), "--name", "films"])
    assert result.exit_code == 0, result.output
    lines = result.output.splitlines()
    assert lines[:3] == ["name: films", f"source: {folder}", "format: tidy"]
    assert lines[3].startswith("imported at: 20")
    assert lines[4:] == [
        "users: 4",
        "items: 4",
        "events: 7",
        "unit: stars",
        "timed: True",
        "descriptions: 4",
        "images: 2",
        "attributes: country (1), genres (2), year (1)",
        "features: clip_tone (3), colour (4)",
        f"fingerprint: {load_dataset('films').fingerprint}",
    ]


def test_import_reads_movielens_and_replaces_when_told(tmp_path: Path) -> None:
    source = str(write_latest_folder(tmp_path / "source"))
    command = ["import", "--format", "movielens", source, "--name", "ml"]
    assert CliRunner().invoke(data_app, command).exit_code == 0
    again = CliRunner().invoke(data_app, command)
    assert isinstance(again.exception, SimrecError)
    assert CliRunner().invoke(data_app, [*command, "--replace"]).exit_code == 0
    assert list_datasets() == ["ml", "toy"]


def test_list_has_a_row_for_every_set(tmp_path: Path) -> None:
    write_latest_folder(tmp_path / "s")
    command = ["import", "--format", "movielens", str(tmp_path / "s"), "--name", "ml"]
    assert CliRunner().invoke(data_app, command).exit_code == 0
    result = CliRunner().invoke(data_app, ["list"])
    assert result.exit_code == 0
    rows = [line.split() for line in result.output.splitlines()]
    assert rows[0][:5] == ["name", "users", "items", "events", "feedback"]
    assert ["ml", "2", "3", "3", "stars"] in [row[:5] for row in rows]
    assert ["toy", "600", "240", "29,922", "stars"] in [row[:5] for row in rows]


def test_info_describes_the_toy_world() -> None:
    result = CliRunner().invoke(data_app, ["info", "toy"])
    assert result.exit_code == 0
    assert "source: generated, seed 0" in result.output
    assert "imported at: unknown" in result.output
    assert "attributes: topic (12)" in result.output


def test_an_error_reaches_the_caller_as_one_sentence() -> None:
    result = CliRunner().invoke(data_app, ["info", "toyy"])
    assert str(result.exception) == "there is no data set 'toyy'; did you mean 'toy'?"
    assert result.output == ""
