"""Pictures of the dashboard for the README: python -m tests.screenshots RUNS OUT [STUDY]."""

import sys
from pathlib import Path

from tests.browser import chromium, opened, served, settled

PICTURES = {
    "dashboard-compare.png": ("", 1790),
    "dashboard-session.png": ("session?a=ft&b=scratch&when=early", 1120),
}


def take(root: Path, output: Path, study: str = "demo") -> list[Path]:
    """Write a picture of the Compare and the Session page of the toy study and return the paths."""
    output.mkdir(parents=True, exist_ok=True)
    made = []
    with served(root, read_only=True) as address:
        for name, (place, height) in PICTURES.items():
            with opened(width=1360, height=height) as page:
                page.goto(f"{address}/{place}{'&' if '?' in place else '?'}study={study}")
                page.locator("[data-testid=stPlotlyChart] .main-svg").first.wait_for(timeout=90_000)
                settled(page)
                page.wait_for_function("() => document.fonts.status === 'loaded'")
                page.screenshot(path=output / name)
            made.append(output / name)
    return made


if __name__ == "__main__":
    if chromium() is None:
        sys.exit(
            "screenshots need Chromium; install it, for example with 'apt-get install chromium'"
        )
    if not (Path(sys.argv[1]) / "demo").is_dir():
        sys.exit(f"there is no toy study under {sys.argv[1]}; make it with 'make demo'")
    for path in take(Path(sys.argv[1]), Path(sys.argv[2])):
        print(path)
