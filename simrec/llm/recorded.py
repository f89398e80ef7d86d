"""A language model's ratings that someone else collected, replayed as a teacher."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from simrec.errors import SimrecError, nearest
from simrec.preferences import ParseStatus, Preference, Question

WARNING = (
    "recorded ratings: what the language model read is not recorded pair by pair; its user "
    "profiles may have been written from other ratings of the same person, later ones included, so "
    "results with this teacher may be optimistic"
)


class RecordedTeacher:
    """Looks up recorded ratings; a pair without one is not answered (NaN), which is not a dislike.

    Attributes:
        warning: A sentence to show wherever results of this teacher are shown.
    """

    warning = WARNING

    def __init__(self, ratings: pd.DataFrame, *, model: str, like_at: float = 4) -> None:
        """Index the ratings.

        Args:
            ratings: Columns user and item (rows of the data set) and llm_rating; rows without a
                rating are dropped.
            model: Name of the language model that gave them, as far as it is known.
            like_at: A rating of at least this much is a like.

        Raises:
            SimrecError: A column is missing, a pair is rated twice, or nothing is rated.
        """
        for column in ("user", "item", "llm_rating"):
            if column not in ratings:
                raise SimrecError(
                    f"recorded ratings have no column '{column}'; expected user, item, llm_rating"
                )
        kept = ratings.loc[ratings["llm_rating"].notna(), ["user", "item", "llm_rating"]]
        kept = kept.sort_values(["user", "item"], kind="stable")
        if kept.empty:
            raise SimrecError(
                "no recorded rating belongs to a user and an item of the data set; expected the "
                "ids of the same source, or another teacher"
            )
        twice = kept.duplicated(["user", "item"])
        if twice.any():
            user, item = kept.loc[twice, ["user", "item"]].iloc[0]
            raise SimrecError(
                f"recorded ratings rate item {item} twice for user {user}; expected one rating for "
                f"each pair, remove the other"
            )
        self.model = model
        self.like_at = like_at
        self._user = kept["user"].to_numpy(dtype=np.int64)  # (n,) ascending
        self._item = kept["item"].to_numpy(dtype=np.int64)  # (n,) ascending within the user
        self._rating = kept["llm_rating"].to_numpy(dtype=np.float32)  # (n,)

    @classmethod
    def from_parquet(
        cls,
        path: Path,
        *,
        user_ids: Sequence[str],
        item_ids: Sequence[str],
        model: str,
        column: str | None = None,
        like_at: float = 4,
    ) -> "RecordedTeacher":
        """Read a table of recorded ratings; only the two ids and the model's column are read.

        People's ratings often lie in the same file. They are never loaded, so they cannot leak.

        Args:
            path: Parquet file with columns user_id, item_id and `column`.
            user_ids: Source ids of the data set's users, in row order; others are ignored.
            item_ids: Source ids of the data set's items, in row order; others are ignored.
            model: Name of the language model.
            column: The model's column; None takes the one with the model's name, letters and
                digits compared, or "llm_rating" where none has it.
            like_at: A rating of at least this much is a like.

        Raises:
            SimrecError: The file or a column is missing, or no rating belongs to the data set.
        """
        try:
            names = pq.read_schema(path).names
        except (OSError, pa.ArrowException) as error:
            raise SimrecError(
                f"cannot read recorded ratings from {path} ({error}); expected a Parquet file"
            ) from error
        if column is None:
            column = next((n for n in names if _plain(n) == _plain(model)), "llm_rating")
            if column not in names:
                raise SimrecError(
                    f"{path} has no column 'llm_rating' and none with the name of the model "
                    f"'{model}'; {nearest(model, map(str, names))}"
                )
        for needed in ("user_id", "item_id", column):
            if needed not in names:
                raise SimrecError(
                    f"{path} has no column '{needed}'; {nearest(needed, map(str, names))}"
                )
        frame = pd.read_parquet(path, columns=["user_id", "item_id", column])
        users = pd.Series(np.arange(len(user_ids)), index=list(user_ids))
        items = pd.Series(np.arange(len(item_ids)), index=list(item_ids))
        rows = pd.DataFrame(
            {
                "user": frame["user_id"].astype(str).map(users),
                "item": frame["item_id"].astype(str).map(items),
                "llm_rating": frame[column],
            }
        ).dropna()
        return cls(rows.astype({"user": "int64", "item": "int64"}), model=model, like_at=like_at)

    def __len__(self) -> int:
        """Return the number of ratings."""
        return len(self._rating)

    @property
    def name(self) -> str:
        """Name written into records, for example "recorded:gpt-4o-mini"."""
        return f"recorded:{self.model}"

    def judged(self, user: int) -> NDArray[np.int64]:
        """Return the items (n,) with a rating for a user, ascending; only these can be asked."""
        first, end = np.searchsorted(self._user, [user, user + 1])
        return self._item[first:end]

    def ratings(self) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
        """Return user, item and rating (n,) of everything recorded, by user, then item."""
        return self._user, self._item, self._rating

    def prefer(self, questions: Sequence[Question]) -> list[Preference]:
        """Answer every question, in order.

        A candidate without a recorded rating has score NaN (and liked False, which means nothing
        there); readers must leave such pairs out. A question with none is "unanswered".
        """
        answers = []
        for question in questions:
            first, end = np.searchsorted(self._user, [question.user, question.user + 1])
            items, ratings = self._item[first:end], self._rating[first:end]
            score = np.full(len(question.candidates), np.nan, dtype=np.float32)
            if len(items):
                place = np.minimum(np.searchsorted(items, question.candidates), len(items) - 1)
                found = items[place] == question.candidates
                score[found] = ratings[place[found]]
            status: ParseStatus = "ok" if np.isfinite(score).any() else "unanswered"
            liked = score >= self.like_at  # False where NaN
            answers.append(Preference(question, liked, score, self.name, "", "", status))
        return answers


def _plain(name: str) -> str:
    """Return letters and digits only: "Gemma-3-12B" and "gemma3_12b" are one name."""
    return "".join(c for c in name.lower() if c.isalnum())
