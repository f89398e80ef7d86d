"""Deployment: every session is counted once, in the right window, for the right user."""

import numpy as np
import pandas as pd
import pytest

from simrec.agents.adapt import Deployment
from simrec.agents.baselines import Greedy, RandomRecommender
from simrec.agents.learners import make_learner
from simrec.deploy import Recorder, Tables, deploy
from simrec.envs.world import Rules, World
from tests.agent_worlds import checkerboard, flat_world, make_env, make_spec, parity_vectors


def serve(world: World, *, n_envs: int, budget: int, slate_size: int = 1) -> Tables:
    recorder = Recorder(make_env(world, n_envs, slate_size=slate_size), budget)
    random = RandomRecommender(world.n_items, np.random.default_rng(0), slate_size)
    return deploy(Deployment(random, learns=False), recorder)


def rows(table: pd.DataFrame, *columns: str) -> list[tuple[object, ...]]:
    return [tuple(row) for row in table[list(columns)].itertuples(index=False)]


def test_sessions_of_certain_clicks_by_hand() -> None:
    # Logit 100: every fresh item is clicked, so a session has 4 steps and 4 clicks.
    # Three slots make three env steps at a time: sessions begin at 0, 12, 24 and end 12 later; the
    # one that would begin at 36 is past the budget of 30. The last one is played to its end.
    world = flat_world(100.0, rules=Rules(horizon=4, patience=2, boredom=0.0, window=1))
    tables = serve(world, n_envs=3, budget=30)
    episodes = tables.episodes.sort_values(["slot", "episode"])
    assert rows(episodes, "slot", "episode", "start_step", "end_step") == [
        (slot, episode, 12 * episode, 12 * episode + 12)
        for slot in range(3)
        for episode in range(3)
    ]
    assert set(episodes["reward"]) == {4.0}
    assert set(episodes["length"]) == {4}
    assert set(episodes["left"]) == {False}
    # early: starts below 1.5, so the first sessions; late: from 24 on, so the last ones
    shown = tables.exposure.groupby("window")[["shown", "clicked"]].sum()
    assert rows(shown, "shown", "clicked") == [(12, 12)] * 3
    # two slots are kept step by step
    steps = tables.steps
    assert len(steps) == 2 * 3 * 4
    assert set(steps["slot"]) == {0, 1}
    assert (steps.groupby(["slot", "episode"])["t"].agg(list).map(tuple) == (0, 1, 2, 3)).all()
    assert set(steps["clicked"]) == {1}


def test_sessions_without_a_click_by_hand() -> None:
    # Logit -100 and patience 3: a session has 3 steps, no click, and the user leaves. With two
    # slots sessions begin at 0, 6, 12, 18; the next, at 24, is past the budget of 20.
    world = flat_world(-100.0, rules=Rules(horizon=10, patience=3, boredom=0.0, window=1))
    tables = serve(world, n_envs=2, budget=20)
    episodes = tables.episodes.sort_values(["slot", "episode"])
    assert rows(episodes, "slot", "start_step", "end_step", "reward", "length", "left") == [
        (slot, start, start + 6, 0.0, 3, True) for slot in range(2) for start in (0, 6, 12, 18)
    ]
    assert tables.exposure["shown"].sum() == 24
    assert tables.exposure["clicked"].sum() == 0


def test_both_items_of_a_slate_are_shown_and_one_is_clicked() -> None:
    # Two items with the same weight e^100: one of them is clicked in each of the 3 steps.
    world = flat_world(100.0, rules=Rules(horizon=3, patience=2, boredom=0.0, window=1))
    tables = serve(world, n_envs=2, budget=6, slate_size=2)
    assert rows(tables.episodes, "reward", "length") == [(3.0, 3), (3.0, 3)]
    assert tables.exposure["shown"].sum() == 2 * 3 * 2
    assert tables.exposure["clicked"].sum() == 2 * 3
    assert len(tables.steps) == 2 * 3 * 2
    assert (tables.steps.groupby(["slot", "t"])["clicked"].sum() == 1).all()


