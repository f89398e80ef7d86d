"""What no learner may be handed: parts of an observation that only the simulator knows."""

from simrec.errors import SimrecError

TRUTH = "truth_"  # how the names of such parts begin


def refuse_truth(space: object, who: str) -> None:
    """Refuse an observation that holds what only the simulator knows.

    Args:
        space: Its space; only a dictionary has parts.
        who: Who would have been handed it.

    Raises:
        SimrecError: The name of a part begins with `TRUTH`.
    """
    told = sorted(name for name in getattr(space, "spaces", {}) if name.startswith(TRUTH))
    if told:
        raise SimrecError(
            f"{who} would see what only the simulator knows ({', '.join(told)}); expected an "
            "environment with observability='partial', and the control 'oracle' for a policy that "
            "knows the truth"
        )
