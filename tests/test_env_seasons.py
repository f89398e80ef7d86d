"""Worlds whose sessions are not alike: which sessions bounds are played on, and what they tell."""

from pathlib import Path

import numpy as np
import pytest

from simrec.compare import compare
from simrec.config import StudyConfig
from simrec.envs.bounds import first_shift, myopic_policy, world_bounds
from simrec.envs.creators import Creators
from simrec.envs.describe import MeasuredWorld, bounds_lines
from simrec.envs.horizon import planning_gains
from simrec.envs.playing import Season, play, play_season, season_of
from simrec.envs.retention import Retention
from simrec.envs.rules import Rules
from simrec.envs.schedule import Schedule, Shift
from simrec.findings import bounds_line, legend, side_columns
from simrec.metrics import named_now, recovery_steps
from simrec.progress import bars
from simrec.study import run_study
from tests.env_worlds import constant_world, random_world


def test_only_worlds_whose_sessions_differ_have_a_season():
    world = random_world(rules=Rules(horizon=10, drift=0.3, satiation=1.0))
    assert season_of(world, 1000) is None  # moods begin anew with every session
    shifted = world.changed(Schedule((Shift(200, 1.0, (0,), until=300),)))
    assert season_of(shifted, 1200) == Season(20, 600)  # twice 300 dates; 1200 * 10 / 600 slots
    assert season_of(world.changed(retention=Retention()), 100) == Season(20, 50)  # 5 horizons
    creators = Creators(np.arange(60) // 6, np.ones(60, bool), period=40)
    assert season_of(world.changed(creators=creators), 1).dates == 400


def test_the_sessions_of_a_season_begin_where_others_end():
    # everybody clicks everything: sessions of exactly 5 steps, so 3 begin before date 12 in a slot
    world = constant_world(1.0, rules=Rules(horizon=5))
    found = play_season(world, myopic_policy, 0, Season(4, 12))
    assert found.start.tolist() == [0, 5, 10] * 4
    assert found.reward.tolist() == [5.0] * 12 and found.length.tolist() == [5.0] * 12
    assert not found.back.any()
    first = random_world()
    season = play_season(first, myopic_policy, 1, Season(30, 1))
    assert (season.reward == play(first, myopic_policy, 1, 30)[0]).all()


def test_bounds_tell_both_sides_of_a_shift_and_who_came_back():
    # certain clicks until date 20, none after: 5 clicks a session, then the patience of 2 runs out
    world = constant_world(1.0, n_items=60, rules=Rules(horizon=5, patience=2))
    world = world.changed(
        Schedule((Shift(20, -90.0, (0,)),)), retention=Retention(base=-30.0, gain=20.0, days=1)
    )
    found = world_bounds(
        world, log_popularity=np.zeros(60), seed=0, sessions=8, season=Season(8, 40)
    )
    assert first_shift(world, 40) == 20 and first_shift(world, 20) is None
    for bound in found.values():
        assert (bound["reward_before"], bound["reward_since"]) == (5.0, 0.0)
        # in each slot 4 sessions of 5 clicks, all of whose users return, and 10 of none, who do not
        assert bound["returned"] == pytest.approx(4 / 14)
        assert bound["reward"] == pytest.approx(20 / 14)


@pytest.mark.parametrize("unit", ["minutes", "likes", "depth"])
def test_a_reward_is_called_by_its_own_unit(unit):
    world = random_world(rules=Rules(reward=unit, satiation=1.0))
    bounds = world_bounds(world, log_popularity=np.zeros(60), seed=0, sessions=20)
    gains = tuple(planning_gains(world, seed=0, sessions=20, settings=[(20, 0.6)]))
    told = bounds_lines(MeasuredWorld("w", bounds, 0.5, gains, "", "", unit, ""))
    assert told[0] == f"w: {unit} per session (standard error), steps"
    assert not any("clicks" in line for line in told) and f"{unit}, " in told[-2]


def test_bounds_of_older_files_get_the_names_of_today():
    assert named_now({"random": {"clicks": 2.0, "clicks_se": 0.1, "length": 9.0}}) == {
        "random": {"reward": 2.0, "reward_se": 0.1, "length": 9.0}
    }


def test_recovery_is_the_end_of_the_first_block_that_is_back():
    # blocks of 100 from the shift at 200: before it 1.0; then 0.2, 0.8, 0.96
    start = np.array([150, 190, 210, 250, 330, 399, 405])
    y = np.array([0.9, 1.1, 0.1, 0.3, 0.7, 0.9, 0.96])
    assert recovery_steps(start, y, 200, block=100) == 300.0
    assert recovery_steps(start, y, 200, block=100, level=0.5) == 200.0
    assert recovery_steps(start[:-1], y[:-1], 200, block=100) == np.inf
    assert np.isnan(recovery_steps(start, 0.05 * y, 200, block=100))  # next to nothing before
    assert np.isnan(recovery_steps(start, -y, 200, block=100))  # nothing to come back to


STUDY = {
    "study": "season",
    "seeds": [240],
    "data": {"name": "toy", "toy_seed": 7, "min_user_events": 40},
    "world": {
        "topics": "topic",
        "bounds_sessions": 16,
        "allow_static": True,
        "drift": 0.1,
        "reward": "minutes",
        "retention": {"base": -1.0, "gain": 0.2, "days": 2},
        "shifts": [{"date": 30, "size": 3.0, "topics": ["pets"]}],
        "creators": {"count": 12, "period": 20},
    },
    "teacher": {"encoder": "hashed", "questions_per_user": 1},
    "reward": {"epochs": 1, "weight_decays": [3.0]},
    "online": {"env_steps": 480, "n_envs": 8, "strategies": [], "controls": ["random", "myopic"]},
}


def test_a_study_with_everything_that_changes_tells_return_regret_and_recovery(
    tmp_path: Path, data_home: Path
) -> None:
    with bars() as shown:
        run_study(
            StudyConfig.model_validate(STUDY),
            tmp_path,
            bars=shown,
            say=lambda line: None,
            workers=1,
        )
    found = compare(tmp_path / "season")
    titles = {column.head for column in side_columns(found)}
    assert {"return rate (share)", "regret since the shift (minutes)"} <= titles
    side = found.side_measures()
    assert 0 < side["random"]["return_rate"].mean < 1
    assert side["random"]["regret_since_shift"].mean > side["myopic"]["regret_since_shift"].mean
    assert bounds_line(found).startswith("Bounds in minutes per session: random")
    assert "minutes per session - random" in legend(found)
