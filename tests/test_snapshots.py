"""Greedy evaluations beside a run: at the right steps, with known sessions, without a trace."""

import pandas as pd

from simrec.agents.learners import make_learner
from simrec.agents.strategy import Deployment
from simrec.deploy import Recorder, Tables, Underway, UpdateLog, go_on
from simrec.envs.schedule import Schedule, Shift
from simrec.envs.world import Rules, World
from simrec.snapshots import SHARES, Snapshots
from tests.agent_worlds import checkerboard, flat_world, make_env, make_spec, parity_vectors

BUDGET = 3200


def served(sessions: int) -> tuple[Tables, Snapshots]:
    world = checkerboard(horizon=8, patience=2)
    recorder = Recorder(make_env(world, 16), BUDGET)
    model = make_learner(make_spec("kac", parity_vectors()), recorder, luck=0)
    snapshots = Snapshots(world, 16, 1, 7, BUDGET, sessions)
    tables = go_on(Underway(Deployment(model, learns=True), recorder, UpdateLog(), snapshots))
    return tables, snapshots


def test_snapshots_are_taken_at_log_spaced_steps_and_change_nothing() -> None:
    with_them, taken = served(32)
    without, none = served(0)
    pd.testing.assert_frame_equal(with_them.episodes, without.episodes, check_exact=True)
    pd.testing.assert_frame_equal(with_them.updates, without.updates, check_exact=True)
    assert none.rows == []
    assert len(taken.rows) == len(SHARES)
    rollout = 12 * 16  # env steps between two updates, when the learner is at rest
    for row, share in zip(taken.rows, SHARES, strict=True):
        assert 0 <= row["env_step"] - share * BUDGET < rollout
    # A critic of zeros likes all items alike; at the end it knows who likes which half.
    assert taken.rows[-1]["reward"] > taken.rows[0]["reward"] + 2


def test_sessions_of_certain_clicks_by_hand() -> None:
    # Logit 100: every item is clicked, so a session is 4 clicks in 4 steps and nobody leaves;
    # a policy without an opinion shows the items in their order: 4 to everybody.
    rules = Rules(horizon=4, patience=2, boredom=0.0, window=1)
    assert evaluated(flat_world(100.0, rules=rules)) == (4.0, 4.0, 0.0)
    # Logit -100 and patience 2: two steps, no click, and the user leaves.
    assert evaluated(flat_world(-100.0, rules=rules)) == (0.0, 2.0, 1.0)


def test_a_snapshot_is_taken_on_the_date_of_the_run() -> None:
    # From date 10 on every item loses 200 logits: 3 users have then had 30 env steps.
    rules = Rules(horizon=4, patience=2, boredom=0.0, window=1)
    shifted = flat_world(100.0, rules=rules).changed(Schedule((Shift(10, -200.0, (0,)),)))
    assert evaluated(shifted, 0) == (4.0, 4.0, 0.0)
    assert evaluated(shifted, 30) == (0.0, 2.0, 1.0)


def evaluated(world: World, env_step: int = 0) -> tuple[float, float, float]:
    recorder = Recorder(make_env(world, 3), 6)
    model = make_learner(make_spec("kac", parity_vectors(world.n_items)), recorder, luck=0)
    snapshots = Snapshots(world, 3, 1, 7, max(env_step, 6), 4)
    snapshots.take(model, env_step)
    row = snapshots.rows[-1]
    return row["reward"], row["length"], row["left"]
