"""The one door to rooms the dashboard may not enter, opened only by pages that need it."""

from types import ModuleType


def live() -> ModuleType:
    """Return `simrec.live`, imported on the first call: its policies bring torch."""
    import simrec.live

    return simrec.live


def codes() -> ModuleType:
    """Return `simrec.items.rq_kmeans`, which codes vectors by numpy alone."""
    import simrec.items.rq_kmeans

    return simrec.items.rq_kmeans


def prompts() -> ModuleType:
    """Return `simrec.llm.prompts`, which writes the prompt of a question."""
    import simrec.llm.prompts

    return simrec.llm.prompts
