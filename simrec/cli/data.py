"""`simrec data`: import, list, describe and fetch data sets."""

from pathlib import Path
from typing import Annotated

import typer

data_app = typer.Typer(
    no_args_is_help=True, help="Import, list, describe and fetch data sets.", add_completion=False
)


@data_app.command("import")
def import_(
    path: Annotated[Path, typer.Argument(help="Folder to read.")],
    name: Annotated[str, typer.Option(help="What to call the data set.")],
    format: Annotated[str, typer.Option(help="table, tidy, movielens, microlens, ...")] = "tidy",
    column: Annotated[
        list[str] | None,
        typer.Option(metavar="ROLE=NAME", help="What a column of a table is; may be repeated."),
    ] = None,
    drop_unknown: Annotated[
        bool,
        typer.Option("--drop-unknown", help="Drop what is of items that the catalogue has not."),
    ] = False,
    replace: Annotated[bool, typer.Option("--replace", help="Replace one of that name.")] = False,
) -> None:
    """Check a data set and keep a copy of it in the data home.

    table: your own files, with ids and column names of your own: a log (interactions, log, ratings,
    events or clicks) and a catalogue (items, catalogue, products or movies) as .csv, .tsv, .parquet
    or .jsonl, and, if there are any, covers/ID.jpg and features/NAME.npy or, with ids, NAME.csv.
    Columns with common names are found, --column user=customer names others; the roles are user,
    item, feedback, time, title and text.
    tidy: items.parquet (item_id 0..I-1, title; optional description, genres, ...) and
    interactions.parquet (user_id, item_id, rating; optional timestamp or position), and, if there
    are any, users.parquet, images.parquet (item_id, jpeg) and features/NAME.npy.
    movielens: u.data, u.item and u.genre, or ratings.csv and movies.csv.
    microlens, ninerec, pixelrec, mmrec: folders as those projects lay them out, with their covers
    and feature files.
    """
    from simrec.datasets.library import import_dataset
    from simrec.datasets.table import TableRequest

    request = None
    if format == "table" or column or drop_unknown:
        request = TableRequest(tuple(column or ()), drop_unknown, typer.echo)
    import_dataset(format, path, name, replace, imported_at=_now(), request=request)
    _describe(name)


@data_app.command("list")
def list_() -> None:
    """List the data sets that can be used, with their sizes."""
    from rich.console import Console
    from rich.table import Table

    from simrec.datasets.library import dataset_info, list_datasets

    table = Table("name", "users", "items", "events", "feedback", "source", box=None)
    for name in list_datasets():
        info = dataset_info(name)
        counts = (f"{info[key]:,}" for key in ("users", "items", "events"))
        table.add_row(name, *counts, info["unit"], info["source"])
    Console().print(table)


@data_app.command()
def info(name: Annotated[str, typer.Argument(help="Name of a data set.")]) -> None:
    """Say where a data set came from and what it holds."""
    _describe(name)


@data_app.command()
def fetch(
    name: Annotated[str, typer.Argument(help="Name of a public data set: ml-100k, ...")],
    accept_terms: Annotated[
        bool, typer.Option("--accept-terms", help="Accept its terms without being asked.")
    ] = False,
    replace: Annotated[bool, typer.Option("--replace", help="Replace one of that name.")] = False,
) -> None:
    """Download a public data set from its publisher, after showing its terms."""
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn

    from simrec.datasets import fetch as fetching

    entry = fetching.public_set(name)
    typer.echo(f"{name}, {entry.size / 1e6:.1f} MB from {entry.url}")
    typer.echo(f"Terms: {entry.terms} In full: {entry.terms_url}")
    accepted = accept_terms or typer.confirm("Do you accept these terms?")
    with Progress(
        TextColumn("{task.description}"), BarColumn(), DownloadColumn(), transient=True
    ) as bar:
        task = bar.add_task(name, total=entry.size)
        fetching.fetch(
            name,
            accept_terms=accepted,
            progress=lambda done, total: bar.update(task, completed=done, total=total or None),
            replace=replace,
            imported_at=_now(),
        )
    _describe(name)


def _describe(name: str) -> None:
    from simrec.datasets.library import dataset_info

    for key, value in {"name": name, **dataset_info(name)}.items():
        if isinstance(value, dict):
            value = ", ".join(f"{k} ({v})" for k, v in value.items()) or "none"
        typer.echo(f"{key.replace('_', ' ')}: {'unknown' if value is None else value}")


def _now() -> str:
    from datetime import UTC, datetime

    return datetime.now(UTC).isoformat(timespec="seconds")
