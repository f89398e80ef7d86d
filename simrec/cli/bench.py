"""`simrec bench`: how fast simrec is, beside others' tools and what the machine can do."""

import json
from pathlib import Path
from typing import Annotated

import typer

bench_app = typer.Typer(no_args_is_help=True, help="Measure how fast simrec is.")


@bench_app.callback()
def bench() -> None:
    """Measure how fast simrec is, beside others' tools and what the machine can do."""


@bench_app.command("env")
def env_command(
    quick: Annotated[
        bool, typer.Option("--quick", help="Fewer cells and rounds: under a minute.")
    ] = False,
    json_path: Annotated[
        Path | None, typer.Option("--json", help="Write JSON here; - prints it and nothing else.")
    ] = None,
) -> None:
    """Time the environments beside CartPole and the machine's limits; print goals and figures."""
    from simrec.envs.bench import BATCHES, ITEMS, bench_env
    from simrec.envs.bench_report import report
    from simrec.files import write_json
    from simrec.progress import bars

    with bars() as shown:
        if quick:
            result = bench_env(
                items=ITEMS[:2], batches=BATCHES[::2], rounds=3, seconds=0.05, bars=shown
            )
        else:
            result = bench_env(bars=shown)
    if str(json_path) == "-":
        typer.echo(json.dumps(result, indent=2))
        return
    typer.echo(report(result))
    if json_path is not None:
        write_json(json_path, result)
        typer.echo(f"wrote {json_path}")


@bench_app.command("teacher")
def teacher_command(
    model: Annotated[
        Path | None, typer.Option("--model", help="Weights; where not given, a random model.")
    ] = None,
    device: Annotated[str, typer.Option("--device", help="cpu, cuda or cuda:N.")] = "cpu",
    questions: Annotated[int, typer.Option("--questions", min=1, help="Requests a round.")] = 512,
    rounds: Annotated[int, typer.Option("--rounds", min=1, help="Measured rounds.")] = 5,
    json_path: Annotated[
        Path | None, typer.Option("--json", help="Write JSON here; - prints it and nothing else.")
    ] = None,
) -> None:
    """Time the teacher's pipeline against a bare client, and a model against plain `generate`."""
    from simrec.bench import bench_teacher
    from simrec.files import write_json

    ratios = bench_teacher(questions=questions, rounds=rounds, model_folder=model, device=device)
    values = {name: ratio.as_dict() for name, ratio in ratios.items()}
    if str(json_path) == "-":
        typer.echo(json.dumps(values, indent=2))
        return
    for name, ratio in ratios.items():
        typer.echo(
            f"{name:<14}{ratio.ratio:6.3f} of the bare time  ({ratio.ours_seconds:.3f} s against "
            f"{ratio.bare_seconds:.3f} s, medians of {ratio.rounds} rounds: {ratio.work})"
        )
    if json_path is not None:
        write_json(json_path, values)
        typer.echo(f"wrote {json_path}")
