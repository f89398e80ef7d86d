"""`simrec teacher`: is the teacher any good?"""

from pathlib import Path
from typing import Annotated

import typer

teacher_app = typer.Typer(
    no_args_is_help=True, add_completion=False, help="Judge a study's teacher against people."
)

Price = Annotated[float | None, typer.Option(min=0.0, help="Price of a million tokens.")]


@teacher_app.callback()
def _group() -> None:
    """Judge a study's teacher against people."""


@teacher_app.command()
def report(
    study: Annotated[Path, typer.Argument(help="Study file, for example configs/ml100k.yaml.")],
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change a key of the study."),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="Seed whose answers are judged; default: the first.")
    ] = None,
    root: Annotated[Path, typer.Option("--runs", help="Folder of all run folders.")] = Path("runs"),
    price_in: Price = None,
    price_out: Price = None,
    json_path: Annotated[
        Path | None, typer.Option("--json", help="Write the numbers here as well.")
    ] = None,
) -> None:
    """Compare the teacher's answers with people's: in all, personally, and with popularity."""
    from simrec.cli.teacher_report import judge, show
    from simrec.config import load_config
    from simrec.files import write_json
    from simrec.stages.inputs import Inputs

    judged = judge(Inputs(load_config(study, overrides), root), seed)
    show(judged, (price_in, price_out))
    if json_path is not None:
        write_json(json_path, judged.as_dict())
        typer.echo(f"Wrote {json_path}.")
