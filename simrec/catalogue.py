"""The catalogue: what there is to recommend, with every modality an item may have."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from simrec.errors import SimrecError, nearest
from simrec.files import fingerprint


@dataclass(frozen=True)
class Attribute:
    """A categorical property of items; an item may have none, one or several of its values."""

    vocabulary: tuple[str, ...]  # (V,) names of the values
    membership: NDArray[np.bool_]  # (I, V) True where the item has the value


@dataclass(frozen=True)
class Features:
    """Precomputed vectors of one modality, as they came with the data set."""

    values: NDArray[np.float32]  # (I, D) zero where absent
    present: NDArray[np.bool_]  # (I,) True where the row is real


@dataclass(frozen=True)
class Catalogue:
    """Every item of a data set, in row order 0..I-1."""

    name: str
    item_ids: tuple[str, ...]  # (I,) the ids of the source
    titles: tuple[str, ...]  # (I,) never empty
    texts: tuple[str, ...]  # (I,) description, "" where there is none
    images: tuple[bytes | None, ...]  # (I,) JPEG or PNG bytes
    attributes: Mapping[str, Attribute] = field(default_factory=dict)
    features: Mapping[str, Features] = field(default_factory=dict)

    def __len__(self) -> int:
        """Return the number of items I."""
        return len(self.item_ids)

    def attribute(self, name: str) -> Attribute:
        """Return the attribute called `name`; raise SimrecError with the nearest name if absent."""
        if name not in self.attributes:
            raise SimrecError(
                f"catalogue '{self.name}' has no attribute '{name}'; "
                f"{nearest(name, self.attributes)}"
            )
        return self.attributes[name]

    @cached_property
    def fingerprint(self) -> str:
        """Sixteen hex digits over the content of every field."""
        arrays: list[str | bytes | NDArray[np.generic]] = []
        for name in sorted(self.attributes):
            arrays += [name, "\0".join(self.attributes[name].vocabulary)]
            arrays.append(self.attributes[name].membership)
        for name in sorted(self.features):
            arrays += [name, self.features[name].values, self.features[name].present]
        return fingerprint(
            self.name,
            "\0".join(self.item_ids),
            "\0".join(self.titles),
            "\0".join(self.texts),
            *(image or b"" for image in self.images),
            *arrays,
        )

    def select(self, rows: NDArray[np.int64]) -> "Catalogue":
        """Return the catalogue reduced to `rows` (n,), which become 0..n-1 in that order."""
        return Catalogue(
            name=self.name,
            item_ids=tuple(self.item_ids[i] for i in rows),
            titles=tuple(self.titles[i] for i in rows),
            texts=tuple(self.texts[i] for i in rows),
            images=tuple(self.images[i] for i in rows),
            attributes={
                k: Attribute(a.vocabulary, a.membership[rows]) for k, a in self.attributes.items()
            },
            features={
                k: Features(f.values[rows], f.present[rows]) for k, f in self.features.items()
            },
        )
