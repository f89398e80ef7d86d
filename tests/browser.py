"""The dashboard in a real browser: a server on loopback and headless Chromium."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

from simrec.cli.app import streamlit_command

ROOT = Path(__file__).resolve().parents[1]
PATIENCE = 180_000  # milliseconds: on a machine with much other work a page may take a minute
_QUIET = (
    "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip


def chromium() -> str | None:
    """Return where Chromium is, or None."""
    names = ("chromium", "chromium-browser", "google-chrome")
    return next((path for name in names if (path := shutil.which(name))), None)


@contextmanager
def served(root: Path, *, read_only: bool = False) -> Iterator[str]:
    """Serve the dashboard over a runs folder; yield its address and stop it afterwards."""
    with serving(
        lambda port: streamlit_command(root, read_only=read_only, port=port, headless=True)
    ) as address:
        yield address


@contextmanager
def serving(command: Callable[[int], list[str]]) -> Iterator[str]:
    """Run the Streamlit command for a free port; yield its address and stop it afterwards."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(
        command(port),
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    address = f"http://127.0.0.1:{port}"
    try:
        _wait(address, process)
        yield address
    finally:
        process.terminate()
        process.wait(timeout=60)


def _wait(address: str, process: subprocess.Popen[bytes]) -> None:
    """Return once the server answers; it tells nobody when it is ready, so it is asked."""
    until = time.monotonic() + 300
    while time.monotonic() < until:
        assert process.poll() is None, "the server ended before it answered"
        try:
            with urlopen(f"{address}/_stcore/health", timeout=5):
                return
        except (URLError, OSError):
            time.sleep(0.2)
    raise AssertionError("the server did not answer within 300 seconds")


@contextmanager
def opened(*, width: int = 1280, height: int = 900, scheme: Any = "light") -> Iterator[Any]:
    """Yield a Playwright page of headless Chromium."""
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium(), headless=True, chromium_sandbox=False, args=list(_QUIET)
        )
        page = browser.new_page(
            viewport={"width": width, "height": height}, color_scheme=scheme, accept_downloads=True
        )
        page.set_default_timeout(PATIENCE)
        yield page
        browser.close()


def settled(page: Any) -> None:
    """Wait until the page's script has ended."""
    from playwright.sync_api import expect

    app = page.locator("[data-testid=stApp]")
    expect(app).to_have_attribute("data-test-script-state", "notRunning")


# Every control of the page that the tab key should stop at, marked; members of a group of radio
# buttons are reached by the arrow keys once the group is.
_MARK = """() => {
  const style = document.createElement('style');
  style.textContent = '* { transition: none !important; animation: none !important }';
  document.head.append(style);
  const found = [...document.querySelectorAll(
    'a[href], button, input, textarea, select, summary, [tabindex]')].filter(e =>
      e.closest('[data-testid=stMain]') && e.tabIndex >= 0 && !e.disabled &&
      e.getClientRects().length && e.checkVisibility({visibilityProperty: true}));
  const look = e => {
    const seen = [];
    for (let n = e, i = 0; n && i < 4; n = n.parentElement, i++) {
      const s = getComputedStyle(n);
      seen.push(s.outline, s.boxShadow, s.borderColor, s.backgroundColor, s.color, s.opacity);
    }
    return seen.join();
  };
  window.walked = {found, reached: new Set(), unseen: new Set(), plain: new Map()};
  found.forEach(e => window.walked.plain.set(e, look(e)));
  document.addEventListener('focusin', event => {
    const e = event.target;
    window.walked.reached.add(e);
    if (window.walked.plain.has(e) && look(e) === window.walked.plain.get(e))
      window.walked.unseen.add(e);
  });
  return found.length;
}"""
_LEFT_OUT = """() => {
  const {found, reached, unseen} = window.walked;
  const name = e => (e.ariaLabel || e.innerText || e.tagName).trim().slice(0, 60);
  const group = e => e.closest('[role=radiogroup]');
  const groups = new Set([...reached].map(group).filter(Boolean));
  const missed = found.filter(e => e.isConnected && !reached.has(e) && !groups.has(group(e)));
  return [...missed.map(e => 'not reached: ' + name(e)),
          ...[...unseen].filter(e => e.isConnected).map(e => 'focus not seen: ' + name(e))];
}"""


def unreached(page: Any) -> list[str]:
    """Return the controls of a page that the tab key misses, or whose focus cannot be seen."""
    number = page.evaluate(_MARK)
    for _ in range(number + 60):  # the sidebar has some, and charts get theirs as they are drawn
        page.keyboard.press("Tab")
    left_out: list[str] = page.evaluate(_LEFT_OUT)
    return left_out
