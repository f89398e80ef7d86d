"""Ways to code items that a study can name, and whose idea each is; torch for the learnt ones."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from simrec.config_items import IdsConfig
from simrec.errors import SimrecError
from simrec.files import atomic_file
from simrec.interactions import InteractionLog
from simrec.items.rq_kmeans import rebuild, residual_kmeans
from simrec.items.semantic_ids import SemanticIds
from simrec.items.sequences import last_held_out

KINDS = {  # kind -> whose idea
    "rq_kmeans": "residual k-means (reconstructed)",
    "rq_vae": "RQ-VAE, as in TIGER (arXiv 2305.05065; reconstructed)",
    "diger_sdud": "DIGER with noise by learnt uncertainty (arXiv 2601.19711; read, reduced)",
    "diger_frqud": "DIGER with noise by code frequency (arXiv 2601.19711; read, reduced)",
}


@dataclass(frozen=True)
class MadeIds:
    """Codes and what they stand for."""

    ids: SemanticIds
    rebuilt: NDArray[np.float32]  # (I, D)
    centres: list[NDArray[np.float64]]  # L arrays, for `SemanticIds.nearest_item`
    paper: str


def make_ids(
    vectors: NDArray[np.float32], config: IdsConfig, log: InteractionLog, *, history: int = 10
) -> MadeIds:
    """Code items as a study says.

    Args:
        vectors: (I, D) fused rows of the agent's table.
        config: The study's `items.ids`.
        log: The agent's part of the log, from which DIGER learns.
        history: Items of history given to DIGER's sequence model.

    Raises:
        SimrecError: No kind is chosen, or more codes than items are asked for.
    """
    if config.kind is None:
        raise SimrecError(
            f"the study names no items.ids.kind; expected one of {', '.join(KINDS)}; add it or say "
            f"--set items.ids.kind=rq_kmeans"
        )
    scaled = vectors * np.float32(np.sqrt(vectors.shape[1]))  # columns of spread about 1
    if config.kind == "rq_kmeans":
        codes, centres = residual_kmeans(
            scaled, levels=config.levels, size=config.size, seed=config.seed
        )
        ids, rebuilt = SemanticIds.from_codes(codes, config.size), rebuild(codes, centres)
    else:
        from simrec.items.learnt_ids import IdSettings, learn_ids  # torch

        if config.size > len(vectors):
            raise SimrecError(
                f"{config.size} codes were asked for {len(vectors)} items; choose fewer codes"
            )
        diger = config.kind.startswith("diger")
        settings = IdSettings(
            levels=config.levels,
            size=config.size,
            width=config.width,
            noise=config.kind.removeprefix("diger_") if diger else "none",
            epochs=config.epochs,
            seed=config.seed,
        )
        learnt = learn_ids(scaled, settings, last_held_out(log, history=history) if diger else None)
        ids, rebuilt, centres = learnt.ids, learnt.rebuilt, learnt.centres
    unscaled = rebuilt / np.float32(np.sqrt(vectors.shape[1]))
    return MadeIds(ids, unscaled, centres, KINDS[config.kind])


def write_ids(path: Path, item_ids: tuple[str, ...], ids: SemanticIds) -> None:
    """Write item_id and one column a level, code_0 and so on, as Parquet.

    Raises:
        SimrecError: The name does not end in .parquet.
    """
    import pandas as pd

    if path.suffix != ".parquet":
        raise SimrecError(f"cannot write ids to '{path.name}'; expected a name in .parquet")
    columns = {f"code_{level}": code for level, code in enumerate(ids.codes.T)}
    with atomic_file(path) as temporary:
        pd.DataFrame({"item_id": list(item_ids), **columns}).to_parquet(temporary, index=False)
