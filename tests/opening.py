"""How long the dashboard takes to open: python -m tests.opening RUNS [TIMES].

In the same Chromium, each time from an empty profile: an empty Streamlit app, which is the best
this machine can do, then the dashboard until its answer and the picture of it stand (who is best
early and late, with intervals), until the learning curves are drawn, and until all is there.
A study that was opened before has its file of digests; here it is deleted and written again.
"""

import os
import sys
import tempfile
import time
from pathlib import Path

from simrec.digest_study import FILE
from tests.browser import chromium, opened, serving, settled
from tests.browser import served as dashboard


def _load() -> str:
    return f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"


def open_empty() -> float:
    """Return the seconds an app of one line needs until its line is seen and its script ended."""
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "empty.py"
        script.write_text("import streamlit as st\nst.text('here')\n", encoding="utf-8")
        flags = ("--server.fileWatcherType=none", "--browser.gatherUsageStats=false",
                 "--server.address=127.0.0.1", "--server.headless=true")  # fmt: skip
        command = [sys.executable, "-m", "streamlit", "run", str(script), *flags]
        with serving(lambda port: [*command, f"--server.port={port}"]) as address, opened() as page:
            began = time.perf_counter()
            page.goto(address, wait_until="commit")
            page.get_by_text("here", exact=True).wait_for(timeout=120_000)
            settled(page)
            return time.perf_counter() - began


def open_dashboard(address: str) -> tuple[float, float, float]:
    """Return the seconds until the answer stands, the curves are drawn and the script has ended."""
    with opened() as page:
        began = time.perf_counter()
        page.goto(address, wait_until="commit")
        page.locator(".sr-dots").last.wait_for(timeout=120_000)
        answered = time.perf_counter() - began
        page.locator("[data-testid=stPlotlyChart] .main-svg").first.wait_for(timeout=120_000)
        drawn = time.perf_counter() - began
        page.get_by_role("heading", name="Why").wait_for(timeout=120_000)
        settled(page)
        return answered, drawn, time.perf_counter() - began


def main(root: Path, times: int) -> None:
    """Print the times, with the machine's load beside each."""
    for _ in range(times):
        print(f"empty app: {open_empty():.1f} s ({_load()})", flush=True)
        for kept in root.glob(f"*/{FILE}"):
            kept.unlink()
        for state in ("never opened before", "opened before"):
            with dashboard(root) as address:
                for word in ("first", "second"):
                    answered, drawn, whole = open_dashboard(address)
                    print(
                        f"{root.name}, {state}, {word} opening after the server's start: "
                        f"answer {answered:.1f} s, curves {drawn:.1f} s, all {whole:.1f} s "
                        f"({_load()})",
                        flush=True,
                    )


if __name__ == "__main__":
    if chromium() is None:
        sys.exit("opening needs Chromium; install it, for example with 'apt-get install chromium'")
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1)
