"""The one door to simulated users and policies, opened only by pages that play."""

from types import ModuleType


def live() -> ModuleType:
    """Return `simrec.live`, imported on the first call: its policies bring torch."""
    import simrec.live

    return simrec.live
