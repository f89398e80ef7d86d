"""The dashboard's server: `simrec app` calls `python -m simrec.app.serve run app/main.py ...`.

It is Streamlit's own command. What pages need and takes long to import is imported before the
server listens, so that no page waits for it.
"""

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

HEAVY = ("pandas", "plotly.graph_objects", "pyarrow.parquet", "simrec.compare", "simrec.config")


def arguments(given: Sequence[str]) -> argparse.Namespace:
    """Return `runs`, the runs folder, and `read_only` from what stands after `--`."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("runs", nargs="?", type=Path, default=Path("runs"))
    parser.add_argument("--read-only", action="store_true")
    return parser.parse_known_args(given)[0]


def main() -> None:
    """Import what is heavy, begin to read the runs, then hand over to Streamlit."""
    for name in HEAVY:
        import_module(name)
    from simrec.app import ahead

    given = arguments(sys.argv[sys.argv.index("--") + 1 :] if "--" in sys.argv else ())
    ahead.begin(given.runs, given.read_only)
    from streamlit.web.cli import main as streamlit

    streamlit(prog_name="streamlit")


if __name__ == "__main__":
    main()
