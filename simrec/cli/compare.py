"""`simrec compare`: strategies side by side in the terminal, or as JSON."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from simrec.compare import Comparison


def compare_command(
    paths: Annotated[list[Path], typer.Argument(help="Folders of studies, or run folders.")],
    json_path: Annotated[
        Path | None, typer.Option("--json", help="Write JSON here; - prints it and nothing else.")
    ] = None,
    markdown_path: Annotated[
        Path | None, typer.Option("--markdown", help="Write the tables as Markdown.")
    ] = None,
    measures: Annotated[
        bool, typer.Option("--measures", help="Print all that runs noted, and what it means.")
    ] = False,
) -> None:
    """Compare the strategies of a study, with 95 % intervals over seeds.

    Given several studies, one a world, also say what holds over all of them.
    """
    # pandas and scipy take a second to import: only when the command runs, not for --help.
    from rich.console import Console

    from simrec.cli.compare_tables import (
        show,
        show_contrasts,
        show_doses,
        show_measures,
        show_overall,
        show_targets,
    )
    from simrec.compare import compare_studies
    from simrec.contrasts import outcomes
    from simrec.doses import dose_responses
    from simrec.files import atomic_file, write_json
    from simrec.target import targets

    comparisons = compare_studies(paths)
    if markdown_path is not None:
        from simrec.markdown import markdown

        with atomic_file(markdown_path) as temporary:
            temporary.write_text(markdown(comparisons), encoding="utf-8")
        typer.echo(f"Wrote {markdown_path}.", err=True)
    if str(json_path) == "-":
        typer.echo(json.dumps(_content(comparisons), indent=2))
        return
    console = Console()
    if not console.is_terminal:
        console = Console(width=120)  # a pipe has no width of its own
    for comparison in comparisons:
        show(comparison, console)
        if measures:
            show_measures(comparison, console)
    show_contrasts(outcomes(comparisons), console)
    show_targets(targets(comparisons), console)
    if len(comparisons) > 1:
        show_overall(comparisons, console)
    show_doses(dose_responses(comparisons), console)
    if json_path is not None:
        write_json(json_path, _content(comparisons))
        console.print(f"Wrote {json_path}.", markup=False, highlight=False)


def _content(comparisons: "Sequence[Comparison]") -> dict[str, Any]:
    """Return the JSON form: a study's own keys where there is one, else all studies by name."""
    from simrec.contrasts import outcomes, overall
    from simrec.doses import dose_responses
    from simrec.records import plain
    from simrec.target import targets

    judged = plain([outcome.as_dict() for outcome in outcomes(comparisons)])
    aimed = plain([target.as_dict() for target in targets(comparisons)])
    if len(comparisons) == 1:
        return {**comparisons[0].as_dict(), "contrasts": judged, "target": aimed}
    return {
        "studies": {comparison.study: comparison.as_dict() for comparison in comparisons},
        "overall": plain({row.strategy: row.as_dict() for row in overall(comparisons)}),
        "contrasts": judged,
        "target": aimed,
        "dose_response": plain([response.as_dict() for response in dose_responses(comparisons)]),
    }
