"""The item table as pages read it: without the code that made it, and without torch."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import load_file

from simrec.app import load
from simrec.errors import SimrecError
from simrec.files import fingerprint
from simrec.overview import Overview


@dataclass(frozen=True)
class Items:
    """Vectors of all items, as the study's stages hold them."""

    fused: NDArray[np.float32]  # (I, D)
    parts: dict[str, NDArray[np.float32]]  # modality -> (I, D_m)
    present: NDArray[np.bool_]  # (I, M) in the order of `parts`
    log_popularity: NDArray[np.float32]  # (I,) log(1 + events in the agent's part of the log)

    def neighbours(self, item: int, space: str, n: int) -> list[tuple[int, float]]:
        """Return the n nearest items by cosine, nearest first; [] where the item lacks the part.

        Args:
            item: Row of the item.
            space: A modality, or "all" for the fused vectors.
            n: How many.
        """
        vectors, there = self.fused, np.ones(len(self.fused), dtype=np.bool_)
        if space != "all":
            vectors, there = self.parts[space], self.present[:, list(self.parts).index(space)]
        if not there[item]:
            return []
        size = np.maximum(np.linalg.norm(vectors, axis=1), 1e-12)
        cosine = (vectors @ vectors[item]) / (size * size[item])
        cosine = np.where(there, cosine, -np.inf)
        cosine[item] = -np.inf
        best = np.argsort(-cosine, kind="stable")[:n]
        return [(int(i), float(cosine[i])) for i in best if np.isfinite(cosine[i])]


def plane(vectors: NDArray[np.float32]) -> tuple[NDArray[np.float64], float]:
    """Return the first two principal components (I, 2) and the share of variance they hold."""
    centred = vectors.astype(np.float64) - vectors.mean(axis=0)
    left, size, _ = np.linalg.svd(centred, full_matrices=False)
    points = np.zeros((len(vectors), 2))
    points[:, : min(2, len(size))] = (left * size)[:, :2]
    total = float((size**2).sum())
    return points, float((size[:2] ** 2).sum() / total) if total else 0.0


def read_items(found: Overview) -> Items:
    """Return the item table the study's runs were made with.

    Raises:
        SimrecError: The stages do not hold it any more.
    """
    wanted = found.first.fingerprints.get("items", "")
    for path in sorted((found.folder / "stages").glob("items-*.safetensors")):
        try:
            tensors = load_file(path)
            with safe_open(path, "np") as handle:
                header = handle.metadata()
            ids = json.loads(header["ids"])
            if fingerprint("\0".join(ids), tensors["fused"], tensors["present"]) != wanted:
                continue
            names = json.loads(header["modalities"])
        except (OSError, SafetensorError, KeyError, ValueError):
            continue
        return Items(
            tensors["fused"],
            {name: tensors[f"parts/{name}"] for name in names},
            tensors["present"],
            tensors["log_popularity"],
        )
    raise SimrecError(
        f"{found.folder / 'stages'} does not hold the item table of these runs; run the study again"
    )


def click_rates(found: Overview, n_items: int) -> NDArray[np.float64]:
    """Return clicks for each showing (I,) over all runs of `random`, or of every strategy.

    Random showings tell an item's own appeal; NaN where an item was never shown.
    """
    total = np.zeros((2, n_items))
    for run in _fair(found):
        table = load.run_table(run, "exposure")
        np.add.at(total[0], table["item"].to_numpy(), table["shown"].to_numpy())
        np.add.at(total[1], table["item"].to_numpy(), table["clicked"].to_numpy())
    return np.where(total[0] > 0, total[1] / np.maximum(total[0], 1), np.nan)


def retention(found: Overview, n_items: int) -> NDArray[np.float64]:
    """Return the share of showings (I,) after which the user was still there.

    From the sessions recorded item by item, over the runs of every strategy; the horizon does not
    count as leaving. NaN where an item is in none.
    """
    total = np.zeros((2, n_items))
    for run in found.records:
        steps = load.run_table(run, "steps")
        ends = load.run_table(run, "episodes")[["slot", "episode", "length", "left"]]
        joined = pd.merge(steps, ends, on=["slot", "episode"])
        last = joined["left"] & (joined["t"] == joined["length"] - 1)
        np.add.at(total[0], joined["item"].to_numpy(), 1)
        np.add.at(total[1], joined["item"].to_numpy(), (~last).to_numpy(np.float64))
    return np.where(total[0] > 0, total[1] / np.maximum(total[0], 1), np.nan)


def _fair(found: Overview) -> list[Path]:
    random = [run for run, record in found.records.items() if record.strategy == "random"]
    return random or list(found.records)
