"""Times of a log in every notation: seconds by paper and pencil."""

from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from simrec.datasets.table_times import read_times
from simrec.errors import SimrecError

# 2024-05-31 is 19,874 days after 1970-01-01: 54 years of 365 days, 13 leap days before 2024,
# 29 February 2024 and 150 further days, 19,710 + 13 + 151; at 18:30 UTC, 66,600 seconds more.
DAY = 19_874 * 86_400
NOON = DAY + 66_600


@pytest.mark.parametrize(
    ("cells", "seconds", "how"),
    [
        ([NOON, NOON + 1], [NOON, NOON + 1], "seconds"),
        ([NOON + 0.25, NOON + 1.75], [NOON, NOON + 1], "seconds"),
        ([NOON * 1000 + 999], [NOON], "milliseconds"),
        ([NOON * 1e3], [NOON], "milliseconds"),
        ([NOON * 10**6 + 1], [NOON], "microseconds"),
        ([NOON * 10**9 + 1], [NOON], "nanoseconds"),
        ([-1500, NOON * 1000], [-2, NOON], "milliseconds"),
        ([10**11 - 1], [10**11 - 1], "seconds"),
        ([10**11], [10**8], "milliseconds"),
        ([3, 1, 2], [3, 1, 2], "an order"),
        ([0.5, 0.1, 0.5, 7.25], [1, 0, 1, 2], "an order"),
        ([str(NOON)], [NOON], "seconds"),
        (["2024-05-31 18:30:00"], [NOON], "dates"),
        (["2024-05-31T18:30"], [NOON], "dates"),
        (["2024-05-31"], [DAY], "dates"),
        (["2024-05-31T18:30:00Z"], [NOON], "dates"),
        (["2024-05-31 18:30:00 UTC"], [NOON], "dates"),
        (["2024-05-31T20:30:00+02:00", " 2024-05-31 18:30:00.999 "], [NOON, NOON], "dates"),
        (["2024-05-31T13:00:00-0530", "2024-05-31"], [NOON, DAY], "dates"),
        (["1969-12-31T23:59:59.5"], [-1], "dates"),
        ([date(2024, 5, 31)], [DAY], "dates"),
        ([datetime(2024, 5, 31, 18, 30, 0, 999_999)], [NOON], "dates"),
        ([datetime(2024, 5, 31, 18, 30, tzinfo=UTC)], [NOON], "dates"),
    ],
)
def test_times_by_pencil(cells: list[Any], seconds: list[int], how: str) -> None:
    found, said = read_times(pa.chunked_array([cells]), "log.csv: when")
    assert (found.tolist(), said) == (seconds, how)
    assert found.dtype == np.int64


@pytest.mark.parametrize(
    ("cells", "sentence"),
    [
        ([1, None], "is empty in row 2; expected a time in every row; fill or drop it"),
        (
            [1.0, float("inf")],
            "is inf in row 2; expected a time in every row; fill or drop it",
        ),
        (
            ["2024-05-31", "2024-13-01", "31.05.2024"],
            "is '2024-13-01' in row 2; expected seconds, milliseconds or a date in ISO 8601 such "
            "as 2024-05-31 18:30:00, the same in every row; rewrite the column",
        ),
        (
            ["2024-05-31T18:30Z", "2024-05-31", "noon", "2024-05-31T99:30Z"],
            "is 'noon' in row 3; expected seconds, milliseconds or a date in ISO 8601 such "
            "as 2024-05-31 18:30:00, the same in every row; rewrite the column",
        ),
        (
            [[1], [2]],
            "holds lists; expected seconds, milliseconds or dates in ISO 8601; convert the column",
        ),
    ],
)
def test_what_is_no_time_is_named_with_its_row(cells: list[Any], sentence: str) -> None:
    with pytest.raises(SimrecError) as caught:
        read_times(pa.chunked_array([cells]), "log.csv: when")
    assert str(caught.value) == f"log.csv: when {sentence}"
