"""How long the dashboard takes to open: python -m tests.opening RUNS [TIMES].

In the same Chromium, each time from an empty profile: an empty Streamlit app, which is the best
this machine can do, then the dashboard. The clock starts with the navigation and is the browser's
own; a thing counts as seen in the frame after the one in which it came onto the page:

- answer: who is best early and late, with a picture of the intervals;
- curves: the learning curves with their bands, axes and names;
- pointing: the drawing library has taken over, so that one can point at the curves and zoom;
- all: the page's script has ended.

A study that was opened before has its file of digests; here it is deleted and written again.
"""

import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from simrec.digest_study import FILE
from tests.browser import chromium, opened, serving, settled
from tests.browser import served as dashboard

_CHART = "[data-testid=stPlotlyChart] .main-svg"
_SEEN = {
    "answer": ".sr-dots",
    "curves": f".sr-still img, {_CHART}",
    "pointing": _CHART,
}

# Notes when something is first painted, without asking the page again and again from outside.
_WATCH = """wanted => {
  window.seen = {};
  const look = () => {
    for (const [name, what] of Object.entries(wanted)) {
      const there = document.querySelector(what);
      if (!there || name in window.seen) continue;
      window.seen[name] = 0;
      const note = () => requestAnimationFrame(() => setTimeout(
        () => { window.seen[name] = performance.now() / 1000; }));
      there.decode ? there.decode().then(note, note) : note();
    }
  };
  new MutationObserver(look).observe(document, {subtree: true, childList: true});
}"""


def _load() -> str:
    return f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"


def _open(page: Any, address: str, wanted: dict[str, str]) -> dict[str, float]:
    """Return the seconds from the navigation until each wanted thing was seen."""
    import json

    page.add_init_script(f"({_WATCH})({json.dumps(wanted)})")
    page.goto(address, wait_until="commit")
    ready = f"() => {json.dumps(list(wanted))}.every(name => window.seen && window.seen[name])"
    page.wait_for_function(ready, polling=500, timeout=120_000)
    settled(page)
    return {**page.evaluate("window.seen")}


def open_empty() -> float:
    """Return the seconds an app of one line needs until its line is seen."""
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "empty.py"
        script.write_text("import streamlit as st\nst.text('here')\n", encoding="utf-8")
        flags = ("--server.fileWatcherType=none", "--browser.gatherUsageStats=false",
                 "--server.address=127.0.0.1", "--server.headless=true")  # fmt: skip
        command = [sys.executable, "-m", "streamlit", "run", str(script), *flags]
        with serving(lambda port: [*command, f"--server.port={port}"]) as address, opened() as page:
            return _open(page, address, {"line": "[data-testid=stText]"})["line"]


def open_dashboard(address: str) -> dict[str, float]:
    """Return the seconds until the answer, the curves and the chart one can point at were seen."""
    with opened() as page:
        return _open(page, address, _SEEN)


def main(root: Path, times: int) -> None:
    """Print the times, with the machine's load beside each."""
    for _ in range(times):
        print(f"empty app: {open_empty():.1f} s ({_load()})", flush=True)
        for kept in root.glob(f"*/{FILE}"):
            kept.unlink()
        for state in ("never opened before", "opened before"):
            with dashboard(root) as address:
                for word in ("first", "second"):
                    found = open_dashboard(address)
                    said = ", ".join(f"{name} {at:.2f} s" for name, at in found.items())
                    print(f"{root.name}, {state}, {word} opening: {said} ({_load()})", flush=True)


if __name__ == "__main__":
    if chromium() is None:
        sys.exit("opening needs Chromium; install it, for example with 'apt-get install chromium'")
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1)
