"""What a teacher says of an item to everybody, and of a place in a prompt whatever stands there.

Both are measured on the labels and given to the fit of r_psi as fixed intercepts, which are left
out when r_psi speaks: so it need not learn them. Intercepts as nuisance terms are common knowledge;
this closed form is our own.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

PRIOR_LABELS = 10.0  # labels at the overall rate that every item and place is given beforehand


@dataclass(frozen=True)
class LabelBias:
    """Intercepts in logits of a like; 0 = no bias."""

    item: NDArray[np.float32]  # (I,)
    place: NDArray[np.float32]  # (K,) from the first place of a prompt to the last

    def at(self, candidates: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the intercepts (n, K) of candidates (n, K) in the order shown."""
        return np.asarray(self.item[candidates] + self.place, dtype=np.float32)


def rate_offsets(
    group: NDArray[np.int64], liked: NDArray[np.float32], n_groups: int
) -> NDArray[np.float32]:
    """Return logit(p_g) - logit(p) of every group (n_groups,), 0 where all labels are equal.

    p is the overall share of likes and p_g = (likes_g + n0 p) / (labels_g + n0), the share within
    the group, shrunk towards p by n0 = PRIOR_LABELS labels.

    Args:
        group: (n,) the group of each label.
        liked: (n,) 1 liked, 0 not.
        n_groups: Number of groups; one without a label has offset 0.
    """
    share = float(liked.mean()) if len(liked) else 0.0
    if not 0.0 < share < 1.0:
        return np.zeros(n_groups, dtype=np.float32)
    labels = np.bincount(group, minlength=n_groups)
    likes = np.bincount(group, weights=liked, minlength=n_groups)
    shrunk = (likes + PRIOR_LABELS * share) / (labels + PRIOR_LABELS)
    offsets = np.log(shrunk / (1.0 - shrunk)) - np.log(share / (1.0 - share))
    return np.asarray(offsets, dtype=np.float32)


def label_bias(
    candidates: NDArray[np.int64],
    liked: NDArray[np.float32],
    judged: NDArray[np.float32],
    n_items: int,
    *,
    item_share: float,
    places: bool,
) -> LabelBias:
    """Measure the bias of a teacher's labels.

    Args:
        candidates: (n, K) items, in the order shown.
        liked: (n, K) 1 liked.
        judged: (n, K) 1 where the teacher answered; other labels are not read.
        n_items: Number of items I.
        item_share: Share of the items' intercepts to return, 0 to 1.
        places: Whether to measure places; else their intercepts are 0.
    """
    known = judged > 0
    K = candidates.shape[1]
    item = np.zeros(n_items, dtype=np.float32)
    if item_share > 0.0:
        item = np.float32(item_share) * rate_offsets(candidates[known], liked[known], n_items)
    place = np.zeros(K, dtype=np.float32)
    if places:
        where = np.broadcast_to(np.arange(K), candidates.shape)
        place = rate_offsets(where[known], liked[known], K)
    return LabelBias(item, place)
