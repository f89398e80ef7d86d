"""Ways to ask: list pick, rating, pairwise, yes or no, ranking; each ends as one judgement.

A form turns a question with K candidates into one or more asks, and their replies into a score and
a like for each candidate. Nothing is read that was not asked for: a number outside the list, a
number twice or a missing one makes the whole reply unreadable.
"""

from typing import Literal

from simrec.errors import SimrecError, nearest
from simrec.llm.form import Form
from simrec.llm.forms_choice import PairwiseForm, PointForm
from simrec.llm.forms_numbers import ListForm, RankingForm

RATINGS = ("1", "2", "3", "4", "5")


def make_form(
    name: str,
    *,
    like_at: float,
    like_share: float,
    liked_by: Literal["value", "share"] = "value",
) -> Form:
    """Return a form by name.

    Args:
        name: "list", "rating", "pairwise", "yesno" or "ranking".
        like_at: rating only: expected rating from which on a candidate is liked.
        like_share: pairwise and ranking, which only compare: share of a question's candidates
            that counts as liked, in (0, 1).
        liked_by: rating and yesno: "value" likes from like_at, or one half, on; "share" likes the
            best like_share of a question's candidates, for a model that says no, or yes, to all.

    Raises:
        SimrecError: No such form.
    """
    share = like_share if liked_by == "share" else None
    forms: dict[str, Form] = {
        "list": ListForm(),
        "rating": PointForm("rating", tuple((r, float(r)) for r in RATINGS), like_at, 4, share),
        "pairwise": PairwiseForm(like_share),
        "yesno": PointForm("yesno", (("yes", 1.0), ("no", 0.0)), 0.5, 4, share),
        "ranking": RankingForm(like_share),
    }
    if name not in forms:
        raise SimrecError(f"there is no form '{name}' to ask in; {nearest(name, forms)}")
    return forms[name]
