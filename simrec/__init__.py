"""simrec: a simulator and training ground for recommenders warm-started by language models."""

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from simrec.agents.saved import SavedPolicy

__all__ = ["__version__", "load_policy"]
__version__ = "0.1.0"


def load_policy(path: Path | str) -> "SavedPolicy":
    """Return a trained policy that recommends from item ids, a `simrec.agents.saved.SavedPolicy`.

    Args:
        path: Its folder, for example runs/demo/policies/ap-seed-0.

    Raises:
        SimrecError: The folder holds no policy that can be read.
    """
    # By name, so that `import simrec` stays light and the rooms below do not come to know agents.
    policy: SavedPolicy = import_module("simrec.agents.saved").load_policy(path)
    return policy
