"""The `simrec` command; heavy imports wait until a command needs them."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from simrec.cli.app import app_command
from simrec.cli.bench import bench_app
from simrec.cli.compare import compare_command
from simrec.cli.data import data_app
from simrec.cli.env import bounds, env_app, fit, realism
from simrec.cli.evaluate import evaluate_command
from simrec.cli.items import items_app
from simrec.cli.plot import plot_command
from simrec.cli.prefer import prefer_app
from simrec.cli.strategies import strategies
from simrec.cli.teacher import teacher_app
from simrec.cli.tune import tune_command
from simrec.cli.usage import USAGE_ERROR, file_sentence, usage_sentence
from simrec.errors import SimrecError

app = typer.Typer(
    name="simrec",
    help="Simulate users, distil a language model's preferences, compare online strategies.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.add_typer(data_app, name="data")
app.add_typer(env_app, name="env")
app.command()(fit)
app.command()(realism)
app.command()(bounds)
app.command("app")(app_command)
app.command("compare")(compare_command)
app.command("evaluate")(evaluate_command)
app.command("plot")(plot_command)
app.add_typer(items_app, name="items")
app.add_typer(prefer_app, name="prefer")
app.add_typer(teacher_app, name="teacher")
app.add_typer(bench_app, name="bench")
app.command()(strategies)
app.command("tune")(tune_command)

Root = Annotated[Path, typer.Option("--runs", help="Folder of all run folders.")]
Workers = Annotated[
    int | None, typer.Option("--workers", min=1, help="Processes; default: one a core.")
]
Override = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change a key of the study.")
]


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _say(line: str) -> None:
    typer.echo(line, err=True)


def _study(
    config_path: Path, overrides: list[str] | None, root: Path, workers: int | None
) -> list[Path]:
    from simrec.config import load_config
    from simrec.progress import bars
    from simrec.study import run_study

    config = load_config(config_path, overrides)
    with bars() as shown:
        return run_study(config, root, bars=shown, say=_say, workers=workers or _cores())


@app.command()
def run(
    study: Annotated[Path, typer.Argument(help="Study file, for example configs/ml100k.yaml.")],
    overrides: Override = None,
    root: Root = Path("runs"),
    workers: Workers = None,
) -> None:
    """Do a whole study: data, items, users, teacher, pretraining, online strategies, table."""
    runs = _study(study, overrides, root, workers)
    compare_command(runs, None)
    folder = runs[0].parents[1]
    typer.echo(f"\nresults: {folder}; to see them again: simrec compare {folder}")
    typer.echo(f"the dashboard: simrec app --runs {root}")


@app.command()
def report(
    paths: Annotated[list[Path], typer.Argument(help="Study or run folders.")],
    output: Annotated[Path, typer.Option("--output", "-o")] = Path("report.html"),
) -> None:
    """Write one self-contained HTML page with the table and the learning curves."""
    from simrec.report import write_report

    typer.echo(f"report: {write_report(paths, output)}")


@app.command()
def demo(root: Root = Path("runs"), workers: Workers = None) -> None:
    """Do the main job on the generated toy world, with a text-similarity stand-in as teacher."""
    from importlib.resources import as_file, files

    from simrec.report import write_report

    with as_file(files("simrec.configs") / "demo.yaml") as path:
        runs = _study(path, None, root, workers)
    folder = runs[0].parents[1]
    compare_command(runs, None)
    page = write_report(runs, folder / "report.html")
    typer.echo(f"\nreport with learning curves: {page}")
    typer.echo("next, try one of these:")
    typer.echo(f"  simrec app --runs {root}   the dashboard (in the repository: make app)")
    typer.echo(f"  simrec compare {folder} --json -")
    typer.echo("  simrec data info toy")
    typer.echo("  simrec run configs/demo.yaml --set study=boredom --set world.boredom=1.5")


def main() -> None:
    """Run the command line; a mistake is one line on standard error and exit code 2."""
    try:
        code = app(prog_name="simrec", standalone_mode=False)
    except SimrecError as error:
        typer.echo(f"simrec: {error}", err=True)
        code = 2
    except USAGE_ERROR as error:
        sentence = usage_sentence(error)
        if sentence:
            typer.echo(f"simrec: {sentence}", err=True)
        code = 2
    except OSError as error:
        typer.echo(f"simrec: {file_sentence(error)}", err=True)
        code = 2
    except MemoryError as error:
        typer.echo(
            f"simrec: out of memory ({error}); ask for less, or use a machine with more memory",
            err=True,
        )
        code = 2
    except typer.Abort:
        typer.echo("stopped", err=True)
        code = 1
    sys.exit(code)
