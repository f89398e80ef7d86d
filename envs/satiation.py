"""Having had enough of a topic, and longing for another: moods that grow and fade."""

import numpy as np
from numpy.typing import NDArray


def sated(
    satiation: NDArray[np.float32],
    themes: NDArray[np.float32],
    clicked: NDArray[np.bool_],
    recovery: float,
) -> NDArray[np.float32]:
    """Return satiation by topic after a step: what is left of it, plus what was clicked.

    After n steps without a click recovery^n of it is left.

    Args:
        satiation: (B, G) before the step.
        themes: (B, k, G) topic rows of the items shown.
        clicked: (B, k) True where clicked.
        recovery: Share left after a step, 0 to 1.
    """
    eaten = (themes * clicked[:, :, None]).sum(axis=1)
    return np.asarray(recovery * satiation + eaten, dtype=np.float32)


def unlike_before(
    shown_themes: NDArray[np.float32], n_shown: NDArray[np.int64], themes: NDArray[np.float32]
) -> NDArray[np.float64]:
    """Return how unlike each item is to all that was shown in the session, 1 minus mean cosine.

    Args:
        shown_themes: (B, G) sum of the topic rows shown in the session.
        n_shown: (B,) their number.
        themes: (B, k, G) topic rows of the items to judge.

    Returns:
        (B, k) in [0, 1] for non-negative topics; 1 where nothing was shown.
    """
    mean = shown_themes / np.maximum(n_shown, 1)[:, None]
    return np.asarray(1.0 - np.einsum("bg,bkg->bk", mean, themes), dtype=np.float64)
