"""`simrec prefer`: ask a study's teacher, after saying what that costs; move kept answers."""

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup


class _StudyFirst(TyperGroup):
    """Reads `simrec prefer STUDY.yaml` as `simrec prefer ask STUDY.yaml`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put the command in where a study was named instead."""
        if args and args[0] not in {*self.commands, "--help"}:
            args = ["ask", *args]
        return super().parse_args(ctx, args)


prefer_app = typer.Typer(
    cls=_StudyFirst,
    subcommand_metavar="STUDY.yaml | export FILE | import FILE",
    options_metavar="",
    no_args_is_help=True,
    add_completion=False,
    help="Ask a study's teacher: simrec prefer STUDY.yaml. Nothing is asked or paid twice.",
)

Price = Annotated[float | None, typer.Option(min=0.0, help="Price of a million tokens.")]


@prefer_app.command()
def ask(
    study: Annotated[Path, typer.Argument(help="Study file, for example configs/ml100k.yaml.")],
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change a key of the study."),
    ] = None,
    seeds: Annotated[
        list[int] | None, typer.Option("--seed", help="Only this seed; may be given again.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show prompts, tokens and money; ask nothing.")
    ] = False,
    root: Annotated[Path, typer.Option("--runs", help="Folder of all run folders.")] = Path("runs"),
    price_in: Price = None,
    price_out: Price = None,
) -> None:
    """Ask the teacher of a study and keep its preferences where `simrec run` finds them."""
    from simrec.cli.prefer_ask import ask_study

    ask_study(study, overrides, seeds, root, dry_run=dry_run, prices=(price_in, price_out))


@prefer_app.command()
def export(path: Annotated[Path, typer.Argument(help="File to write.")]) -> None:
    """Write all kept answers to one file for another machine."""
    from simrec.llm.cache import AnswerCache, answers_path

    with AnswerCache(answers_path()) as cache:
        typer.echo(f"{cache.export(path)} answers written to {path}")
        _damaged(cache.corrupt, "left out")


@prefer_app.command("import")
def import_(path: Annotated[Path, typer.Argument(help="File written by export.")]) -> None:
    """Add the answers of an exported file to those kept here."""
    from simrec.llm.cache import AnswerCache, answers_path

    with AnswerCache(answers_path()) as cache:
        added, corrupt = cache.take_in(path)
        typer.echo(f"{added} answers added to {cache.path}, {len(cache)} are kept now")
        _damaged(corrupt, "left out")


def _damaged(count: int, fate: str) -> None:
    if count:
        typer.echo(f"{count} answers were damaged and {fate}", err=True)
