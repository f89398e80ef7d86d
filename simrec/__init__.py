"""simrec: a simulator and training ground for recommenders warm-started by language models."""

from importlib import import_module
from pathlib import Path
from typing import Any

__version__ = "0.1.0"


def load_policy(path: Path | str) -> Any:
    """Return a trained policy that recommends from item ids, a `simrec.agents.saved.SavedPolicy`.

    Args:
        path: Its folder, for example runs/demo/policies/ap-seed-0.

    Raises:
        SimrecError: The folder holds no policy that can be read.
    """
    # By name, so that `import simrec` stays light and the rooms below do not come to know agents.
    return import_module("simrec.agents.saved").load_policy(path)
