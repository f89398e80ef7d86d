"""A command line that cannot be read is one sentence on standard error and exit code 2."""

import io
import re
from collections.abc import Iterator
from typing import Any

import pytest
import typer

from simrec.cli import app
from tests.test_cli import simrec


def _refused(
    words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> str:
    """Run words that make no sense; return what was said of them."""
    assert simrec(monkeypatch, *words) == 2
    answer = capsys.readouterr()
    assert answer.out == "" and answer.err.endswith("\n") and len(answer.err.splitlines()) == 1
    assert answer.err.startswith("simrec: ")
    return answer.err.removeprefix("simrec: ").rstrip("\n")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("rnu", "'simrec' has no command 'rnu'; did you mean 'run'?"),
        ("bench evn --quick", "'simrec bench' has no command 'evn'; did you mean 'env'?"),
        ("data x", "'simrec data' has no command 'x'; expected one of fetch, import, info, list"),
        ("run a.yaml --worker 2", "'simrec run' has no option '--worker'; did you mean "
         "'--workers'?"),
        ("prefer a.yaml --dryrun", "'simrec prefer ask' has no option '--dryrun'; did you mean "
         "'--dry-run'?"),
        ("run a.yaml --foo", "'simrec run' has no option '--foo'; expected one of --help, --runs, "
         "--set, --workers"),
        ("report a -z", "'simrec report' has no option '-z'; expected one of --help, --output, -o"),
        ("run a.yaml --set", "'--set' got no value; write one after it or leave it out"),
        ("compare --json", "'--json' got no value; write one after it or leave it out"),
        ("app --read-only=3", "'--read-only' got a value but takes none; write '--read-only' "
         "alone"),
        ("tune a.yaml --trials 0", "'--trials' of 'simrec tune' is '0'; input should be greater "
         "than or equal to 1"),
        ("prefer a.yaml --seed x", "'--seed' of 'simrec prefer ask' is 'x'; input should be a "
         "valid integer, unable to parse string as an integer"),
        ("plot a --format pgn", "'--format' of 'simrec plot' is 'pgn'; did you mean 'png'?"),
        ("plot a --format x", "'--format' of 'simrec plot' is 'x'; expected one of pdf, png"),
        ("run", "'study' of 'simrec run' is missing; expected study file, for example "
         "configs/ml100k.yaml"),
    ],
)  # fmt: skip
def test_the_sentence_names_what_is_wrong_and_the_nearest_valid_name(
    words: str, sentence: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _refused(words.split(), monkeypatch, capsys) == sentence


def test_a_word_too_many_is_shown_beside_what_is_expected(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    said = _refused(["run", "a.yaml", "b c"], monkeypatch, capsys)
    assert re.fullmatch(
        r"'simrec run' got unexpected extra argument.* \(b c\); "
        r"expected 'simrec run \[OPTIONS\] .*study.*'",
        said,
        re.IGNORECASE,
    )


def _commands(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yield the words of every command below one."""
    for name, below in getattr(command, "commands", {}).items():
        yield from _commands(below, (*path, name))
    if path:
        yield path


def test_every_command_refuses_an_unknown_option_in_a_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = list(_commands(typer.main.get_command(app)))
    assert len(paths) > 25 and ("bench", "ids") in paths
    for path in paths:
        said = _refused([*path, "--qqqq"], monkeypatch, capsys)
        # `simrec prefer --x` is `simrec prefer ask --x`
        assert re.fullmatch(rf"'simrec {' '.join(path)}( ask)?' has no option '--qqqq'; .*", said)


def test_a_control_sign_in_a_wrong_word_does_not_reach_the_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for words in (["\x1b[2Jrun"], ["run", "--\x1b[2J"], ["run", "a", "\x1b[2J"]):
        assert "\x1b" not in _refused(words, monkeypatch, capsys)


@pytest.mark.parametrize("words", [[], ["bench"]])
def test_no_words_at_all_show_help(
    words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert simrec(monkeypatch, *words) == 2
    answer = capsys.readouterr()
    assert answer.err == "" and "Usage: " in answer.out


def test_a_question_without_an_answer_is_stopped_without_a_box(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], data_home: object
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO())
    assert simrec(monkeypatch, "data", "fetch", "ml-100k") == 1
    assert capsys.readouterr().err.splitlines()[-1] == "stopped"
