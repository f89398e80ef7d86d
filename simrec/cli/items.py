"""`simrec items`: encode a catalogue, learn item vectors, compare adapters, export tables."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

items_app = typer.Typer(
    no_args_is_help=True,
    help="Encode items, learn item vectors, compare adapters, export tables.",
    add_completion=False,
)

Data = Annotated[str, typer.Argument(help="Name of a data set, or a folder in the tidy format.")]
Store = Annotated[
    list[str] | None,
    typer.Option("--store", metavar="MODALITY=DIR", help="A feature store; repeat it."),
]


def _open(data: str) -> Any:
    from simrec.datasets.library import list_datasets, open_dataset

    if data not in list_datasets() and Path(data).is_dir():
        return open_dataset(None, Path(data))
    return open_dataset(data, None)


@items_app.command()
def encode(
    data: Data,
    modality: Annotated[str, typer.Option(help="text, image, audio or video.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of all feature stores.")],
    encoder: Annotated[str, typer.Option(help="none, transformers:DIR or features:FILE.")] = "none",
    contents: Annotated[
        Path | None, typer.Option(help="Folder of files named by item id (audio, video).")
    ] = None,
    keep: Annotated[int | None, typer.Option(min=1, help="Layers kept of a transformer.")] = None,
) -> None:
    """Run a frozen encoder once over all items; run it again after a kill, it goes on."""
    from rich.progress import Progress

    from simrec.items.contents import prepare
    from simrec.items.store import encode_features

    catalogue = _open(data).catalogue
    made, given = prepare(catalogue, modality, encoder, folder=contents, keep=keep)
    folder = out / modality / made.name.replace(":", "-").replace("/", "-")
    with Progress(transient=True) as bar:
        task = bar.add_task(made.name)
        store = encode_features(
            folder,
            made,
            given,
            catalogue.item_ids,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )
    _, layers, width = store.hidden.shape
    typer.echo(
        f"{folder}: {int(store.present.sum()):,} of {len(given):,} items, {layers} layers of "
        f"{width}, {store.bytes_per_item:,.0f} bytes an item"
    )


def time_encoding(data: str) -> None:
    """Encode a data set's titles with a random BERT in a folder of no further use; print costs."""
    from tempfile import TemporaryDirectory

    from rich.progress import Progress

    from simrec.items.encode_bench import bench_encoding

    catalogue = _open(data).catalogue
    with TemporaryDirectory() as folder, Progress(transient=True) as bar:
        task = bar.add_task("random BERT")
        cost = bench_encoding(
            [title or "-" for title in catalogue.titles],
            catalogue.item_ids,
            Path(folder),
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )
    typer.echo(
        f"{cost.items:,} items x {cost.layers} x {cost.width} encoded and stored in "
        f"{cost.seconds:.1f} s on {cost.threads} threads ({cost.processor_seconds:.1f} s of the "
        f"processor), {cost.bytes_per_item:,.0f} bytes an item"
    )


def _states(catalogue: Any, stores: Sequence[str]) -> tuple[Any, Any]:
    import numpy as np

    from simrec.errors import SimrecError
    from simrec.items.store import open_store

    states, present = {}, []
    for given in stores:
        name, _, folder = given.partition("=")
        if not folder:
            raise SimrecError(f"--store got '{given}'; expected MODALITY=DIR such as text=f/text/x")
        store = open_store(Path(folder), catalogue.item_ids)
        states[name] = store.states()
        present.append(store.present)
    if not states:
        raise SimrecError("no feature store is given; expected --store MODALITY=DIR; encode first")
    return states, np.stack(present, axis=1)


@items_app.command()
def fit(
    study: Annotated[Path, typer.Argument(help="Study file whose items.adapter is learnt.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The table, .safetensors.")],
    overrides: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change a key.")
    ] = None,
) -> None:
    """Learn a study's item vectors from the agent's part of its log, and nothing else."""
    from simrec.config import load_config
    from simrec.errors import SimrecError
    from simrec.items.build import build_item_table
    from simrec.stages.inputs import Inputs

    config = load_config(study, overrides)
    if config.items.adapter.name is None:
        raise SimrecError(
            f"{study} names no items.adapter.name; expected one such as iisan; add it or say --set "
            f"items.adapter.name=iisan"
        )
    inputs = Inputs(config, Path("runs"))
    table = build_item_table(
        inputs.dataset.catalogue,
        inputs.popularity,
        **config.items.model_dump(exclude={"hidden", "ids"}),
        log=inputs.agent_log,
    )
    table.save(out)
    learnt = table.provenance["learnt"]
    typer.echo(
        f"{out}: {len(table):,} items, {table.fused.shape[1]} numbers each, from "
        f"{', '.join(table.modalities)}; NDCG@10 {max(learnt['ndcg10']):.4f} on held-out events of "
        f"the agent's part in epoch {learnt['epoch'] + 1} of {len(learnt['ndcg10'])}"
    )


