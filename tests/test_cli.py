"""The command line: help, and mistakes as one line on standard error with exit code 2."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from simrec.cli import main
from tests.run_folders import write_study

TOY = """
study: small
seeds: [220]
data: {name: toy, toy_seed: 22}
world: {topics: topic, bounds_sessions: 64}
teacher: {encoder: hashed}
"""


def simrec(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    """Run the command in this process and return its exit code."""
    monkeypatch.setattr(sys, "argv", ["simrec", *words])
    with pytest.raises(SystemExit) as end:
        main()
    return int(end.value.code or 0)


def test_help_names_every_command() -> None:
    answer = subprocess.run(
        [sys.executable, "-c", "from simrec.cli import main; main()", "--help"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 0
    for command in ("run", "compare", "report", "demo", "data"):
        assert re.search(rf"\b{command}\b", answer.stdout)
    assert answer.stderr == ""


@pytest.mark.parametrize("command", ["run", "compare", "report", "demo", "data"])
def test_every_command_has_help(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert simrec(monkeypatch, command, "--help") == 0
    assert "Usage" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "words", "sentence"),
    [
        (None, [], r"there is no study file .*none\.yaml; expected a YAML file such as .*"),
        (
            "study: a\nworl: {}",
            [],
            r".*study\.yaml: unknown key 'worl'; did you mean 'world'\?",
        ),
        (
            TOY,
            ["--set", "online.env_step=3"],
            r".*study\.yaml: unknown key 'online\.env_step'; did you mean 'env_steps'\?",
        ),
        (
            TOY,
            ["--set", "data.name=tooy"],
            r".*'tooy'.*did you mean 'toy'\?.*",
        ),
        (TOY, ["--set", "online.strategies=[fr]"], r"there is no strategy 'fr'; did you mean .*"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(
    text: str | None,
    words: list[str],
    sentence: str,
    tmp_path: Path,
    data_home: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = tmp_path / ("none.yaml" if text is None else "study.yaml")
    if text is not None:
        path.write_text(text, encoding="utf-8")
    runs = ["--runs", str(tmp_path / "runs"), "--workers", "1"]
    assert simrec(monkeypatch, "run", str(path), *runs, *words) == 2
    answer = capsys.readouterr()
    assert answer.out == ""
    lines = answer.err.splitlines()
    assert len(lines) == 1
    assert re.fullmatch(rf"simrec: {sentence}", lines[0])


def test_a_study_ends_with_where_it_is_and_says_what_it_replaces(
    tmp_path: Path,
    data_home: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path, runs = tmp_path / "study.yaml", tmp_path / "runs"
    content = f"{TOY}online: {{env_steps: 2000, strategies: [], controls: [random], n_envs: 16}}\n"
    path.write_text(content, encoding="utf-8")
    words = ["run", str(path), "--runs", str(runs), "--workers", "1"]
    assert simrec(monkeypatch, *words) == 0
    answer = capsys.readouterr()
    assert answer.out.endswith(
        f"\nresults: {runs}/small; to see them again: simrec compare {runs}/small\n"
        f"the dashboard: simrec app --runs {runs}\n"
    )
    assert "replacing" not in answer.err
    assert simrec(monkeypatch, *words, "--set", "online.env_steps=2500") == 0
    assert (
        f"replacing 1 run in {runs}/small made with other settings, data or an older simrec; to "
        "keep both, stop now and give this study another name, for example --set study=small-2"
    ) in capsys.readouterr().err.splitlines()


def test_comparing_an_empty_folder_says_how_to_make_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert simrec(monkeypatch, "compare", str(tmp_path)) == 2
    answer = capsys.readouterr()
    assert answer.out == ""
    assert answer.err == (
        f"simrec: there are no runs under {tmp_path}; make some with 'simrec run'\n"
    )


@pytest.mark.parametrize("words", ["report {runs} -o {file}/page.html", "plot {runs} -o {file}"])
def test_a_place_that_cannot_be_written_to_is_one_sentence(
    words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "file"
    file.write_text("in the way", encoding="utf-8")
    runs = write_study(tmp_path / "runs", seeds=2)
    assert simrec(monkeypatch, *words.format(runs=runs, file=file).split()) == 2
    assert re.fullmatch(
        rf"simrec: cannot read or write '{re.escape(str(file))}.*' "
        r"\((Not a directory|File exists)\)"
        "; expected a place that exists and that you may write to; name another, or mend its "
        "permissions\n",
        capsys.readouterr().err,
    )


def test_a_strategy_that_nobody_ran_is_not_drawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = write_study(tmp_path / "runs", seeds=1)
    words = ["plot", str(runs), "-o", str(tmp_path / "figures"), "--strategy", "sratch"]
    assert simrec(monkeypatch, *words) == 2
    assert capsys.readouterr().err == (
        "simrec: no run here is of strategy 'sratch'; did you mean 'scratch'?\n"
    )
    assert not (tmp_path / "figures").exists()


def test_a_world_that_needs_no_personal_choice_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "study.yaml"
    path.write_text(TOY, encoding="utf-8")
    words = ["--runs", str(tmp_path / "runs"), "--workers", "1"]
    words += ["--set", "world.item_scale=50", "--set", "world.interaction_scale=0.1"]
    assert simrec(monkeypatch, "run", str(path), *words) == 2
    answer = capsys.readouterr()
    assert answer.out == ""
    assert re.fullmatch(
        r"simrec: one list for everybody has \d+% of what knowing every user gains over chance; "
        r"expected at most 70% for personal recommendation to matter, so raise "
        r"interaction_scale or set allow_static: true",
        answer.err.splitlines()[-1],
    )
    assert "Traceback" not in answer.err
    assert not list((tmp_path / "runs").glob("*/*/seed-*"))