def uneven() -> World:
    """Sessions of every length: half of the items are disliked and two misses are too many."""
    return checkerboard(horizon=8, patience=2)


def test_no_session_that_began_within_the_budget_is_missing() -> None:
    budget, n_envs = 500, 4
    tables = serve(uneven(), n_envs=n_envs, budget=budget)
    assert len(set(tables.episodes["length"])) > 3
    for _, of_slot in tables.episodes.sort_values("episode").groupby("slot"):
        start, end = of_slot["start_step"].to_numpy(), of_slot["end_step"].to_numpy()
        assert of_slot["episode"].tolist() == list(range(len(of_slot)))
        assert start[0] == 0
        assert (start[1:] == end[:-1]).all()  # the next session begins where the last one ended
        assert (end - start == n_envs * of_slot["length"]).all()
        assert start[-1] < budget <= end[-1]  # under way at the end, and completed
    assert tables.exposure["shown"].sum() == tables.episodes["length"].sum()
    assert tables.exposure["clicked"].sum() == tables.episodes["reward"].sum()
    kept = tables.episodes[tables.episodes["slot"] < 2]
    assert len(tables.steps) == kept["length"].sum()
    assert tables.steps["clicked"].sum() == kept["reward"].sum()


def test_windows_hold_what_was_shown_in_the_sessions_that_began_in_them() -> None:
    budget = 500
    tables = serve(uneven(), n_envs=4, budget=budget)
    start = tables.episodes["start_step"]
    for name, low, high in (("early", 0, 25), ("middle", 25, 400), ("late", 400, 500)):
        inside = tables.episodes[(start >= low) & (start < high)]
        of_window = tables.exposure[tables.exposure["window"] == name]
        assert of_window["shown"].sum() == inside["length"].sum() > 0
        assert of_window["clicked"].sum() == inside["reward"].sum()


def test_a_learner_that_overshoots_the_budget_changes_nothing_in_the_accounts() -> None:
    # One rollout of KAC is 12 steps of 4 users, the budget ends within the third.
    recorder = Recorder(make_env(uneven(), 4), 100)
    model = make_learner(make_spec("kac", parity_vectors()), recorder, luck=0)
    tables = deploy(Deployment(model, learns=True), recorder)
    assert model.num_timesteps == 144
    last = tables.episodes.groupby("slot")[["start_step", "end_step"]].max()
    assert (last["start_step"] < 100).all()
    assert (last["end_step"] >= 100).all()
    assert tables.exposure["shown"].sum() == tables.episodes["length"].sum()
    assert tables.updates["env_step"].is_monotonic_increasing


def test_all_strategies_meet_the_same_users() -> None:
    world = uneven()
    recorder = Recorder(make_env(world, 4), 400)
    model = make_learner(make_spec("kac", parity_vectors()), recorder, luck=0)
    learned = deploy(Deployment(model, learns=True), recorder)
    recorder = Recorder(make_env(world, 4), 400)
    fixed = Greedy(lambda obs: np.tile(np.arange(40.0), (len(obs["history"]), 1)), 40)
    listed = deploy(Deployment(fixed, learns=False), recorder)
    random = serve(world, n_envs=4, budget=400)
    for other in (learned, listed):
        both = random.episodes.merge(other.episodes, on=["slot", "episode"])
        assert len(both) > 20
        assert (both["user_x"] == both["user_y"]).all()
    assert random.episodes["user"].nunique() > 10


@pytest.mark.parametrize("n_envs", [1, 3])
def test_progress_is_told_every_step(n_envs: int) -> None:
    told: list[int] = []
    recorder = Recorder(make_env(uneven(), n_envs), 30, told.append)
    random = RandomRecommender(40, np.random.default_rng(0))
    deploy(Deployment(random, learns=False), recorder)
    assert set(told) == {n_envs}
    assert sum(told) == recorder.env_steps >= 30
