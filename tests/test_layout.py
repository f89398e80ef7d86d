"""The house's plan: one import package, its links, its doors and a light front step."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
LINKED = ("envs", "agents", "app", "configs")


@pytest.mark.parametrize("name", LINKED)
def test_the_link_into_the_package_exists_and_is_relative(name: str) -> None:
    link = ROOT / "simrec" / name
    assert link.is_symlink()
    assert str(link.readlink()) == f"../{name}"
    assert link.resolve() == ROOT / name
    assert (ROOT / name / "__init__.py").is_file()


def test_no_file_imports_a_room_by_its_bare_name() -> None:
    bare = re.compile(rf"^\s*(?:import|from)\s+(?:{'|'.join(LINKED)})\b", re.MULTILINE)
    assert bare.search("    from envs.vector import x")  # the pattern finds what it should
    files = [f for room in ("simrec", "tests", *LINKED) for f in (ROOT / room).rglob("*.py")]
    assert len(files) > 20
    assert [f for f in files if bare.search(f.read_text(encoding="utf-8"))] == []


@pytest.mark.parametrize("module", ["simrec", "simrec.cli", "simrec.cli.compare"])
def test_opening_the_door_is_light(module: str) -> None:
    heavy = "('torch', 'pandas', 'transformers', 'stable_baselines3', 'matplotlib', 'streamlit')"
    code = f"import sys, {module}; print([m for m in {heavy} if m in sys.modules])"
    answer = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert answer.stdout.strip() == "[]"


def test_comparing_and_reporting_need_no_torch() -> None:
    modules = "simrec.report, simrec.progress, simrec.cli.compare_tables"
    code = f"import sys, {modules}; print('torch' in sys.modules)"
    answer = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert answer.stdout.strip() == "False"


@pytest.mark.parametrize(
    "name", ["LICENSE", "README.md", "CHANGELOG.md", "Makefile", "constraints.txt", ".ci/run"]
)
def test_the_papers_are_in_the_house(name: str) -> None:
    assert (ROOT / name).is_file()


def test_the_constraints_pin_no_build_of_torch() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[0-9A-Za-z.]+", pin) for pin in pins)
    names = [pin.split("==")[0].lower() for pin in pins]
    assert {"numpy", "gymnasium", "stable_baselines3"} <= set(names)
    assert not [n for n in names if n in ("torch", "triton", "simrec") or n.startswith("nvidia")]


def test_no_source_file_is_too_long_to_hold_one_idea() -> None:
    files = [f for room in ("simrec", *LINKED) for f in (ROOT / room).rglob("*.py")]
    long = {f.name: n for f in files if (n := len(f.read_text("utf-8").splitlines())) > 300}
    assert long == {}
