"""`simrec app`: the dashboard, served to this machine only."""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from simrec.errors import SimrecError

_ACCENT = {"light": "#0072B2", "dark": "#2F8FCF"}


def app_command(
    root: Annotated[Path, typer.Option("--runs", help="Folder of all run folders.")] = Path("runs"),
    read_only: Annotated[
        bool, typer.Option("--read-only", help="Hide starting and deleting of studies.")
    ] = False,
    port: Annotated[int, typer.Option("--port", min=1, max=65535, help="Where to listen.")] = 8501,
) -> None:
    """Open the dashboard over the run folders in a browser."""
    if find_spec("streamlit") is None or find_spec("plotly") is None:
        raise SimrecError(
            "the dashboard needs streamlit and plotly, which are not installed; install them with "
            "'pip install simrec[app]', or run 'make app'"
        )
    raise typer.Exit(subprocess.call(streamlit_command(root, read_only=read_only, port=port)))


def streamlit_command(
    root: Path, *, read_only: bool = False, port: int = 8501, headless: bool = False
) -> list[str]:
    """Return the command that serves the dashboard on 127.0.0.1, without telemetry.

    Args:
        root: Folder of all run folders.
        read_only: Hide starting and deleting.
        port: Where to listen.
        headless: Open no browser.
    """
    main = Path(__file__).resolve().parents[1] / "app" / "main.py"
    options = {
        "server.address": "127.0.0.1",
        "server.port": str(port),
        "server.headless": str(headless).lower(),
        "server.fileWatcherType": "none",
        "server.showEmailPrompt": "false",  # else a first start waits for somebody to type
        "browser.gatherUsageStats": "false",
        "client.toolbarMode": "minimal",
        **{f"theme.{base}.primaryColor": colour for base, colour in _ACCENT.items()},
    }
    flags = [f"--{name}={value}" for name, value in options.items()]
    given = [str(root), *(["--read-only"] if read_only else [])]
    return [sys.executable, "-m", "simrec.app.serve", "run", str(main), *flags, "--", *given]
