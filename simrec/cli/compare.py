"""`simrec compare`: strategies side by side in the terminal, or as JSON."""

import json
from pathlib import Path
from typing import Annotated

import typer


def compare_command(
    paths: Annotated[list[Path], typer.Argument(help="Folder of a study, or several run folders.")],
    json_path: Annotated[
        Path | None, typer.Option("--json", help="Write JSON here; - prints it and nothing else.")
    ] = None,
) -> None:
    """Compare the strategies of a study, with 95 % intervals over seeds."""
    # pandas and scipy take a second to import: only when the command runs, not for --help.
    from rich.console import Console

    from simrec.cli.compare_tables import show
    from simrec.compare import compare
    from simrec.files import write_json

    comparison = compare(paths)
    if str(json_path) == "-":
        typer.echo(json.dumps(comparison.as_dict(), indent=2))
        return
    console = Console()
    if not console.is_terminal:
        console = Console(width=120)  # a pipe has no width of its own
    show(comparison, console)
    if json_path is not None:
        write_json(json_path, comparison.as_dict())
        console.print(f"Wrote {json_path}.", markup=False, highlight=False)
