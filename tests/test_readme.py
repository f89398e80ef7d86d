"""Every Python block of the README runs as it stands."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)


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
