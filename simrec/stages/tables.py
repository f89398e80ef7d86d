"""From catalogue and log to the item table that users judge and the one that agents see."""

from simrec.errors import SimrecError
from simrec.items.build import build_item_table
from simrec.items.masked import hidden_table
from simrec.items.table import ItemTable
from simrec.stages.inputs import Inputs


def item_table(inputs: Inputs) -> ItemTable:
    """Return the frozen item table, built once: the truth, on which users and topics rest.

    Nothing an adapter learnt is in it, so that studies with and without one have the same users.
    """
    path = inputs.stage_file("items", inputs.items_key, ".safetensors")
    if path.is_file():
        return ItemTable.load(path)
    table = build_item_table(
        inputs.dataset.catalogue,
        inputs.popularity,
        **inputs.config.items.model_dump(exclude={"adapter", "hidden", "ids"}),
    )
    table.save(path)
    return table


def agent_table(inputs: Inputs) -> ItemTable:
    """Return the table agents see: the true one, less `items.hidden`, as `items.adapter` learns it.

    What is hidden is gone before an adapter learns; users keep judging the items of `item_table`.
    """
    items = inputs.config.items
    if items.hidden.pattern is None and items.adapter.name is None:
        return item_table(inputs)
    path = inputs.stage_file("items", inputs.agent_items_key, ".safetensors")
    if path.is_file():
        return ItemTable.load(path)
    table = hidden_table(item_table(inputs), inputs.dataset.catalogue, items.hidden)
    if items.adapter.name is not None:
        if items.adapter.stores and items.hidden.pattern is not None:
            raise SimrecError(
                "items.hidden cannot reach into items.adapter.stores, whose layers hold what is to "
                "be hidden; expected one of the two; remove one"
            )
        from simrec.items.adapted import adapted_table  # torch, only where something is learnt

        table = adapted_table(table, inputs.agent_log, **items.adapter.model_dump())
    table.save(path)
    return table
