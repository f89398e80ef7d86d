"""A directory with weights on this machine; nothing is ever fetched."""

import hashlib
from pathlib import Path

from simrec.errors import SimrecError
from simrec.files import fingerprint

# All that decides an answer: weights, configuration, vocabulary, chat template.
_FILES = ("*.safetensors", "*.bin", "*.json", "*.txt", "*.model", "*.jinja")


def model_folder(kind: str, folder: str | Path) -> Path:
    """Return the folder, once it looks like one.

    Raises:
        SimrecError: It is missing or holds no config.json.
    """
    path = Path(folder).expanduser()
    if (path / "config.json").is_file():
        return path
    what = "has no config.json" if path.is_dir() else "does not exist"
    raise SimrecError(
        f"the language model folder '{path}' {what}; expected '{kind}:DIR' with a folder written "
        f"by save_pretrained, fetch one with: hf download ORG/MODEL --local-dir {path}"
    )


def weights_hash(folder: Path) -> str:
    """Return eight hex digits over names and bytes of all files that decide an answer."""
    rows: list[list[str]] = []
    for file in sorted({f for pattern in _FILES for f in folder.glob(pattern)}):
        with file.open("rb") as handle:
            rows.append([file.name, hashlib.file_digest(handle, "sha256").hexdigest()])
    return fingerprint(rows)[:8]
