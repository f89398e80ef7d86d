"""The table an agent sees when modalities are hidden from it; users keep judging the true one."""

from dataclasses import replace
from importlib import import_module

import numpy as np
from numpy.typing import NDArray

from simrec.catalogue import Catalogue
from simrec.config_items import HiddenConfig
from simrec.errors import SimrecError
from simrec.items.missing import Completion, complete, hide
from simrec.items.table import ItemTable


def masked_table(
    table: ItemTable,
    *,
    pattern: str,
    rate: float = 1.0,
    seed: int = 0,
    policy: str | Completion = "zero",
    modality: str | None = None,
    blocks: NDArray[np.int64] | None = None,
) -> ItemTable:
    """Hide modalities of a table and complete what is hidden.

    Only for an agent's eyes: give the environment the table itself. `present` says what is really
    there, not what a policy filled in.

    Args:
        table: A table whose fused vectors are its parts side by side.
        pattern: As in `simrec.items.missing.hide`, like rate, seed, modality and blocks.
        rate: Share hidden.
        seed: Draws what is hidden.
        policy: As in `simrec.items.missing.complete`; "learned_token" leaves zeros, for a table
            has no learnt ones.
        modality: The only modality hidden; None means any.
        blocks: (I,) group of each item.

    Raises:
        SimrecError: The table was learnt by an adapter, or an argument is wrong.
    """
    if not np.array_equal(table.fused, np.hstack(list(table.parts.values()))):
        raise SimrecError(
            "the table's vectors were fused by an adapter, so they cannot be masked part by part; "
            "expected a frozen table; hide states and let the fitted adapter encode them"
        )
    states = {m: part[:, None] for m, part in table.parts.items()}
    hidden = hide(
        states,
        table.present,
        pattern=pattern,
        rate=rate,
        seed=seed,
        modality=modality,
        blocks=blocks,
    )
    done = complete(hidden, policy)
    parts = {m: v[:, 0] for m, v in done.states.items()}
    told = policy if isinstance(policy, str) else "function"
    masked = {"pattern": pattern, "rate": rate, "seed": seed, "policy": told, "modality": modality}
    return replace(
        table,
        fused=np.hstack(list(parts.values())),
        parts=parts,
        present=hidden.present,
        provenance={**table.provenance, "masked": masked},
    )


def hidden_table(table: ItemTable, catalogue: Catalogue, hidden: HiddenConfig) -> ItemTable:
    """Return the agent's table that a study's `items.hidden` describes.

    Raises:
        SimrecError: A name in it is unknown, or a value does not fit.
    """
    if hidden.pattern is None:
        return table
    blocks = None
    if hidden.blocks is not None:
        membership = catalogue.attribute(hidden.blocks).membership
        blocks = np.where(membership.any(axis=1), membership.argmax(axis=1), -1)
    return masked_table(
        table,
        pattern=hidden.pattern,
        rate=hidden.rate,
        seed=hidden.seed,
        policy=_policy(hidden.policy),
        modality=hidden.modality,
        blocks=blocks,
    )


def _policy(name: str) -> str | Completion:
    """Return a policy's name, or the function that "my.module:function" names."""
    module, colon, attribute = name.partition(":")
    if not colon:
        return name
    try:
        found: Completion = getattr(import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise SimrecError(
            f"cannot load the completion '{name}' ({error}); expected my.module:function, or a "
            f"name such as mean"
        ) from error
    return found
