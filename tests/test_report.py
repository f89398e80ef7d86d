"""The report is one safe, complete file; the picture is a picture; progress speaks plainly."""

import io
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from PIL import Image
from rich.console import Console

from simrec import progress
from simrec.cli.plot import Kind, plot_command
from simrec.compare import compare_studies
from simrec.figures_worlds import worlds_figure
from simrec.palette import STRATEGY_COLOURS, colour_of, is_dashed
from simrec.report import curve_png, write_report
from tests.run_folders import RECORD, write_made_run, write_study

HOSTILE = '<script>alert("1")</script> $x^{$ & co'


class _Reader(HTMLParser):
    """Collects tags, attributes that fetch something, and the text outside of figures."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.fetched: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            if name in ("src", "href", "xlink:href") and not (value or "").startswith("#"):
                self.fetched.append(str(value))

    def handle_data(self, data: str) -> None:
        self.text += data


def _read(path: Path) -> _Reader:
    reader = _Reader()
    reader.feed(path.read_text(encoding="utf-8"))
    return reader


def test_the_report_holds_everything_and_fetches_nothing(tmp_path: Path) -> None:
    output = write_report(write_study(tmp_path, gain=1.5), tmp_path / "out" / "report.html")
    page = _read(output)
    assert page.tags.count("svg") == 2
    assert page.tags.count("table") == 3  # strategies, differences, declared contrasts
    assert page.fetched == []
    assert not re.search(r"url\((?!#)|@import", output.read_text())
    for words in (
        "Teacher: similarity:hashed. Warning: a stand-in, not a language model.",
        "World toy; seeds 0, 1, 2, 3, 4; 1,000 env steps a run",
        "random 2.00",
        "ft - scratch",
        "not resolved",
        "Study configuration",
    ):
        assert words in page.text, words
    assert "prefers-color-scheme: dark" in page.text
    assert "#123456" not in output.read_text()  # figures take the page's ink


def test_names_are_never_markup(tmp_path: Path) -> None:
    base = replace(
        RECORD,
        study="hostile",
        world=HOSTILE,
        teacher={"name": HOSTILE, "warning": HOSTILE},
        config={"title": HOSTILE},
        notes={"remark": HOSTILE},
    )
    study = write_study(tmp_path, base=base, seeds=2)
    for run in study.glob("ap/*/run.json"):  # the strategy's name is drawn in both figures
        run.write_text(run.read_text().replace('"ap"', '"<b>ap</b>$"'))
    output = write_report(study, tmp_path / "report.html")
    page = _read(output)
    assert "script" not in page.tags
    assert "b" not in page.tags
    assert HOSTILE in page.text
    assert "<b>ap</b>$ - ft" in page.text


def test_the_same_runs_give_the_same_report(tmp_path: Path) -> None:
    study = write_study(tmp_path, seeds=2)
    first = write_report(study, tmp_path / "a.html").read_bytes()
    assert write_report(study, tmp_path / "b.html").read_bytes() == first


def test_one_strategy_alone_needs_no_second_table(tmp_path: Path) -> None:
    page = _read(write_report(write_study(tmp_path, seeds=1) / "ap", tmp_path / "report.html"))
    assert page.tags.count("svg") == 1
    assert page.tags.count("table") == 1


def test_the_picture_shows_each_strategy_in_its_colour(tmp_path: Path) -> None:
    picture = Image.open(curve_png(write_study(tmp_path), tmp_path / "curve.png")).convert("RGB")
    assert picture.width > 1500
    colours = {colour for _, colour in picture.getcolors(1 << 24)}
    for strategy in ("scratch", "ft", "ap"):
        red, green, blue = bytes.fromhex(colour_of(strategy)[1:])
        assert (red, green, blue) in colours, strategy


def test_colours_are_fixed_and_apart() -> None:
    assert len(set(STRATEGY_COLOURS.values())) == len(STRATEGY_COLOURS)
    assert colour_of("my-own") == colour_of("my-own")
    assert re.fullmatch(r"#[0-9A-F]{6}", colour_of("my-own"))
    assert colour_of("ft-shuffled") == colour_of("ft")
    assert is_dashed("ft-shuffled")
    assert not is_dashed("ft")


def test_without_a_terminal_progress_is_a_line_at_each_end() -> None:
    out = io.StringIO()
    console = Console(file=out, force_terminal=False, width=40)
    with progress.bars(console) as shown:
        task = shown.add("ft [seed 3]", total=10)
        for _ in range(5):
            shown.advance(task, 2)
    with progress.stage("teacher", console):
        pass
    lines = [re.sub(r"\d+(\.\d+)? s", "N s", line) for line in out.getvalue().splitlines()]
    assert lines == [
        "ft [seed 3] ...",
        "ft [seed 3] done in N s",
        "teacher ...",
        "teacher done in N s",
    ]


def test_on_a_terminal_progress_counts_up_to_its_total() -> None:
    out = io.StringIO()
    with progress.bars(Console(file=out, force_terminal=True, width=100)) as shown:
        shown.advance(shown.add("ft seed 3", total=4), 4)
    assert "4/4" in out.getvalue()


def test_a_stage_that_fails_is_not_called_done() -> None:
    out = io.StringIO()
    with pytest.raises(ValueError), progress.stage("teacher", Console(file=out)):
        raise ValueError
    assert out.getvalue() == "teacher ...\n"


def test_plot_writes_the_same_searchable_pdf_each_time(tmp_path: Path) -> None:
    study = write_study(tmp_path / "runs", seeds=2)
    plot_command([study], tmp_path / "one")
    plot_command([study], tmp_path / "two")
    names = ["curves.pdf", "differences.pdf"]
    assert sorted(path.name for path in (tmp_path / "one").iterdir()) == names
    for name in names:
        content = (tmp_path / "one" / name).read_bytes()
        assert content.startswith(b"%PDF")
        assert content == (tmp_path / "two" / name).read_bytes()


def test_plot_leaves_out_differences_there_are_none_of(tmp_path: Path) -> None:
    folder = write_made_run(tmp_path / "tiny" / "ap" / "seed-0", RECORD, lambda s: s * 0 + 3)
    plot_command([folder], tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["curves.pdf"]


def test_plot_of_several_studies_shows_the_worlds_side_by_side(tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_study(tmp_path / "runs", seeds=2, base=replace(RECORD, study=name, world=name))
    plot_command([tmp_path / "runs"], tmp_path / "out", Kind.png, ["ap", "ft"])
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    pairs = [f"{name}-{what}.png" for name in ("one", "two") for what in ("curves", "differences")]
    assert names == [*pairs, "worlds.png"]
    figure = worlds_figure(compare_studies(tmp_path / "runs"), strategies=["ap", "ft"])
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["one, 2 seeds", "two, 2 seeds"]
    assert [len(axes.get_lines()) for axes in figure.axes] == [2, 2]
