"""Replayed ratings of a language model: nothing of people beside them, nothing invented."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from simrec.errors import SimrecError
from simrec.llm.recorded import RecordedTeacher
from simrec.preferences import Question


def _question(user: int, candidates: list[int]) -> Question:
    n = len(candidates)
    none = np.zeros(0, dtype=np.int64)
    return Question(
        user, none, none.astype(np.float32), np.array(candidates, dtype=np.int64), ("recorded",) * n
    )


def _file(path: Path, **more: object) -> Path:
    pd.DataFrame(
        {
            "user_id": [7, 7, 9, 9, 8],
            "item_id": [30, 10, 20, 99, 10],
            "llm_rating": [5.0, 3.0, 4.0, 5.0, np.nan],
            **more,
        }
    ).to_parquet(path, index=False)
    return path


def _read(path: Path) -> RecordedTeacher:
    return RecordedTeacher.from_parquet(
        path, user_ids=("9", "7", "8"), item_ids=("10", "20", "30"), model="some-llm"
    )


def test_source_ids_become_rows_and_missing_ratings_are_not_dislikes(tmp_path: Path):
    teacher = _read(_file(tmp_path / "r.parquet"))
    assert len(teacher) == 3  # item 99 is not in the data set, user 8 has no number
    assert teacher.name == "recorded:some-llm"
    assert teacher.judged(0).tolist() == [1]
    assert teacher.judged(1).tolist() == [0, 2]
    assert teacher.judged(2).tolist() == []
    some, none = teacher.prefer([_question(1, [2, 1, 0]), _question(2, [0, 1])])
    np.testing.assert_array_equal(some.score, np.array([5, np.nan, 3], dtype=np.float32))
    assert some.liked.tolist() == [True, False, False]
    assert (some.status, some.prompt_sha) == ("ok", "")
    assert none.status == "unanswered" and np.isnan(none.score).all() and not none.liked.any()


def test_peoples_ratings_beside_the_models_change_nothing(tmp_path: Path):
    plain = _read(_file(tmp_path / "plain.parquet"))
    poisoned = _read(_file(tmp_path / "poisoned.parquet", human_rating=["x", "5", "", "1", "2"]))
    questions = [_question(u, [0, 1, 2]) for u in range(3)]
    for a, b in zip(plain.prefer(questions), poisoned.prefer(questions), strict=True):
        np.testing.assert_array_equal(a.score, b.score)
        np.testing.assert_array_equal(a.liked, b.liked)


def test_the_warning_says_what_is_not_known():
    assert "may have been written from other ratings of the same person" in RecordedTeacher.warning


def test_wrong_files_are_one_sentence(tmp_path: Path):
    with pytest.raises(SimrecError, match=r"^cannot read recorded ratings from .*Parquet file$"):
        _read(tmp_path / "absent.parquet")
    path = _file(tmp_path / "r.parquet")
    with pytest.raises(SimrecError) as error:
        RecordedTeacher.from_parquet(
            path, user_ids=("7",), item_ids=("10",), model="m", column="llm_ratings"
        )
    assert str(error.value) == f"{path} has no column 'llm_ratings'; did you mean 'llm_rating'?"
    with pytest.raises(SimrecError, match=r"^no recorded rating belongs to a user and an item"):
        RecordedTeacher.from_parquet(path, user_ids=("1",), item_ids=("10",), model="m")
    twice = pd.DataFrame({"user": [1, 1], "item": [4, 4], "llm_rating": [2.0, 5.0]})
    with pytest.raises(SimrecError) as error:
        RecordedTeacher(twice, model="m")
    assert str(error.value) == (
        "recorded ratings rate item 4 twice for user 1; expected one rating for each pair, remove "
        "the other"
    )


def test_a_table_of_several_models_is_read_by_the_name_of_one(tmp_path: Path):
    path = tmp_path / "several.parquet"
    pd.DataFrame(
        {"user_id": ["1"], "item_id": ["10"], "human_rating": [1], "gemma3_12b": [5], "b_2": [2]}
    ).to_parquet(path)

    def said(model: str) -> float:
        teacher = RecordedTeacher.from_parquet(path, user_ids=("1",), item_ids=("10",), model=model)
        return float(teacher.ratings()[2][0])

    assert (said("Gemma-3-12B"), said("B2")) == (5.0, 2.0)
    with pytest.raises(SimrecError) as error:
        said("Gemma-3-12")
    assert str(error.value) == (
        f"{path} has no column 'llm_rating' and none with the name of the model 'Gemma-3-12'; did "
        f"you mean 'gemma3_12b'?"
    )


def test_the_real_file_has_98069_ratings(shared_data: Path, tmp_path: Path):
    path = shared_data / "ml100k_mm" / "llm_ratings.parquet"
    ids = pd.read_parquet(path, columns=["user_id", "item_id"]).astype(str)
    users, items = sorted(set(ids["user_id"])), sorted(set(ids["item_id"]))
    teacher = RecordedTeacher.from_parquet(
        path, user_ids=users, item_ids=items, model="gpt-4o-mini"
    )
    assert len(teacher) == 98_069
    assert sum(len(teacher.judged(u)) for u in range(len(users))) == 98_069
    # the same file without people's ratings and the other recommenders gives the same answers
    bare = tmp_path / "bare.parquet"
    pd.read_parquet(path)[["user_id", "item_id", "llm_rating"]].to_parquet(bare)
    other = RecordedTeacher.from_parquet(bare, user_ids=users, item_ids=items, model="gpt-4o-mini")
    questions = [_question(u, teacher.judged(u).tolist()) for u in range(50)]
    for a, b in zip(teacher.prefer(questions), other.prefer(questions), strict=True):
        np.testing.assert_array_equal(a.score, b.score)
