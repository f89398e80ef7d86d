"""The item table: one frozen vector for each item, with its parts by modality."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from simrec.errors import SimrecError
from simrec.files import atomic_file, fingerprint


@dataclass(frozen=True)
class ItemTable:
    """Vectors of all items; loading one needs NumPy and safetensors only."""

    ids: tuple[str, ...]  # (I,) item ids of the catalogue
    fused: NDArray[np.float32]  # (I, D)
    parts: Mapping[str, NDArray[np.float32]]  # modality -> (I, D_m), zero rows where absent
    present: NDArray[np.bool_]  # (I, M) in the order of `parts`
    log_popularity: NDArray[np.float32]  # (I,) log(1 + events in the agent's part of the log)
    provenance: Mapping[str, Any]  # encoders, sizes, fingerprints of what it was made from

    def __len__(self) -> int:
        """Return the number of items I."""
        return len(self.ids)

    @property
    def modalities(self) -> tuple[str, ...]:
        """Names of the M modalities, in the order of `present`'s columns."""
        return tuple(self.parts)

    @cached_property
    def fingerprint(self) -> str:
        """Sixteen hex digits over ids and vectors; a policy refuses another table than its own."""
        return fingerprint("\0".join(self.ids), self.fused, self.present)

    def save(self, path: Path) -> None:
        """Write one .safetensors file with the provenance in its header."""
        tensors: dict[str, NDArray[Any]] = {f"parts/{k}": v for k, v in self.parts.items()}
        tensors |= {
            "fused": self.fused,
            "present": self.present,
            "log_popularity": self.log_popularity,
        }
        header = {
            "ids": json.dumps(self.ids),
            "modalities": json.dumps(self.modalities),
            "provenance": json.dumps(dict(self.provenance), sort_keys=True),
        }
        with atomic_file(path) as temporary:
            save_file({k: np.ascontiguousarray(v) for k, v in tensors.items()}, temporary, header)

    @classmethod
    def load(cls, path: Path) -> "ItemTable":
        """Read a table written by `save`; raise SimrecError when the file cannot be read."""
        from safetensors import safe_open

        try:
            tensors = load_file(path)
            with safe_open(path, "np") as handle:
                header = handle.metadata()
        except (OSError, SafetensorError) as error:
            raise SimrecError(
                f"cannot read the item table {path} ({error}); delete it and run again"
            ) from error
        return cls(
            tuple(json.loads(header["ids"])),
            tensors["fused"],
            {name: tensors[f"parts/{name}"] for name in json.loads(header["modalities"])},
            tensors["present"],
            tensors["log_popularity"],
            json.loads(header["provenance"]),
        )
