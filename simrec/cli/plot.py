"""`simrec plot`: the figures of studies as PDF files for a paper, or as PNG files for a page."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Kind(StrEnum):
    """The file formats there are."""

    pdf = "pdf"
    png = "png"


def plot_command(
    paths: Annotated[list[Path], typer.Argument(help="Study or run folders.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder the files go to.")] = Path(
        "figures"
    ),
    kind: Annotated[Kind, typer.Option("--format", help="PDF keeps text as text.")] = Kind.pdf,
    strategy: Annotated[
        list[str] | None,
        typer.Option("--strategy", help="Show it in worlds.*; again for more. All without it."),
    ] = None,
) -> None:
    """Draw the learning curves and the paired differences.

    Several studies give a pair of figures each, and all of them side by side in worlds.pdf.
    """
    from simrec.compare import compare_studies
    from simrec.errors import SimrecError, nearest
    from simrec.figures import curves_figure, differences_figure, write_pdf, write_png
    from simrec.figures_worlds import worlds_figure
    from simrec.findings import pair_rows

    write = {Kind.pdf: write_pdf, Kind.png: write_png}[kind]
    ink = "#000000"
    comparisons = compare_studies(paths)
    known = {name for comparison in comparisons for name in comparison.strategies}
    for name in strategy or ():
        if name not in known:
            raise SimrecError(f"no run here is of strategy '{name}'; {nearest(name, known)}")
    made = []
    for comparison in comparisons:
        first = f"{comparison.study}-" if len(comparisons) > 1 else ""
        figure = curves_figure(comparison, ink=ink)
        made.append(write(figure, output / f"{first}curves.{kind}"))
        if pair_rows(comparison):
            figure = differences_figure(comparison, ink=ink)
            made.append(write(figure, output / f"{first}differences.{kind}"))
    if len(comparisons) > 1:
        figure = worlds_figure(comparisons, strategies=strategy or (), ink=ink)
        made.append(write(figure, output / f"worlds.{kind}"))
    for path in made:
        typer.echo(f"figure: {path}")
