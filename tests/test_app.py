"""The Compare page, run headless, and what the whole dashboard promises."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("streamlit", reason="the dashboard's extra is not installed")
import streamlit as st
from streamlit.testing.v1 import AppTest

from simrec.app import ahead
from simrec.app.answer import session_links
from simrec.app.charts import curves_chart, points_of
from simrec.app.compare_tables import differences, noted, strategies
from simrec.app.style import item_card, picture_uri
from simrec.compare import Comparison, compare
from simrec.curves import learning_curve
from simrec.digest_curves import METRICS
from simrec.digest_study import FILE, study_key
from simrec.findings import side_columns
from simrec.leaders import Leader, leader
from simrec.measures import MEASURES
from simrec.overview import overview
from simrec.palette import colour_of
from tests.run_folders import RECORD, write_made_run, write_study

ROOT = Path(__file__).resolve().parents[1]
MAIN = ROOT / "app" / "main.py"
HOSTILE = "<img src=x onerror=alert(1)> **bold** :red[x] $x$"


def open_page(monkeypatch: pytest.MonkeyPatch, root: Path, *flags: str) -> AppTest:
    monkeypatch.setattr(sys, "argv", ["main.py", str(root), *flags])
    page = AppTest.from_file(str(MAIN), default_timeout=300).run()
    assert not page.exception
    return page


def words(page: AppTest) -> str:
    """Return every text and piece of HTML of a page."""
    return "\n".join(
        [*(line.value for line in page.text), *(block.proto.body for block in page.get("html"))]
    )


def test_without_runs_the_page_offers_the_toy_study(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = open_page(monkeypatch, tmp_path / "runs")
    assert page.text[0].value == f"There are no runs under {tmp_path / 'runs'} yet."
    assert [button.label for button in page.button] == ["Start the toy study"]


def test_read_only_offers_nothing_that_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = open_page(monkeypatch, tmp_path / "runs", "--read-only")
    assert not page.button
    assert "Make some with 'simrec demo'" in words(page)


def test_the_page_shows_leaders_tables_and_cautions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_study(tmp_path, gain=1.5)
    page = open_page(monkeypatch, tmp_path)
    said = words(page)
    assert "Best early (first 5 % of the run)" in said
    assert "Not resolved from" in said
    # scratch is behind by 1 to 2 clicks in every seed: no doubt, whatever is counted
    assert "Holds when corrected for 2 comparisons (p &lt; 0.001, Holm, paired t)." in said
    assert "Teacher: similarity:hashed. Warning: a stand-in, not a language model." in said
    assert "+0.150" in said
    assert [box.label for box in page.selectbox] == ["Study", "Metric", "Compared with"]


@pytest.mark.parametrize("zoom", ["early window", "whole run, log steps"])
@pytest.mark.parametrize("metric", ["normalised reward", "users lost", "entropy of the policy"])
def test_every_metric_and_zoom_can_be_drawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, zoom: str, metric: str
) -> None:
    write_study(tmp_path, seeds=2)
    page = open_page(monkeypatch, tmp_path)
    page.selectbox(key="metric").set_value(metric).run()
    page.segmented_control(key="zoom").set_value(zoom).run()
    assert not page.exception


@pytest.mark.parametrize(
    "section",
    ["Users lost", "Frozen policy's part", "Entropy and reward", "Diversity", "More measures"],
)
def test_every_section_and_a_choice_of_seeds_can_be_drawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, section: str
) -> None:
    write_study(tmp_path, seeds=3)
    page = open_page(monkeypatch, tmp_path)
    page.segmented_control(key="why").set_value(section).run()
    assert not page.exception
    page.multiselect(key="seeds").set_value(["1"]).run()
    assert not page.exception
    assert "One seed: nothing can be said about spread" in words(page)


def test_the_address_carries_the_selection(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_study(tmp_path, base=replace(RECORD, study="one"), seeds=2)
    write_study(tmp_path, base=replace(RECORD, study="two"), seeds=2)
    monkeypatch.setattr(sys, "argv", ["main.py", str(tmp_path)])
    page = AppTest.from_file(str(MAIN), default_timeout=300)
    page.query_params["study"] = "two"
    page.query_params["zoom"] = "early window"
    page.run()
    assert page.selectbox(key="study").value == "two"
    assert page.segmented_control(key="zoom").value == "early window"


def test_a_broken_run_is_named_and_the_others_are_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = write_study(tmp_path, seeds=2)
    (study / "ft" / "seed-0" / "run.json").write_text("{")
    said = words(open_page(monkeypatch, tmp_path))
    assert "is not readable JSON" in said
    assert "Best early" in said
    assert "ft has only the seeds 1." in said


def test_a_study_that_has_only_begun_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tiny" / "ft" / "seed-0").mkdir(parents=True)
    assert "has no run.json" in words(open_page(monkeypatch, tmp_path))


def test_names_are_shown_as_text_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record = replace(RECORD, strategy=HOSTILE, world=HOSTILE)
    write_made_run(tmp_path / "tiny" / "x" / "seed-0", record, lambda s: s * 0 + 3)
    page = open_page(monkeypatch, tmp_path)
    assert "<img src=x" not in words(page)
    assert "&lt;img src=x" in words(page)
    assert not [block for block in page.markdown if "bold" in block.value]


def test_a_chart_holds_no_markup_from_names(tmp_path: Path) -> None:
    record = replace(RECORD, strategy=HOSTILE)
    folder = write_made_run(tmp_path / "tiny" / "x" / "seed-0", record, lambda s: s * 0 + 3)
    curve = learning_curve(compare(folder).runs, 5)
    figure = curves_chart({HOSTILE: curve}, METRICS["reward"])
    assert all("<img" not in (trace.name or "") for trace in figure.data)
    assert set(points_of({HOSTILE: curve}, "reward")["strategy"]) == {
        HOSTILE
    }  # data go home as they are


def test_an_item_s_title_is_text_and_only_pictures_are_covers() -> None:
    card = item_card(HOSTILE, b"<svg onload=alert(1)>", meta=HOSTILE, badge=HOSTILE)
    assert "<img" not in card
    assert card.count("&lt;img src=x onerror=alert(1)&gt;") == 4  # title twice, meta, badge
    assert picture_uri(b"<svg/>") == ""
    assert picture_uri(b"\x89PNG123").startswith("data:image/png;base64,")


def judged(folder: Path) -> tuple[Comparison, dict[str, Leader | None]]:
    comparison = compare(folder)
    return comparison, {measure: leader(comparison, measure) for measure in MEASURES}


def test_a_winner_is_marked_only_where_it_is_alone(tmp_path: Path) -> None:
    comparison, first = judged(write_study(tmp_path, gain=1.5))
    html, data = strategies(comparison, first)
    assert "best, not resolved" in html
    assert 'class="up"' not in html  # ft and ap share every reward column
    assert set(data["strategy"]) == {"ft", "ap", "scratch"}
    html, data = differences(comparison)
    assert html.count('class="up"') >= 4
    assert not data.set_index(["difference", "measure"]).loc[("ap - ft", "area"), "resolved"]


def test_measures_that_runs_note_are_means_over_seeds(tmp_path: Path) -> None:
    for seed, share in ((0, 0.2), (1, 0.4)):
        record = replace(RECORD, seed=seed, notes={"measures": {"frozen_share": share}})
        write_made_run(tmp_path / "tiny" / "ft" / f"seed-{seed}", record, lambda s: s * 0 + 3)
    write_made_run(
        tmp_path / "tiny" / "ap" / "seed-0", replace(RECORD, strategy="ap"), lambda s: s * 0 + 3
    )
    comparison = compare(tmp_path / "tiny")
    measures = side_columns(comparison, every=True)
    assert [of.title for of in measures] == ["frozen share", "computing time"]
    html, frame = noted(comparison.side_measures(), measures, ["ft", "ap"])
    assert "frozen share (share)<small>actions that the frozen" in html
    told = frame.set_index(["measure", "strategy"])
    assert told.loc[("frozen_share", "ft"), "mean"] == pytest.approx(0.3)
    assert ("frozen_share", "ap") not in told.index


def test_the_link_to_a_session_says_only_what_the_page_would_not_choose(tmp_path: Path) -> None:
    study = judged(write_study(tmp_path, seeds=1))  # ft leads early and late
    links = session_links(*study, usual=True)
    assert 'href="session?when=early"' in links
    assert 'href="session?when=late"' in links
    assert "one user under ft and under scratch" in links
    assert 'href="session?study=tiny&amp;when=early"' in session_links(*study, usual=False)
    assert session_links(*judged(tmp_path / "tiny" / "ap"), usual=True) == ""


def test_the_study_s_file_is_written_and_opens_to_the_same_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = write_study(tmp_path, gain=1.5)
    open_page(monkeypatch, tmp_path, "--read-only")
    assert not (study / FILE).exists()
    first = words(open_page(monkeypatch, tmp_path))
    assert (study / FILE).is_file()
    st.cache_resource.clear()
    assert words(open_page(monkeypatch, tmp_path)) == first


def test_a_study_read_ahead_is_the_study_read_now(tmp_path: Path) -> None:
    study = write_study(tmp_path)
    ahead.begin(tmp_path, read_only=True)
    found = ahead.kept(study, study_key(study))
    assert found is not None
    assert found.overview.records == overview(study).records
    assert repr(found.leaders) == repr(judged(study)[1])  # NaN is not equal to itself
    assert not (study / FILE).exists()
    write_made_run(study / "ft" / "seed-9", replace(RECORD, seed=9), lambda s: s * 0 + 3)
    assert ahead.kept(study, study_key(study)) is None  # it is another study now
    (tmp_path / "bad" / "ft" / "seed-0").mkdir(parents=True)
    ahead.begin(tmp_path, read_only=False)
    assert ahead.kept(tmp_path / "bad", "any") is None  # the page is to tell what is wrong


def test_curves_have_the_strategies_colours(tmp_path: Path) -> None:
    comparison = compare(write_study(tmp_path))
    curves = {name: learning_curve(comparison.runs_of(name), 5) for name in comparison.strategies}
    figure = curves_chart(curves, METRICS["reward"])
    lines = {trace.name: trace.line.color for trace in figure.data if trace.name}
    assert lines == {name: colour_of(name) for name in ("scratch", "ft", "ap")}


def test_the_dashboard_opens_without_torch() -> None:
    pages = "compare, session, live, items, teacher, users, runs"
    code = f"import sys; from simrec.app.views import {pages}; print('torch' in sys.modules)"
    answer = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert answer.stdout.strip() == "False"
