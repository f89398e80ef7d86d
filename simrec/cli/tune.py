"""`simrec tune`: settings of the learner, looked for on seeds that no result is told of."""

import os
from pathlib import Path
from typing import Annotated

import typer


def tune_command(
    study: Annotated[Path, typer.Argument(help="Study file; its strategies are the arms.")],
    trials: Annotated[int, typer.Option(min=1, help="Tries of each arm, the same for all.")] = 20,
    seeds: Annotated[str, typer.Option(help="Tuning seeds, 100 or more.")] = "100,101,102",
    measure: Annotated[str, typer.Option(help="early, middle, late or area.")] = "area",
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the studies written.")] = Path(
        "configs/tuned"
    ),
    overrides: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change a key.")
    ] = None,
    root: Annotated[Path, typer.Option("--runs", help="Folder of all run folders.")] = Path("runs"),
    workers: Annotated[
        int | None, typer.Option("--workers", min=1, help="Processes; default: one a core.")
    ] = None,
) -> None:
    """Tune every strategy of a study with equal budgets; run it again to go on after a kill."""
    from simrec.config import load_config
    from simrec.errors import SimrecError, nearest
    from simrec.progress import bars
    from simrec.tune import MEASURES, tune

    wanted = next((name for name in MEASURES if name == measure), None)
    if wanted is None:
        raise SimrecError(f"--measure got '{measure}'; {nearest(measure, MEASURES)}")
    parts = seeds.split(",")
    if not all(part.strip().isdigit() for part in parts):
        raise SimrecError(f"--seeds got '{seeds}'; expected numbers such as 100,101,102")
    with bars() as shown:
        found = tune(
            load_config(study, overrides),
            root,
            out,
            seeds=[int(part) for part in parts],
            trials=trials,
            bars=shown,
            say=lambda line: typer.echo(line, err=True),
            workers=workers or os.cpu_count() or 1,
            measure=wanted,
        )
    for best in found:
        typer.echo(
            f"{best.arm}: {measure} {best.value:.4f} on the tuning seeds, {best.usual:.4f} with "
            f"the study's own settings; simrec run {best.file}"
        )
