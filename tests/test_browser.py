"""The whole walk in a real browser: start a study, compare, zoom, open a session, download."""

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

pytest.importorskip("streamlit", reason="the dashboard's extra is not installed")
pytest.importorskip("playwright", reason="playwright is not installed")
from playwright.sync_api import expect

from tests.browser import chromium, opened, served, settled, unreached
from tests.run_folders import RECORD, write_made_run
from tests.test_app import HOSTILE

pytestmark = pytest.mark.skipif(
    chromium() is None,
    reason="no Chromium here; install it, for example with 'apt-get install chromium'",
)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where pictures of the pages go: the folder SIMREC_ARTEFACTS, or a temporary one."""
    given = os.environ.get("SIMREC_ARTEFACTS")
    folder = Path(given) if given else tmp_path_factory.mktemp("pictures")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with served(tmp_path_factory.mktemp("runs")) as found:
        yield found


@pytest.fixture
def page() -> Iterator[Any]:
    with opened() as found:
        dialogs: list[str] = []
        found.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
        asked: list[str] = []
        found.on("request", lambda request: asked.append(request.url))
        yield found
        assert dialogs == []  # nothing shown ran as a script
        here = ("http://127.0.0.1:", "data:", "blob:")
        assert [url for url in asked if not url.startswith(here)] == []  # nobody is told anything


def _go(page: Any, place: str, heading: str) -> None:
    page.goto(place)
    _shown(page, heading)


PAGES = {
    "Compare": "Strategies compared",
    "Session": "One user, two strategies",
    "Live": "Live",
    "Items": "Items",
    "Teacher": "Teacher",
    "Users": "Users and realism",
    "Runs": "Runs",
}

STUDY = """
study: walk
seeds: [230, 231]
data: {name: toy, toy_seed: 23}
world: {topics: topic, bounds_sessions: 64}
teacher: {encoder: hashed, questions_per_user: 1}
reward: {weight_decays: [0.0]}
pretrain: {env_steps: 3000}
online: {env_steps: 8000, strategies: [scratch, frozen, ft, ap], controls: [random]}
"""

CURRENT = "[data-stale='false']"  # not a last run's element that is about to go


@pytest.mark.timeout(900)
def test_the_walk(address: str, page: Any, pictures: Path) -> None:
    _start_the_toy_study_and_end_it(address, page, pictures)
    _start_a_smaller_one_from_its_yaml(page, pictures)
    _compare_and_take_home(page, pictures)
    _the_address_brings_back_the_selection(address, page)
    _open_the_session_that_differs_most(page, pictures)
    for name in ("Live", "Items", "Teacher", "Users", "Runs"):
        page.get_by_role("link", name=name, exact=True).click()
        _shown(page, PAGES[name])
        page.screenshot(path=pictures / f"{name.lower()}.png", full_page=True)
    _point_at_an_item(address, page, pictures)
    for name, heading in PAGES.items():
        _go(page, f"{address}/{name.lower()}", heading)
        assert unreached(page) == [], f"the tab key misses these on {name}"
    _keys_press_links_and_buttons(address, page)
    _narrow_and_dark(address, page, pictures)


def _shown(page: Any, heading: str) -> None:
    """Wait for a page and see that nothing went wrong on it."""
    title = page.get_by_role("heading", name=heading, exact=True)
    expect(title).to_be_visible()
    settled(page)
    assert page.locator("[data-testid=stException]").count() == 0


def _start_the_toy_study_and_end_it(address: str, page: Any, pictures: Path) -> None:
    _go(page, address, "Strategies compared")
    page.screenshot(path=pictures / "empty.png")
    page.get_by_role("button", name="Start the toy study").click()
    expect(page.get_by_text("toy is running")).to_be_visible()
    page.screenshot(path=pictures / "running.png")
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("button", name="Start the toy study")).to_be_visible()


def _start_a_smaller_one_from_its_yaml(page: Any, pictures: Path) -> None:
    """The toy study takes two minutes; a walk need not."""
    page.get_by_role("link", name="Runs", exact=True).click()
    _shown(page, PAGES["Runs"])
    page.get_by_label("Study (YAML)").fill(STUDY)
    page.keyboard.press("Control+Enter")
    expect(page.get_by_text("10 runs of 8,000 env steps")).to_be_visible()
    page.screenshot(path=pictures / "runs-start.png", full_page=True)
    page.get_by_role("button", name="Start", exact=True).click()
    expect(page.get_by_text("walk is running")).to_be_visible()
    page.get_by_role("link", name="Compare", exact=True).click()
    expect(page.get_by_text("Best early")).to_be_visible(timeout=600_000)
    expect(page.get_by_text("walk is running")).to_have_count(0, timeout=600_000)
    settled(page)


def _compare_and_take_home(page: Any, pictures: Path) -> None:
    page.get_by_role("radio", name="early window").click()
    page.wait_for_url("**zoom=early+window**")
    with page.expect_download() as caught:  # the key is of the early window's chart only
        page.locator(f".st-key-csv-curves-reward-early{CURRENT} button").click()
    data = pd.read_csv(caught.value.path())
    assert set(data["strategy"]) == {"scratch", "frozen", "ft", "ap"}
    assert data["env_step"].max() <= 400  # 5 % of 8,000
    page.screenshot(path=pictures / "compare.png", full_page=True)
    _picture(page, "png", "Download plot as a PNG", b"\x89PNG")
    expect(page.locator(".sr-still").last).to_be_hidden()
    page.get_by_role("radio", name="SVG").click()
    _picture(page, "svg", "Download plot", b"<svg")


def _picture(page: Any, kind: str, button: str, start: bytes) -> None:
    """Save the chart; its button says of which kind the picture is going to be."""
    chart = page.locator(f".st-key-chart-curves-reward-early{CURRENT}")
    chart.locator(".main-svg").first.wait_for()
    chart.hover()
    with page.expect_download() as caught:
        chart.locator(f".modebar-btn[data-title='{button}']").click()
    assert caught.value.suggested_filename == f"simrec-curves-reward-early.{kind}"
    assert Path(caught.value.path()).read_bytes().startswith(start)


def _the_address_brings_back_the_selection(address: str, page: Any) -> None:
    page.reload()
    _shown(page, PAGES["Compare"])
    expect(page.get_by_role("radio", name="early window")).to_be_checked()
    page.goto(f"{address}/compare?zoom=early+window&why=Diversity")
    page.wait_for_url(f"{address}/?*zoom=early+window*")
    _shown(page, PAGES["Compare"])
    assert page.get_by_text("Page not found").count() == 0
    expect(page.get_by_role("radio", name="early window")).to_be_checked()
    expect(page.get_by_role("radio", name="Diversity")).to_be_checked()


def _open_the_session_that_differs_most(page: Any, pictures: Path) -> None:
    page.get_by_role("link", name="See why early").click()
    _shown(page, PAGES["Session"])
    expect(page.locator(".sr-item").first).to_be_visible()
    assert page.locator(".sr-item img").count() > 0
    page.screenshot(path=pictures / "session.png")
    page.go_back()
    _shown(page, PAGES["Compare"])
    page.go_forward()
    _shown(page, PAGES["Session"])
    expect(page.locator(".sr-item").first).to_be_visible()
    page.get_by_role("button", name="Play").click()
    expect(page.get_by_role("button", name="Pause")).to_be_visible()


def _point_at_an_item(address: str, page: Any, pictures: Path) -> None:
    """The map shows an item's generated cover where one points at its spot."""
    _go(page, f"{address}/items", PAGES["Items"])
    spots = page.locator("[data-testid=stVegaLiteChart] .mark-symbol.role-mark path")
    spots.first.hover(force=True)  # another spot may lie above it: it has a cover as well
    expect(page.locator("#vg-tooltip-element img")).to_be_visible()
    shown = page.locator("#vg-tooltip-element img").get_attribute("src")
    assert shown.startswith("data:image/")
    page.screenshot(path=pictures / "items-pointed.png")


