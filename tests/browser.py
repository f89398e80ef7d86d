"""The dashboard in a real browser: a server on loopback and headless Chromium."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

from simrec.cli.app import streamlit_command

ROOT = Path(__file__).resolve().parents[1]
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
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = streamlit_command(root, read_only=read_only, port=port, headless=True)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    address = f"http://127.0.0.1:{port}"
    try:
        _wait(address, process)
        yield address
    finally:
        process.terminate()
        process.wait(timeout=20)


def _wait(address: str, process: subprocess.Popen[bytes]) -> None:
    """Return once the server answers; it tells nobody when it is ready, so it is asked."""
    until = time.monotonic() + 90
    while time.monotonic() < until:
        assert process.poll() is None, "the server ended before it answered"
        try:
            with urlopen(f"{address}/_stcore/health", timeout=5):
                return
        except (URLError, OSError):
            time.sleep(0.2)
    raise AssertionError("the server did not answer within 90 seconds")


@contextmanager
def opened(*, width: int = 1280, height: int = 900, scheme: Any = "light") -> Iterator[Any]:
    """Yield a Playwright page of headless Chromium."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium(), headless=True, chromium_sandbox=False, args=list(_QUIET)
        )
        yield browser.new_page(
            viewport={"width": width, "height": height}, color_scheme=scheme, accept_downloads=True
        )
        browser.close()


def settled(page: Any) -> None:
    """Wait until the page's script has ended."""
    from playwright.sync_api import expect

    app = page.locator("[data-testid=stApp]")
    expect(app).to_have_attribute("data-test-script-state", "notRunning", timeout=90_000)
