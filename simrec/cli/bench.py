"""`simrec bench`: how fast simrec is, beside others' tools and what the machine can do."""

import json
from pathlib import Path
from typing import Annotated, Any

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
    from simrec.progress import bars

    with bars() as shown:
        if quick:
            result = bench_env(
                items=ITEMS[:2], batches=BATCHES[::2], rounds=3, seconds=0.05, bars=shown
            )
        else:
            result = bench_env(bars=shown)
    _tell(result, report(result), json_path)


@bench_app.command("teacher")
def teacher_command(
    model: Annotated[
        Path | None, typer.Option("--model", help="Weights; where not given, a random model.")
    ] = None,
    device: Annotated[str, typer.Option("--device", help="cpu, cuda or cuda:N.")] = "cpu",
    questions: Annotated[int, typer.Option("--questions", min=1, help="Requests a round.")] = 512,
    rounds: Annotated[int, typer.Option("--rounds", min=1, help="Measured rounds.")] = 9,
    json_path: Annotated[
        Path | None, typer.Option("--json", help="Write JSON here; - prints it and nothing else.")
    ] = None,
) -> None:
    """Time the teacher's pipeline against a bare client, and a model against plain `generate`."""
    from simrec.bench import bench_teacher

    ratios = bench_teacher(questions=questions, rounds=rounds, model_folder=model, device=device)
    values = {name: ratio.as_dict() for name, ratio in ratios.items()}
    lines = (
        f"{name:<14}{ratio.ratio:6.3f} of the bare processor time, {ratio.wall_ratio:.3f} of "
        f"the elapsed time  ({ratio.ours_seconds:.3f} s against {ratio.bare_seconds:.3f} s, "
        f"medians of {ratio.rounds} rounds: {ratio.work})"
        for name, ratio in ratios.items()
    )
    _tell(values, "\n".join(lines), json_path)


@bench_app.command("train")
def train_command(
    quick: Annotated[bool, typer.Option("--quick", help="Small cases, one round.")] = False,
    rounds: Annotated[int, typer.Option("--rounds", min=1, help="Measured rounds.")] = 5,
    device: Annotated[
        str, typer.Option("--device", help="cuda or cuda:N: instead time a card beside the CPU.")
    ] = "cpu",
    json_path: Annotated[
        Path | None, typer.Option("--json", help="Write JSON here; - prints it and nothing else.")
    ] = None,
) -> None:
    """Time A2C on the native vector environment beside SB3's A2C on its DummyVecEnv."""
    if device != "cpu":
        from simrec import bench_card

        cases, time_each = (bench_card.QUICK, 0.0) if quick else (bench_card.CASES, 2.0)
        result = bench_card.bench_card(device, cases, rounds=rounds, seconds=time_each)
        _tell(result, bench_card.report(result), json_path)
        return
    from simrec.bench_train import QUICK, bench_train, report

    found = bench_train(QUICK, rounds=1, seconds=0.0) if quick else bench_train(rounds=rounds)
    _tell(found, report(found), json_path)


@bench_app.command("heads")
def heads_command(
    items: Annotated[int, typer.Option("--items", min=100, help="Items I.")] = 10_000,
    seeds: Annotated[int, typer.Option("--seeds", min=2, help="Seeds 0, 1, ...")] = 5,
    env_steps: Annotated[int, typer.Option("--env-steps", min=64, help="Of each run.")] = 60_000,
    json_path: Annotated[
        Path | None, typer.Option("--json", help="Write JSON here; - prints it and nothing else.")
    ] = None,
) -> None:
    """Compare clicks under the two-level policy and the flat one in a generated world."""
    from simrec.bench_heads import bench_heads, report

    found = bench_heads(n_items=items, seeds=tuple(range(seeds)), env_steps=env_steps)
    _tell(found, report(found), json_path)


@bench_app.command("items")
def items_command(
    quick: Annotated[bool, typer.Option("--quick", help="Small sizes, under a minute.")] = False,
    json_path: Annotated[
        Path | None, typer.Option("--json", help="Write JSON here; - prints it and nothing else.")
    ] = None,
    encode: Annotated[
        str | None,
        typer.Option(metavar="DATA", help="Instead time a data set's titles through a BERT."),
    ] = None,
    table: Annotated[
        int | None,
        typer.Option(min=1, help="Instead build the table of so many made-up items."),
    ] = None,
) -> None:
    """Measure what item vectors cost: TPME with seconds, weights and bytes beside it."""
    from simrec.items.bench import bench_items

    if encode is not None:
        from simrec.cli.items import time_encoding

        time_encoding(encode)
        return
    if table is not None:
        from simrec.items.table_bench import bench_table

        cost = bench_table(table)
        typer.echo(
            f"a table of {cost.items:,} items x {cost.width}: {cost.processor_seconds:.1f} s of "
            f"the processor, peak of the whole process {cost.peak_bytes / 1e9:.2f} GB"
        )
        return
    values = bench_items(quick=quick, say=lambda line: typer.echo(line, err=True))
    _tell(values, _items_text(values), json_path)


def _items_text(values: dict[str, Any]) -> str:
    lines = []
    for group in ("adapters", "routes"):
        lines.append(
            f"{group}: TPME {tuple(values['alpha'])}, relative to the others, lower is less"
        )
        lines += [
            f"  {name:<12}{row['tpme']:6.3f}  {row['seconds']:8.3f} s an epoch  "
            f"{row['parameters']:>10,} weights  {row['bytes'] / 2**20:7.1f} MiB more memory"
            for name, row in values[group].items()
        ]
    for key, what in (("depth", "depth of the encoder"), ("kept", "layers kept")):
        lines.append(f"one step by {what}:")
        lines += [
            f"  {row.get('route', 'cached'):<8}{row[key]:>3}  {row['seconds'] * 1e3:8.2f} ms "
            f"of the processor  {row['flops'] / 1e6:10.1f} Mflop  "
            f"{row['saved_bytes'] / 2**20:7.2f} MiB kept for "
            f"the backward pass  {row['encoder_gradients']:,} encoder gradients"
            for row in values[key]
        ]
    return "\n".join([*lines, values["papers"]])


@bench_app.command("ids")
def ids_command(
    study: Annotated[Path, typer.Argument(help="Study file with items.ids.kind.")],
    seeds: Annotated[int, typer.Option("--seeds", min=2, help="Seeds 0, 1, ...")] = 5,
    env_steps: Annotated[int, typer.Option("--env-steps", min=1024, help="Of each run.")] = 20_000,
    runs: Annotated[Path, typer.Option("--runs", help="Folder of run folders.")] = Path("runs"),
    overrides: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change a key.")
    ] = None,
    json_path: Annotated[
        Path | None, typer.Option("--json", help="Write JSON here; - prints it and nothing else.")
    ] = None,
) -> None:
    """Compare clicks of one agent that acts in semantic ids and in item numbers, in a study."""
    from simrec.bench_ids import bench_ids, report
    from simrec.config import load_config
    from simrec.stages.inputs import Inputs

    found = bench_ids(
        Inputs(load_config(study, overrides), runs),
        seeds=tuple(range(seeds)),
        env_steps=env_steps,
        say=lambda line: typer.echo(line, err=True),
    )
    _tell(found, report(found), json_path)


def _tell(values: Any, text: str, json_path: Path | None) -> None:
    """Print the text, and write the values as JSON where a path is given; - prints these alone."""
    from simrec.files import write_json

    if str(json_path) == "-":
        typer.echo(json.dumps(values, indent=2))
        return
    typer.echo(text)
    if json_path is not None:
        write_json(json_path, values)
        typer.echo(f"wrote {json_path}")