@items_app.command()
def ids(
    study: Annotated[Path, typer.Argument(help="Study file with items.ids.kind.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Where; .parquet, one row an item.")],
    overrides: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change a key.")
    ] = None,
) -> None:
    """Code a study's items as semantic ids and say how good the codes are."""
    from simrec.config import load_config
    from simrec.items.id_kinds import make_ids, write_ids
    from simrec.items.semantic_ids import code_report
    from simrec.stages.inputs import Inputs
    from simrec.stages.tables import agent_table

    config = load_config(study, overrides)
    inputs = Inputs(config, Path("runs"))
    table = agent_table(inputs)
    made = make_ids(table.fused, config.items.ids, inputs.agent_log)
    write_ids(out, table.ids, made.ids)
    found = code_report(made.ids, table.fused, made.rebuilt)
    usage = ", ".join(f"{p:.1f}" for p in found.perplexity)
    typer.echo(
        f"{out}: {len(table):,} items, codes {'x'.join(map(str, made.ids.sizes))}; usage "
        f"perplexity {usage} of {config.items.ids.size}, {found.collisions:.1%} share their codes "
        f"before the last, reconstruction error {found.error:.3f}; {made.paper}"
    )


@items_app.command()
def caption(
    data: Data,
    model: Annotated[str, typer.Option(help="One that sees: transformers:DIR, openai:MODEL@URL.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of ITEM.txt files.")],
) -> None:
    """Describe every picture in words, for `items encode --modality text --contents FOLDER`."""
    from rich.progress import Progress

    from simrec.items.captions import write_captions
    from simrec.llm.backends import language_model

    catalogue = _open(data).catalogue
    with Progress(transient=True) as bar:
        task = bar.add_task("captions")
        made, refused = write_captions(
            language_model(model),
            catalogue,
            out,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )
    typer.echo(f"{out}: {made:,} captions written now, {refused:,} replies not usable")


@items_app.command()
def report(
    data: Data,
    stores: Store = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of results; resumed.")] = Path(
        "items-report"
    ),
    adapters: Annotated[str, typer.Option(help="Names, with commas.")] = "linear,iisan",
    seeds: Annotated[int, typer.Option(min=1, help="Fits of each: seeds 0, 1, ...")] = 3,
    first_seed: Annotated[int, typer.Option(min=0, help="Begin at another seed.")] = 0,
    epochs: Annotated[int, typer.Option(min=1, help="At most; less where none gets better.")] = 20,
    steps: Annotated[int | None, typer.Option(min=1, help="Batches in an epoch.")] = None,
    batch: Annotated[int, typer.Option(min=1, help="Sequences in a batch.")] = 64,
    learning_rate: Annotated[float, typer.Option(min=1e-6, help="Of every model.")] = 1e-3,
    reduce: Annotated[
        int | None, typer.Option(min=1, help="Principal axes kept of each layer.")
    ] = None,
    questions: Annotated[
        int | None, typer.Option(min=2, help="Judge by so many users, drawn once.")
    ] = None,
    users: Annotated[int | None, typer.Option(min=2, help="Only the first users.")] = None,
    costs: Annotated[bool, typer.Option("--costs", help="Also measure time and memory.")] = False,
) -> None:
    """Compare adapters by full ranking of the last item of every user (leave-one-out)."""
    from simrec.cli.items_report import compared, print_costs
    from simrec.items.fit_settings import FitSettings
    from simrec.items.reduce import reduced_states
    from simrec.items.sequences import asked_of_some, leave_one_out

    dataset = _open(data)
    states, present = _states(dataset.catalogue, stores or ())
    if reduce is not None:
        states = reduced_states(states, present, reduce)
    log = dataset.log if users is None else dataset.log.select(dataset.log.user < users)
    task = leave_one_out(log, history=10)
    if questions is not None:
        task = asked_of_some(task, questions, seed=0)
    names = [name.strip() for name in adapters.split(",") if name.strip()]
    settings = FitSettings(epochs=epochs, steps=steps, batch=batch, learning_rate=learning_rate)
    compared(states, present, task, names, settings, range(first_seed, first_seed + seeds), out)
    if costs:
        print_costs(states, present, task, names)


@items_app.command()
def export(
    table: Annotated[Path, typer.Argument(help="A table written by `simrec items fit`.")],
    out: Annotated[Path, typer.Argument(help="Where; .npy (rows only) or .parquet (with ids).")],
) -> None:
    """Write a table's fused vectors for other programs."""
    import numpy as np

    from simrec.errors import SimrecError
    from simrec.files import atomic_file
    from simrec.items.table import ItemTable

    loaded = ItemTable.load(table)
    if out.suffix not in (".npy", ".parquet"):
        raise SimrecError(f"cannot export to '{out.name}'; expected a name in .npy or .parquet")
    with atomic_file(out) as temporary:
        if out.suffix == ".npy":
            np.save(temporary, loaded.fused)
        else:
            import pandas as pd

            rows = {"item_id": list(loaded.ids), "vector": list(loaded.fused)}
            pd.DataFrame(rows).to_parquet(temporary, index=False)
    typer.echo(f"{out}: {len(loaded):,} items, {loaded.fused.shape[1]} numbers each")
