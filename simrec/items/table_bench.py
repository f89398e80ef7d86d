"""`simrec bench items --table`: what the item table of a catalogue of made-up titles takes."""

import resource
import sys
import time
from dataclasses import dataclass

import numpy as np

from simrec.catalogue import Catalogue
from simrec.items.build import build_item_table
from simrec.randomness import generator

VOCABULARY, WORDS = 30_000, 12  # made-up words, and how many make a title


@dataclass(frozen=True)
class TableCost:
    """What building a table took."""

    items: int
    width: int
    processor_seconds: float
    peak_bytes: int  # the most memory the whole process ever had, everything it loaded included


def made_up(n_items: int, *, seed: int = 0) -> Catalogue:
    """Return a catalogue of titles of WORDS made-up words, common ones drawn more often (Zipf)."""
    rng = generator(seed, "bench", "titles")
    letters = np.array(list("abcdefghijklmnopqrstuvwxyz"))
    words = np.array(["".join(letters[rng.integers(26, size=7)]) for _ in range(VOCABULARY)])
    share = 1.0 / np.arange(1, VOCABULARY + 1)
    drawn = rng.choice(VOCABULARY, size=(n_items, WORDS), p=share / share.sum())
    titles = tuple(" ".join(words[row]) for row in drawn)
    ids = tuple(map(str, range(n_items)))
    return Catalogue("made-up", ids, titles, ("",) * n_items, (None,) * n_items)


def bench_table(n_items: int) -> TableCost:
    """Build the table of a made-up catalogue by hashed text and say what it took."""
    catalogue = made_up(n_items)
    began = time.process_time()
    table = build_item_table(catalogue, np.ones(n_items, dtype=np.int64))
    spent = time.process_time() - began
    unit = 1 if sys.platform == "darwin" else 1024  # what ru_maxrss counts in
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    return TableCost(len(table.fused), table.fused.shape[1], spent, peak)
