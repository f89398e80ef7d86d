"""The three parts of a log, and the start histories made from the first."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simrec.errors import SimrecError
from simrec.interactions import InteractionLog, Part, split_log, start_histories


def make_log(n_users: int, n: int, *, timed: bool, seed: int = 0) -> InteractionLog:
    rng = np.random.default_rng(seed)
    return InteractionLog(
        rng.integers(0, n_users, n).astype(np.int32),
        rng.integers(0, 9, n).astype(np.int32),
        rng.integers(1, 6, n).astype(np.float32),
        rng.integers(0, 20, n) if timed else None,  # few values: many ties
        "stars",
        tuple(f"u{u}" for u in range(n_users)),
        9,
    )


@settings(max_examples=60, deadline=None)
@given(
    st.integers(2, 12),
    st.integers(1, 200),
    st.booleans(),
    st.integers(0, 2**63 - 1),
    st.floats(0.05, 0.95),
    st.floats(0.05, 0.95),
    st.integers(0, 15),
)
def test_every_split_obeys_the_laws(
    n_users: int,
    n: int,
    timed: bool,
    seed: int,
    agent_share: float,
    online_share: float,
    history: int,
) -> None:
    log = make_log(n_users, n, timed=timed)
    split = split_log(
        log, seed=seed, agent_share=agent_share, online_share=online_share, history=history
    )
    # disjoint and complete: every event is in exactly one part
    assert split.part.shape == (n,)
    assert np.isin(split.part, list(Part)).all()
    assert 0 < split.online.sum() < n_users  # both groups have someone
    for user in range(n_users):
        mine = log.user == user
        agent = mine & (split.part == Part.AGENT)
        later = mine & ~agent
        events = int(mine.sum())
        wanted = min(max(round(agent_share * events), history), max(events - 1, 0))
        assert agent.sum() == wanted
        assert events == 0 or later.any()
        if log.time is not None and agent.any():
            assert log.time[agent].max() <= log.time[later].min()


def test_the_same_seed_gives_the_same_split_and_another_seed_another() -> None:
    log = make_log(50, 2000, timed=True)
    one, two, other = (split_log(log, seed=s) for s in (3, 3, 4))
    assert one.part.tobytes() == two.part.tobytes()
    assert one.online.tobytes() == two.online.tobytes()
    assert one.part.tobytes() != other.part.tobytes()
    assert one.online.tobytes() != other.online.tobytes()


def test_shares_come_out_as_asked() -> None:
    # 100 users of 100 events: 30 agent events each, so 3000 in all, exactly; of the other 7000 a
    # tenth judges, 700 give or take 4 standard deviations of sqrt(7000 * 0.1 * 0.9) = 25.
    user = np.repeat(np.arange(100, dtype=np.int32), 100)
    log = InteractionLog(
        user,
        np.zeros(10_000, dtype=np.int32),
        np.ones(10_000, dtype=np.float32),
        np.tile(np.arange(100), 100),
        "implicit",
        tuple(map(str, range(100))),
        1,
    )
    split = split_log(log, seed=0, agent_share=0.3, realism_share=0.1, online_share=0.25)
    assert (split.part == Part.AGENT).sum() == 3000
    assert (split.part == Part.AGENT).tolist() == (log.time < 30).tolist()
    assert abs(int((split.part == Part.REALISM).sum()) - 700) < 100
    assert split.online.sum() == 25


def test_a_user_keeps_at_least_one_event_for_the_truth() -> None:
    # history asks for 10 agent events: users of 11, 10, 1 and 0 events can give 10, 9, 0 and 0.
    user = np.repeat(np.arange(4, dtype=np.int32), [11, 10, 1, 0])
    log = InteractionLog(
        user,
        np.zeros(22, dtype=np.int32),
        np.ones(22, dtype=np.float32),
        None,
        "implicit",
        ("a", "b", "c", "d"),
        1,
    )
    part = split_log(log, seed=0, history=10).part
    assert np.bincount(user[part == Part.AGENT], minlength=4).tolist() == [10, 9, 0, 0]


def test_unknown_time_is_replaced_by_a_seeded_order() -> None:
    log = make_log(20, 1000, timed=False)
    one, two = split_log(log, seed=0), split_log(log, seed=1)
    # not the order of the file: another seed takes other events of the same user
    assert (one.part[log.user == 0] != two.part[log.user == 0]).any()


def test_ties_of_time_do_not_favour_the_first_rows() -> None:
    # All events at one second. If ties kept the order of the file, the agent's events would be the
    # first 500 rows, of mean row 249.5; at random the mean is near 499.5 (standard error 9).
    n = 1000
    log = InteractionLog(
        np.concatenate([np.zeros(n, dtype=np.int32), np.ones(1, dtype=np.int32)]),
        np.zeros(n + 1, dtype=np.int32),
        np.ones(n + 1, dtype=np.float32),
        np.full(n + 1, 7),
        "implicit",
        ("a", "b"),
        1,
    )
    part = split_log(log, seed=0, agent_share=0.5).part[:n]
    assert abs(np.flatnonzero(part == Part.AGENT).mean() - 499.5) < 45


@pytest.mark.parametrize("name", ["agent_share", "realism_share", "online_share"])
@pytest.mark.parametrize("share", [0.0, 1.0, -0.1, 1.5, float("nan")])
def test_a_share_outside_its_range_is_refused(name: str, share: float) -> None:
    with pytest.raises(SimrecError) as caught:
        split_log(make_log(3, 30, timed=True), seed=0, **{name: share})
    assert str(caught.value) == f"split.{name} is {share}; expected a share between 0 and 1"


def test_one_user_cannot_be_split() -> None:
    with pytest.raises(SimrecError) as caught:
        split_log(make_log(1, 30, timed=True), seed=0)
    assert str(caught.value) == "the log has 1 user; expected 2 or more to split by user"


def test_start_histories_hold_the_latest_agent_events_on_the_right() -> None:
    # User 0, agent events by time: item 4 (t=1, 5 stars), 2 (t=2, 3 stars), 7 (t=3, 4 stars), and
    # the truth event of item 8 (t=4). With H = 2 and likes from 4 stars on: [2, 7], liked [0, 1].
    # User 1 has one agent event, item 3 with 4 stars: [-1, 3], liked [0, 1]. User 2 has none.
    log = InteractionLog(
        np.array([0, 1, 0, 0, 0, 2], dtype=np.int32),
        np.array([7, 3, 4, 8, 2, 5], dtype=np.int32),
        np.array([4, 4, 5, 5, 3, 5], dtype=np.float32),
        np.array([3, 9, 1, 4, 2, 6]),
        "stars",
        ("a", "b", "c"),
        9,
    )
    split = split_log(log, seed=0)
    part = np.array(
        [Part.AGENT, Part.AGENT, Part.AGENT, Part.TRUTH, Part.AGENT, Part.REALISM], dtype=np.int8
    )
    items, liked = start_histories(log, type(split)(part, split.online), length=2, like_at=4)
    assert items.tolist() == [[2, 7], [-1, 3], [-1, -1]]
    assert liked.tolist() == [[0, 1], [0, 1], [0, 0]]
    assert (items.dtype, liked.dtype) == (np.int64, np.float32)


def test_start_histories_never_show_an_event_of_another_part() -> None:
    log = make_log(10, 400, timed=True)
    numbered = InteractionLog(  # each event an item of its own, to tell events apart
        log.user,
        np.arange(400, dtype=np.int32),
        log.feedback,
        log.time,
        log.unit,
        log.user_ids,
        400,
    )
    split = split_log(numbered, seed=0)
    items, _ = start_histories(numbered, split, length=50, like_at=4)
    shown = items[items >= 0]
    assert sorted(shown) == sorted(np.flatnonzero(split.part == Part.AGENT))
