"""Missing modalities: patterns that hide them, and policies that complete what was hidden.

What is hidden is set to zero before any policy sees the data, so no policy can look at the answer.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from simrec.errors import SimrecError, nearest
from simrec.items.neighbours import cosine_neighbours
from simrec.randomness import generator

States = Mapping[str, NDArray[np.float32]]  # modality -> (I, K, D)
Completion = Callable[[States, NDArray[np.bool_], str], NDArray[np.float32]]  # -> (I, K, D)

PATTERNS = ("item", "block", "whole")
POLICIES = ("zero", "mean", "learned_token", "knn", "graph", "proxy")


@dataclass(frozen=True)
class Hidden:
    """States after something was hidden, and what is still there."""

    states: dict[str, NDArray[np.float32]]  # modality -> (I, K, D), zero where absent
    present: NDArray[np.bool_]  # (I, M)


def hide(
    states: States,
    present: NDArray[np.bool_],
    *,
    pattern: str,
    rate: float,
    seed: int,
    modality: str | None = None,
    blocks: NDArray[np.int64] | None = None,
) -> Hidden:
    """Hide modalities of items.

    "item" hides each modality of each item with chance `rate`; "block" hides them in whole groups
    of items (a category); "whole" hides one modality everywhere. Rates of .2, .5, .8 and 1 are
    those of MMPCBench (read); the patterns by block and item are ours.

    Args:
        states: Modality -> (I, K, D).
        present: (I, M) what there is.
        pattern: A member of PATTERNS.
        rate: Chance or share hidden, in [0, 1]; "whole" takes no notice of it.
        seed: Draws what is hidden.
        modality: The only one that is hidden; None means any ("whole" needs one).
        blocks: (I,) group of each item, for "block".

    Returns:
        States with zeros where something is hidden or was absent, and what remains present.

    Raises:
        SimrecError: The pattern, rate, modality or blocks are wrong.
    """
    if pattern not in PATTERNS:
        raise SimrecError(f"there is no missing pattern '{pattern}'; {nearest(pattern, PATTERNS)}")
    if not 0.0 <= rate <= 1.0:
        raise SimrecError(f"the missing rate is {rate}; expected a share from 0 to 1")
    names = tuple(states)
    if modality is not None and modality not in names:
        raise SimrecError(f"there is no modality '{modality}' to hide; {nearest(modality, names)}")
    chosen = np.array([modality in (None, name) for name in names])
    luck = generator(seed, "hide", pattern)
    if pattern == "whole":
        if modality is None:
            raise SimrecError("hiding a whole modality needs its name; give modality")
        gone = np.ones(present.shape, dtype=np.bool_)
    elif pattern == "item":
        gone = luck.random(present.shape) < rate
    else:
        if blocks is None or blocks.shape != present.shape[:1]:
            raise SimrecError(f"hiding blocks needs a group for each of {len(present)} items")
        groups, place = np.unique(blocks, return_inverse=True)
        gone = (luck.random((len(groups), len(names))) < rate)[place]
    left = present & ~(gone & chosen)
    return Hidden({m: _blank(v, left[:, c]) for c, (m, v) in enumerate(states.items())}, left)


def _blank(values: NDArray[np.float32], there: NDArray[np.bool_]) -> NDArray[np.float32]:
    return np.where(there[:, None, None], values, np.float32(0.0))


def complete(
    hidden: Hidden,
    policy: str | Completion,
    *,
    k: int = 10,
    links: sp.csr_matrix | None = None,
    ridge: float = 1.0,
) -> Hidden:
    """Fill what is absent.

    "learned_token" leaves it absent, so that an adapter's own learnt vector stands in; the others
    fill in states and call them present. "zero" and "mean" need nothing else. "knn" takes the mean
    over the k items most alike in the modalities both have. "graph" spreads known states over an
    item graph and puts known ones back after every step (Feature Propagation, Rossi et al., LoG
    2022, arXiv 2111.12128; reconstructed). "proxy" predicts states from the other modalities by
    ridge regression, a reduced form of CMPT's proxy token (reconstructed). A function is called
    with blanked states, what is present and the modality's name.

    Args:
        hidden: As `hide` returns it.
        policy: A member of POLICIES or a function.
        k: Neighbours of "knn", and of "graph" where no links are given.
        links: (I, I) item graph of "graph"; None links items alike in what they have.
        ridge: Penalty of "proxy".

    Raises:
        SimrecError: There is no such policy, or a function returned another shape or NaN.
    """
    if isinstance(policy, str) and policy not in POLICIES:
        raise SimrecError(f"there is no completion '{policy}'; {nearest(policy, POLICIES)}")
    if policy == "learned_token":
        return hidden
    states: dict[str, NDArray[np.float32]] = {}
    present = hidden.present.copy()
    for column, (name, values) in enumerate(hidden.states.items()):
        there = hidden.present[:, column]
        if there.all() or (not there.any() and not callable(policy) and policy != "zero"):
            states[name] = values  # nothing to fill, or nothing to learn it from
            continue
        if callable(policy):
            filled = policy(hidden.states, hidden.present, name)
            if filled.shape != values.shape or not np.isfinite(filled[~there]).all():
                raise SimrecError(
                    f"the completion of '{name}' has shape {filled.shape} or is not finite; "
                    f"expected {values.shape} finite numbers; correct the function"
                )
        elif policy == "zero":
            filled = values
        elif policy == "mean":
            filled = np.broadcast_to(values[there].mean(axis=0), values.shape)
        elif policy == "proxy":
            filled = _proxy(hidden, column, ridge).astype(np.float32)
        else:
            filled = _neighbourly(hidden, column, policy, k, links).astype(np.float32)
        known = there[:, None, None]
        states[name] = np.where(known, values, filled).astype(np.float32)
        present[:, column] = True
    return Hidden(states, present)


def _others(hidden: Hidden, column: int) -> NDArray[np.float64]:
    """Return the last states of the other modalities side by side (I, F), 0 where absent."""
    parts = [v[:, -1] for c, v in enumerate(hidden.states.values()) if c != column]
    flags = np.delete(hidden.present, column, axis=1)
    return np.concatenate([*parts, flags, np.ones((len(flags), 1))], axis=1).astype(np.float64)


def _proxy(hidden: Hidden, column: int, ridge: float) -> NDArray[np.float64]:
    values = list(hidden.states.values())[column]
    there = hidden.present[:, column]
    x = _others(hidden, column)
    y = values[there].reshape(int(there.sum()), -1).astype(np.float64)
    gram = x[there].T @ x[there] + ridge * np.eye(x.shape[1])
    return np.asarray((x @ np.linalg.solve(gram, x[there].T @ y)).reshape(values.shape))


def _neighbourly(
    hidden: Hidden, column: int, policy: str, k: int, links: sp.csr_matrix | None
) -> NDArray[np.float64]:
    values = list(hidden.states.values())[column]
    there = hidden.present[:, column]
    flat = values.reshape(len(values), -1).astype(np.float64)
    others = _others(hidden, column)[:, : -hidden.present.shape[1]].astype(np.float32)
    mean = flat[there].mean(axis=0)
    if policy == "knn":
        known = np.flatnonzero(there)
        near, alike = cosine_neighbours(others, min(k, len(known)), among=known)
        out = flat[near].mean(axis=1)
        out[(alike <= 0).all(axis=1)] = mean  # nothing in common with anyone
        return np.asarray(out.reshape(values.shape))
    if links is None:
        near, alike = cosine_neighbours(others, min(k, len(values) - 1))
        rows = np.repeat(np.arange(len(values)), near.shape[1])
        weight = (np.maximum(alike, 0.0).ravel(), (rows, near.ravel()))
        links = sp.csr_matrix(weight, shape=(len(values),) * 2)
    graph = links.maximum(links.T)
    degree = np.asarray(graph.sum(axis=1)).ravel()
    spread = sp.diags(1.0 / np.where(degree > 0, degree, 1.0)) @ graph
    out = np.where(there[:, None], flat, mean)
    for _ in range(40):
        moved = np.where(degree[:, None] > 0, spread @ out, mean)
        out = np.where(there[:, None], flat, moved)
    return np.asarray(out.reshape(values.shape))
