"""`simrec env`, `simrec fit` and `simrec realism`: worlds of simulated users."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from simrec.envs.load import WorldSpec

env_app = typer.Typer(
    no_args_is_help=True, help="List, check and measure simulated worlds.", add_completion=False
)

Name = Annotated[str, typer.Argument(help="A world (simrec/Toy-v0, toy) or a data set's name.")]
LikeAt = Annotated[float | None, typer.Option("--like-at", help="Feedback that counts as a like.")]
ItemEvents = Annotated[
    int | None, typer.Option("--min-item-events", min=1, help="Leave out rarer items.")
]
UserEvents = Annotated[
    int | None, typer.Option("--min-user-events", min=1, help="Leave out less active users.")
]
Topics = Annotated[
    str | None, typer.Option("--topics", help="Attribute whose values bore; default: clusters.")
]
Users = Annotated[
    str | None, typer.Option("--users", help="factor, modality or llm; default: the world's own.")
]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change any setting of the world."),
]
Json = Annotated[
    Path | None, typer.Option("--json", help="Write the numbers here; - is standard output.")
]


def _spec(
    name: str,
    like_at: float | None = None,
    min_item_events: int | None = None,
    min_user_events: int | None = None,
    topics: str | None = None,
    users: str | None = None,
    settings: list[str] | None = None,
) -> "WorldSpec":
    from simrec.config_file import key_and_value
    from simrec.envs.registry import spec_for

    changes: dict[str, Any] = {
        "like_at": like_at,
        "min_item_events": min_item_events,
        "min_user_events": min_user_events,
        "topics_attribute": topics,
        "users": users,
    }
    changes = {name: value for name, value in changes.items() if value is not None}
    return spec_for(name, **(changes | dict(map(key_and_value, settings or ()))))


def _write(json_path: Path | None, value: dict[str, Any]) -> None:
    from json import dumps

    from simrec.files import write_json

    if json_path is not None and str(json_path) == "-":
        typer.echo(dumps(value, indent=2, sort_keys=True))
    elif json_path is not None:
        write_json(json_path, value)


def fit(
    name: Name,
    like_at: LikeAt = None,
    min_item_events: ItemEvents = None,
    min_user_events: UserEvents = None,
    topics: Topics = None,
    users: Users = None,
    shrinkage: Annotated[
        str | None, typer.Option(help="Penalty of tastes, or 'chosen' by cross-validation.")
    ] = None,
    settings: Set = None,
    json_path: Json = None,
) -> None:
    """Fit simulated users to a log and print how they do on held-out events of real people."""
    from simrec.envs.describe import fit_lines, fitted

    settings = [*(settings or ()), *([] if shrinkage is None else [f"shrinkage={shrinkage}"])]
    found = fitted(_spec(name, like_at, min_item_events, min_user_events, topics, users, settings))
    if json_path is None or str(json_path) != "-":
        typer.echo("\n".join(fit_lines(found)))
    _write(json_path, found.as_dict())


def realism(
    name: Name,
    like_at: LikeAt = None,
    min_item_events: ItemEvents = None,
    min_user_events: UserEvents = None,
    topics: Topics = None,
    users: Users = None,
    settings: Set = None,
    seed: Annotated[int, typer.Option(help="Luck of the simulated answers.")] = 0,
    card: Annotated[
        Path | None, typer.Option("--output", "-o", help="PNG to write; default NAME-realism.png.")
    ] = None,
    json_path: Json = None,
) -> None:
    """Compare simulated users with real ones on events they were not fitted to."""
    from simrec.envs.cards import write_card
    from simrec.envs.describe import realism_lines
    from simrec.envs.load import load_parts
    from simrec.envs.registry import load_world
    from simrec.envs.resemblance import resemblance

    spec = _spec(name, like_at, min_item_events, min_user_events, topics, users, settings)
    world, _ = load_world(spec)
    source = load_parts(spec)
    found = resemblance(
        world, source.dataset.log, source.split, like_at=spec.like_at, seed=seed, asked=source.asked
    )
    if json_path is None or str(json_path) != "-":
        typer.echo("\n".join(realism_lines(found)))
        path = write_card(found, card or Path(f"{spec.dataset.replace(':', '-')}-realism.png"))
        typer.echo(f"card: {path}")
    _write(json_path, found.as_dict())


def bounds(
    name: Name,
    sessions: Annotated[int, typer.Option(min=2, help="Sessions of each policy.")] = 1024,
    seed: Annotated[int, typer.Option(help="Luck.")] = 1,
    users: Users = None,
    settings: Set = None,
    json_path: Json = None,
) -> None:
    """Say how much there is to gain in a world, and whether planning pays."""
    from simrec.envs.describe import bounds_lines, measured

    found = measured(_spec(name, users=users, settings=settings), seed=seed, sessions=sessions)
    if json_path is None or str(json_path) != "-":
        typer.echo("\n".join(bounds_lines(found)))
    _write(json_path, found.as_dict())


env_app.command("bounds")(bounds)


@env_app.command("list")
def list_() -> None:
    """List the worlds and say which data is there."""
    from rich.console import Console
    from rich.table import Table

    import simrec.envs  # noqa: F401  (registers the worlds)
    from simrec.datasets.library import dataset_info
    from simrec.datasets.source import library_name
    from simrec.envs.registry import registered, world_spec

    table = Table("id", "data set", "users", "items", "events", "feedback", "data", box=None)
    for id in registered():
        source = world_spec(id).dataset
        name = library_name(source)
        if name is None:
            table.add_row(id, source, "", "", "", "", "absent")
        elif ":" in name:
            table.add_row(id, name, "", "", "", "", "from a function")
        else:
            info = dataset_info(name)
            counts = (f"{info[key]:,}" for key in ("users", "items", "events"))
            table.add_row(id, name, *counts, info["unit"], "present")
    Console().print(table)
    typer.echo("users, items and events are those of the data set, before a world's filters")


@env_app.command()
def check(
    ids: Annotated[list[str] | None, typer.Argument(help="Ids to check.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Check every registered id.")] = False,
) -> None:
    """Run Gymnasium's and SB3's checkers, single and vector, and a test of determinism."""
    import simrec.envs  # noqa: F401  (registers the worlds)
    from simrec.datasets.source import library_name
    from simrec.envs.checks import check_world
    from simrec.envs.registry import registered, world_spec
    from simrec.errors import SimrecError, nearest

    for id in ids or ():
        if id not in registered():
            raise SimrecError(f"there is no world '{id}'; {nearest(id, registered())}")
    if not ids and not everything:
        raise SimrecError("no id was given; expected one or more ids, or --all for every one")
    failed, absent = [], []
    for id in ids or registered():
        if everything and library_name(world_spec(id).dataset) is None:
            absent.append(id)
            continue
        try:
            typer.echo(f"{id}: passed {len(check_world(id))} checks")
        except SimrecError as error:
            failed.append(id)
            typer.echo(f"FAILED {error}")
    if absent:
        typer.echo(f"absent data, not checked: {', '.join(absent)}")
    if failed:
        raise SimrecError(f"{len(failed)} of the ids failed: {', '.join(failed)}; see above")


@env_app.command()
def pages(
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the pages.")] = Path(
        "docs/environments"
    ),
    readme: Annotated[
        Path | None, typer.Option(help="File whose table of environments is rewritten.")
    ] = None,
) -> None:
    """Write a page for every world whose data is present, and the table of all of them."""
    import simrec.envs  # noqa: F401  (registers the worlds)
    from simrec.datasets.source import library_name
    from simrec.envs.pages import world_table, write_page, write_table
    from simrec.envs.registry import registered, world_spec

    for id in registered():
        if library_name(world_spec(id).dataset) is not None:
            typer.echo(f"page: {write_page(id, output)}")
        else:
            typer.echo(f"{id}: its data is absent, so its page is left as it is")
    if readme is None:
        typer.echo(world_table(output))
    else:
        typer.echo(f"table: {write_table(output, readme)}")
