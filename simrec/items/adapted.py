"""From a frozen item table to one learnt from the agent's part of the log."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simrec.errors import SimrecError
from simrec.interactions import InteractionLog
from simrec.items.adapters import GRAPH_ADAPTERS
from simrec.items.fit import fit_items
from simrec.items.fit_settings import FitSettings
from simrec.items.graph_fit import GraphSettings, fit_graph
from simrec.items.reduce import standardised
from simrec.items.sequences import last_held_out
from simrec.items.store import open_store
from simrec.items.table import ItemTable

_GRAPH_READS = ("settings", "width", "epochs", "steps", "patience", "learning_rate", "seed")


def table_states(
    table: ItemTable, stores: Mapping[str, Path]
) -> tuple[dict[str, NDArray[np.float32]], NDArray[np.bool_], dict[str, str]]:
    """Return what an adapter reads of a table's items.

    Args:
        table: Its parts are states of one layer, brought back to spread 1.
        stores: Modality -> folder of a feature store, in the place of the part or beside them.

    Returns:
        Modality -> states (I, K, D); present (I, M); modality -> hash of what was read.

    Raises:
        SimrecError: A store is absent, damaged or of other items.
    """
    states = {
        m: (part * np.float32(np.sqrt(part.shape[1])))[:, None] for m, part in table.parts.items()
    }
    present = {m: table.present[:, column] for column, m in enumerate(table.parts)}
    hashes: dict[str, str] = {}
    for name, folder in stores.items():
        store = open_store(Path(folder), table.ids)
        states[name], present[name] = store.states(), store.present
        hashes[name] = str(store.meta["files"]["hidden.npy"])[:16]
    return states, np.stack(list(present.values()), axis=1), hashes


def adapted_table(
    table: ItemTable,
    log: InteractionLog,
    *,
    name: str,
    stores: Mapping[str, Path] | None = None,
    history: int = 10,
    progress: Callable[[int, float], None] | None = None,
    **settings: Any,
) -> ItemTable:
    """Learn an adapter and return the table it makes.

    Args:
        table: The frozen table.
        log: The agent's part of the log; nothing after it may be in here.
        name: A key of `simrec.items.adapters.ADAPTERS` or GRAPH_ADAPTERS.
        stores: As in `table_states`.
        history: Items of history given to the sequence model.
        progress: As in `fit_items`.
        **settings: Further fields of `FitSettings`; `settings` holds those of the adapter's class.
            Graph encoders read width, epochs, steps, patience, learning_rate, seed and settings.

    Returns:
        The same items; `fused` and every part have zero mean and mean squared length 1, parts zero
        where absent.

    Raises:
        SimrecError: The log is of other items or too short, or a setting is wrong.
    """
    if log.n_items != len(table):
        raise SimrecError(
            f"the log has {log.n_items} items and the table {len(table)}; expected the same "
            f"catalogue; build both from one data set"
        )
    states, present, hashes = table_states(table, stores or {})
    task = last_held_out(log, history=history)
    curve: tuple[float, ...]
    if name in GRAPH_ADAPTERS:
        features = {m: v[:, -1] for m, v in states.items()}
        graph = GraphSettings(name, **{k: v for k, v in settings.items() if k in _GRAPH_READS})
        found = fit_graph(features, present, task, graph, progress=progress)
        fused, own, curve = found.items, found.own, found.curve
    else:
        fit = FitSettings(adapter=name, **settings)
        fitted = fit_items(states, present, task, fit, progress=progress)
        (fused, own), curve = fitted.vectors(states, present), fitted.curve
    learnt = {
        "adapter": name,
        "log": log.fingerprint,
        "history": history,
        "stores": hashes,
        "ndcg10": list(curve),
        "epoch": int(np.argmax(curve)),
        **settings,
    }
    everyone = np.ones(len(table), dtype=np.bool_)
    return ItemTable(
        table.ids,
        standardised(fused, everyone),
        {m: standardised(own[:, c], present[:, c]) for c, m in enumerate(states)},
        present,
        table.log_popularity,
        {**table.provenance, "learnt": learnt},
    )
