"""`simrec bench items --encode`: how long a catalogue takes through an encoder, all states kept."""

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from simrec.items.store import encode_features
from simrec.items.towers import TransformerTower

LAYERS, WIDTH, WORDS = 6, 256, 30_000
_SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


@dataclass(frozen=True)
class EncodeCost:
    """What encoding and storing a catalogue took."""

    items: int
    layers: int  # states kept
    width: int
    seconds: float
    processor_seconds: float  # of all threads
    threads: int
    bytes_per_item: float


def random_bert(texts: Sequence[str], folder: Path, *, seed: int = 0) -> None:
    """Save an untrained BERT of 6 layers of 256 with a WordPiece vocabulary learnt from texts.

    Args:
        texts: Whose words the vocabulary holds, at most WORDS pieces.
        folder: Where; a folder as `save_pretrained` writes it.
        seed: Draws the weights.
    """
    import torch
    from transformers import BertConfig, BertModel, BertTokenizerFast

    folder.mkdir(parents=True, exist_ok=True)
    start = BertTokenizerFast(vocab={word: place for place, word in enumerate(_SPECIAL)})
    tokenizer = start.train_new_from_iterator([list(texts)], WORDS, show_progress=False)
    tokenizer.save_pretrained(folder)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)  # torch's layers know only the global generator
        config = BertConfig(
            vocab_size=len(tokenizer),
            hidden_size=WIDTH,
            num_hidden_layers=LAYERS,
            num_attention_heads=4,
            intermediate_size=4 * WIDTH,
        )
        BertModel(config).save_pretrained(folder)


def bench_encoding(
    texts: Sequence[str],
    ids: Sequence[str],
    folder: Path,
    *,
    progress: Callable[[int, int], None] | None = None,
    clock: Callable[[], float] = time.perf_counter,
) -> EncodeCost:
    """Encode texts on every core from the first to the last and say what it took.

    Making the model and its vocabulary is not counted; reading its weights, tokens, states,
    statistics and hashes are.

    Args:
        texts: (I,) not empty.
        ids: (I,).
        folder: An empty folder, where model and store are written.
        progress: As in `encode_features`.
        clock: Seconds.
    """
    import torch

    random_bert(texts, folder / "bert")
    threads = os.cpu_count() or 1
    tower = TransformerTower(folder / "bert", "text", workers=threads)
    before = torch.get_num_threads()
    torch.set_num_threads(1)  # of torch, in each of the tower's own
    try:
        began, spent = clock(), time.process_time()
        # larger chunks than usual: texts alike in length share a batch within a chunk
        store = encode_features(folder / "store", tower, texts, ids, chunk=2048, progress=progress)
        taken, used = clock() - began, time.process_time() - spent
    finally:
        torch.set_num_threads(before)
    n, layers, width = store.hidden.shape
    return EncodeCost(n, layers, width, taken, used, threads, store.bytes_per_item)
