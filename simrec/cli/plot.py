"""`simrec plot`: the figures of a study as PDF files for a paper."""

from pathlib import Path
from typing import Annotated

import typer


def plot_command(
    paths: Annotated[list[Path], typer.Argument(help="Study or run folders.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder the files go to.")] = Path(
        "figures"
    ),
) -> None:
    """Write the learning curves and the paired differences as PDF, text kept as text."""
    from simrec.compare import compare
    from simrec.figures import curves_figure, differences_figure, write_pdf
    from simrec.findings import pair_rows

    comparison = compare(paths)
    made = [write_pdf(curves_figure(comparison, ink="#000000"), output / "curves.pdf")]
    if pair_rows(comparison):
        figure = differences_figure(comparison, ink="#000000")
        made.append(write_pdf(figure, output / "differences.pdf"))
    for path in made:
        typer.echo(f"figure: {path}")
