"""Moving what a step touches onto big pages of memory.

Spread over thousands of small pages, the arrays of a batch crowd each other out of the caches, more
in one process than in the next; slates of ten take about a twentieth longer so.
"""

import mmap
from dataclasses import fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

PAGE = 2**21  # bytes of a big page
_LEAST = 2**22  # bytes from which on numpy asks for big pages (Linux)
_FEW = 2**18  # bytes that are not worth a page


def gather(arrays: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Return arrays moved side by side onto big pages, each at the start of a cache line.

    Those that numpy puts there by itself are left where they are, and so are all if they are small.

    Args:
        arrays: Whole arrays, C-contiguous.
    """
    small = {name: part for name, part in arrays.items() if 0 < part.nbytes < _LEAST}
    sizes = [-(-part.nbytes // 64) * 64 for part in small.values()]
    if sum(sizes) < _FEW:
        return arrays
    room = _room(sum(sizes) + PAGE)
    place = -room.ctypes.data % PAGE
    moved = {}
    for (name, part), size in zip(small.items(), sizes, strict=True):
        moved[name] = room[place : place + part.nbytes].view(part.dtype).reshape(part.shape)
        moved[name][...] = part
        place += size
    return arrays | moved


def _room(size: int) -> NDArray[np.uint8]:
    """Return bytes on big pages, where the system has them: new ones, for used ones are small."""
    if not hasattr(mmap, "MADV_HUGEPAGE"):
        return np.empty(size, dtype=np.uint8)
    room = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    room.madvise(mmap.MADV_HUGEPAGE)
    return np.frombuffer(room, dtype=np.uint8)


def settle(*owners: Any) -> None:
    """Move the arrays of some dataclasses, all of them together, and let these look at them anew.

    Those are moved that a dataclass is made of; what it makes of them itself, it makes again.
    """
    found = {
        f"{x} {part.name}": getattr(owner, part.name)
        for x, owner in enumerate(owners)
        for part in fields(owner)
        if part.init and isinstance(getattr(owner, part.name), np.ndarray)
    }
    for key, array in gather(found).items():
        x, name = key.split(" ")
        setattr(owners[int(x)], name, array)
    for owner in owners:
        if hasattr(owner, "__post_init__"):
            owner.__post_init__()
