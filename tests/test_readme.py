"""Every Python block of the README runs as it stands."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from simrec.cli.data import data_app
from simrec.config import load_config
from simrec.datasets.library import load_dataset

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
DATA_PAGE = (ROOT / "docs" / "data.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_a_block_runs_and_prints_a_sentence(number: int, tmp_path: Path) -> None:
    answer = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", BLOCKS[number]],
        cwd=tmp_path,
        env=os.environ | {"SIMREC_HOME": str(tmp_path), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr
    assert re.search(r"\d.* (clicks|session)", answer.stdout)


def test_the_first_screen_has_the_two_commands_and_a_picture_that_exists() -> None:
    screen = "\n".join(README.splitlines()[:45])
    assert "make demo" in screen
    assert "make test" in screen
    assert len(BLOCKS) >= 3
    picture = re.search(r"!\[[^]]*\]\(([^)]+)\)", screen)
    assert picture is not None
    assert (ROOT / picture[1]).is_file()


def test_the_data_page_writes_two_tables_that_are_imported_and_a_study_that_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SIMREC_HOME", str(tmp_path / "home"))
    (block,) = re.findall(r"```python\n(.*?)```", DATA_PAGE, flags=re.DOTALL)
    exec(block, {})
    (command,) = re.findall(r"^simrec data (import .*)$", DATA_PAGE, flags=re.MULTILINE)
    result = CliRunner().invoke(data_app, command.split())
    assert result.exit_code == 0, result.output
    (said,) = re.findall(r"```text\n(.*?)```", DATA_PAGE, flags=re.DOTALL)
    assert result.output.startswith(said)
    dataset = load_dataset("shop")
    assert dataset.catalogue.item_ids[:2] == ("sku-0", "sku-1")
    assert dataset.catalogue.attributes["category"].vocabulary == ("lamps", "teapots")
    assert (len(dataset.log), dataset.log.unit) == (3000, "stars")
    (study,) = re.findall(r"```yaml\n(.*?)```", DATA_PAGE, flags=re.DOTALL)
    Path("shop.yaml").write_text(study, encoding="utf-8")
    assert load_config(Path("shop.yaml")).world.topics == "category"
