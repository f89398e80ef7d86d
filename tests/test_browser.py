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

from tests.browser import chromium, opened, served, settled
from tests.run_folders import RECORD, write_made_run, write_study
from tests.test_app import HOSTILE
from tests.toy_study import STUDY

pytestmark = pytest.mark.skipif(
    chromium() is None,
    reason="no Chromium here; install it, for example with 'apt-get install chromium'",
)

STUDY_OF_TWO = STUDY.replace("[scratch, frozen]", "[scratch, ft]").replace(", 231", "")


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
        yield found
        assert dialogs == []  # nothing shown ran as a script


def _go(page: Any, place: str, heading: str) -> None:
    page.goto(place)
    expect(page.get_by_role("heading", name=heading, exact=True)).to_be_visible(timeout=60_000)
    settled(page)


@pytest.mark.timeout(420)
def test_the_walk(address: str, page: Any, pictures: Path) -> None:
    _go(page, address, "Strategies compared")
    expect(page.get_by_role("button", name="Start the toy study")).to_be_visible()
    page.screenshot(path=pictures / "empty.png")

    # Start a small toy study from the page and wait until it is there.
    page.get_by_role("link", name="Runs").click()
    box = page.get_by_label("Study (YAML); only what differs from the defaults")
    box.fill(STUDY_OF_TWO)
    box.press("Control+Enter")
    expect(page.get_by_text("3 runs of 2,000 env steps")).to_be_visible(timeout=30_000)
    page.get_by_role("button", name="Start", exact=True).click()
    expect(page.get_by_text("tiny is running")).to_be_visible(timeout=30_000)
    page.screenshot(path=pictures / "running.png")
    expect(page.get_by_role("button", name="Resume", exact=True)).to_be_visible(timeout=240_000)
    expect(page.get_by_text("tiny is running")).to_be_hidden(timeout=240_000)
    settled(page)
    page.screenshot(path=pictures / "runs.png")

    # Compare, zoom, and take the data and the picture home.
    page.get_by_role("link", name="Compare").click()
    expect(page.get_by_text("Best early")).to_be_visible(timeout=60_000)
    page.get_by_role("radio", name="early window").click()
    page.wait_for_url("**zoom=early+window**")
    settled(page)
    page.screenshot(path=pictures / "compare.png", full_page=True)
    with page.expect_download() as caught:
        page.get_by_role("button", name="Data as CSV").first.click()
    data = pd.read_csv(caught.value.path())
    assert set(data["strategy"]) == {"scratch", "ft"}
    assert data["env_step"].max() <= 100  # 5 % of 2,000
    page.locator("[data-testid=stPlotlyChart]").first.hover()
    with page.expect_download() as caught:
        page.locator(".modebar-btn[data-title^=Download]").first.click()
    assert caught.value.suggested_filename == "simrec-curves-reward-early.png"
    assert Path(caught.value.path()).read_bytes().startswith(b"\x89PNG")

    # The session that differs most comes first.
    page.get_by_role("link", name="Session").click()
    expect(page.get_by_role("heading", name="One user, two strategies")).to_be_visible()
    expect(page.locator(".sr-item").first).to_be_visible(timeout=60_000)
    settled(page)
    assert page.locator(".sr-item img").count() > 0
    page.screenshot(path=pictures / "session.png")
    page.get_by_role("button", name="Play").click()
    expect(page.get_by_role("button", name="Pause")).to_be_visible(timeout=30_000)

    for name, heading in (
        ("Live", "Live"),
        ("Items", "Items"),
        ("Teacher", "Teacher"),
        ("Users", "Users and realism"),
    ):
        page.get_by_role("link", name=name).click()
        expect(page.get_by_role("heading", name=heading, exact=True)).to_be_visible(timeout=60_000)
        settled(page)
        assert page.locator("[data-testid=stException]").count() == 0
        page.screenshot(path=pictures / f"{name.lower()}.png")


@pytest.mark.timeout(240)
def test_a_narrow_page_does_not_scroll_sideways(tmp_path: Path, pictures: Path) -> None:
    write_study(tmp_path, seeds=3)
    with served(tmp_path, read_only=True) as place, opened(width=400, scheme="dark") as page:
        _go(page, place, "Strategies compared")
        expect(page.get_by_label("Study")).to_be_visible(timeout=30_000)
        page.screenshot(path=pictures / "narrow-dark.png")
        wide = page.evaluate(
            "() => { const main = document.querySelector('[data-testid=stMain]');"
            " return main.scrollWidth - main.clientWidth; }"
        )
        assert wide <= 0


@pytest.mark.timeout(240)
def test_a_hostile_name_runs_nothing(tmp_path: Path, page: Any) -> None:
    for strategy in (HOSTILE, "scratch"):
        record = replace(RECORD, strategy=strategy, world=HOSTILE)
        folder = tmp_path / "tiny" / strategy[:3].strip("<") / "seed-0"
        write_made_run(folder, record, lambda s: s * 0 + 3)
    with served(tmp_path, read_only=True) as place:
        _go(page, place, "Strategies compared")
        expect(page.get_by_text("<img src=x onerror=alert(1)>").first).to_be_visible()
        assert page.locator("img[src=x]").count() == 0
