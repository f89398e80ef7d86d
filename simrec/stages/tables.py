"""From catalogue and log to the item table that users judge and the one that agents see."""

from simrec.errors import SimrecError
from simrec.items.build import build_item_table
from simrec.items.masked import hidden_table
from simrec.items.table import ItemTable
from simrec.stages.inputs import Inputs


def item_table(inputs: Inputs) -> ItemTable:
    """Return the item table, built once from the catalogue and the agent's log."""
    path = inputs.stage_file("items", inputs.items_key, ".safetensors")
    if path.is_file():
        return ItemTable.load(path)
    table = build_item_table(
        inputs.dataset.catalogue,
        inputs.popularity,
        **inputs.config.items.model_dump(exclude={"hidden", "ids"}),
        log=inputs.agent_log,
    )
    table.save(path)
    return table


def agent_table(inputs: Inputs) -> ItemTable:
    """Return the table agents see: the true one, or one from which `items.hidden` took parts.

    What is hidden is gone before an adapter learns; users keep judging the items of `item_table`.
    """
    items = inputs.config.items
    if items.hidden.pattern is None:
        return item_table(inputs)
    path = inputs.stage_file("items", inputs.agent_items_key, ".safetensors")
    if path.is_file():
        return ItemTable.load(path)
    frozen = build_item_table(
        inputs.dataset.catalogue,
        inputs.popularity,
        **items.model_dump(exclude={"adapter", "hidden", "ids"}),
    )
    table = hidden_table(frozen, inputs.dataset.catalogue, items.hidden)
    if items.adapter.name is not None:
        if items.adapter.stores:
            raise SimrecError(
                "items.hidden cannot reach into items.adapter.stores, whose layers hold what is to "
                "be hidden; expected one of the two; remove one"
            )
        from simrec.items.adapted import adapted_table  # torch, only where something is learnt

        table = adapted_table(table, inputs.agent_log, **items.adapter.model_dump())
    table.save(path)
    return table
