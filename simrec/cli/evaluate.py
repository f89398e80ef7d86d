"""`simrec evaluate`: what a saved policy would have earned, judged from another's sessions."""

import json
from pathlib import Path
from typing import Annotated

import typer

TITLES = {
    "ips": "importance sampling",
    "snips": "self-normalised",
    "pdis": "per decision",
    "dr": "doubly robust",
}
FEW = 0.05  # effective share of the sessions below which weights say little


def evaluate_command(
    run: Annotated[Path, typer.Argument(help="Run folder of a study with online.propensities.")],
    policy: Annotated[Path, typer.Argument(help="Saved policy, in runs/STUDY/policies.")],
    json_path: Annotated[
        Path | None, typer.Option("--json", help="Write JSON here; - prints it and nothing else.")
    ] = None,
) -> None:
    """Judge a saved policy from the sessions a run served, without showing it to anybody."""
    from simrec.evaluate import evaluate
    from simrec.files import write_json
    from simrec.records import plain

    found = evaluate(run, policy)
    if str(json_path) == "-":
        typer.echo(json.dumps(plain(found.as_dict()), indent=2))
        return
    typer.echo(f"{found.sessions:,} sessions, {found.logged:.2f} clicks each as they were served")
    typer.echo(f"what {policy} would have had, in clicks per session (95 % interval):")
    for name, value in found.values.items():
        typer.echo(f"  {TITLES[name]:<20}{' '.join(value.texts(2))}")
    typer.echo(f"the weights are worth {found.effective:,.0f} sessions")
    if found.effective < FEW * found.sessions:
        typer.echo(
            f"Warning: that is below {FEW:.0%} of them, so the policy does what was hardly ever "
            "shown; believe none of these numbers."
        )
    if json_path is not None:
        write_json(json_path, plain(found.as_dict()))
        typer.echo(f"Wrote {json_path}.")