def _keys_press_links_and_buttons(address: str, page: Any) -> None:
    _go(page, f"{address}/live", PAGES["Live"])
    page.get_by_role("button", name="One step").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_text("1 item shown")).to_be_visible()
    _go(page, address, PAGES["Compare"])
    page.get_by_role("radio", name="whole run", exact=True).focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Space")
    expect(page.get_by_role("radio", name="early window")).to_be_checked()
    page.locator("summary", has_text="What the strategies do").focus()
    page.keyboard.press("Enter")
    about = page.locator(".sr-named").get_by_text("learns from real users only")
    expect(about).to_be_visible()
    page.get_by_role("link", name="See why early").focus()
    page.keyboard.press("Enter")
    _shown(page, PAGES["Session"])


def _narrow_and_dark(address: str, page: Any, pictures: Path) -> None:
    page.emulate_media(color_scheme="dark")
    page.set_viewport_size({"width": 400, "height": 800})
    for name, heading in PAGES.items():
        _go(page, f"{address}/{name.lower()}", heading)
        wide = page.evaluate(
            "() => { const main = document.querySelector('[data-testid=stMain]');"
            " return main.scrollWidth - main.clientWidth; }"
        )
        page.screenshot(path=pictures / f"narrow-{name.lower()}.png", full_page=True)
        assert wide <= 0, f"{name} scrolls sideways by {wide} pixels at a width of 400"


@pytest.mark.timeout(400)
def test_a_hostile_name_runs_nothing(tmp_path: Path, page: Any) -> None:
    for strategy in (HOSTILE, "scratch"):
        record = replace(RECORD, strategy=strategy, world=HOSTILE)
        folder = tmp_path / "tiny" / strategy[:3].strip("<") / "seed-0"
        write_made_run(folder, record, lambda s: s * 0 + 3)
    with served(tmp_path, read_only=True) as place:
        _go(page, place, "Strategies compared")
        expect(page.get_by_text("<img src=x onerror=alert(1)>").first).to_be_visible()
        assert page.locator("img[src=x]").count() == 0
