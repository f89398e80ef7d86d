"""KAC and ItemA2C: what they learn, that luck is all that matters, and their files."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.typing import NDArray

from simrec.agents.a2c import ItemA2C
from simrec.agents.adapt import Deployment
from simrec.agents.baselines import RandomRecommender
from simrec.agents.kac import KAC, ramp
from simrec.agents.learners import Learner, LearnerName, make_learner
from simrec.agents.policy import ItemPolicy
from simrec.deploy import Recorder, Tables, deploy
from tests.agent_worlds import checkerboard, favourites, make_env, make_spec, parity_vectors

LEARNERS: tuple[LearnerName, ...] = ("kac", "a2c")


def learn(
    name: LearnerName, budget: int, *, luck: int = 0, slate_size: int = 1, world: Any = None
) -> tuple[Learner, Tables]:
    """Let a learner serve a checkerboard world from nothing."""
    env = make_env(world or checkerboard(), 32, slate_size=slate_size)
    recorder = Recorder(env, budget)
    model = make_learner(make_spec(name, parity_vectors()), recorder, luck=luck)
    return model, deploy(Deployment(model, learns=True), recorder)


def late(tables: Tables, budget: int) -> float:
    """Mean clicks of the sessions that start in the last fifth of the run."""
    episodes = tables.episodes
    return float(episodes.loc[episodes["start_step"] >= 0.8 * budget, "reward"].mean())


def serve(recommender: Any, world: Any, budget: int) -> Tables:
    recorder = Recorder(make_env(world, 32), budget)
    return deploy(Deployment(recommender, learns=False), recorder)


# ---- what they learn ----


def test_kac_comes_near_the_oracle_on_a_checkerboard() -> None:
    # An oracle shows the 18 unseen items of the user's kind: 10 * s(6) = 9.975 clicks a session.
    # Half of the unseen items are of that kind, so chance has 10 * (s(6) + s(-6)) / 2 = 5.
    budget = 12_800
    chance = serve(RandomRecommender(40, np.random.default_rng(0)), checkerboard(), 6400)
    assert chance.episodes["reward"].mean() == pytest.approx(5.0, abs=0.15)  # 3 standard errors
    _, tables = learn("kac", budget)
    assert late(tables, budget) >= 0.8 * 9.975


def test_a2c_finds_what_everybody_likes() -> None:
    # Five items of forty are liked (s(4) = .982), the others not (.018). In sessions of five steps
    # the oracle has 4.91 clicks, chance 5 * (5 * .982 + 35 * .018) / 40 = 0.69.
    budget = 25_600
    chance = serve(RandomRecommender(40, np.random.default_rng(0)), favourites(), 6400)
    assert chance.episodes["reward"].mean() == pytest.approx(0.69, abs=0.08)
    vectors = np.random.default_rng(0).normal(size=(40, 8)).astype(np.float32)
    recorder = Recorder(make_env(favourites(), 32), budget)
    model = make_learner(make_spec("a2c", vectors, free=True), recorder, luck=0)
    tables = deploy(Deployment(model, learns=True), recorder)
    assert late(tables, budget) > 2.0


# ---- luck ----


@pytest.mark.parametrize("name", LEARNERS)
def test_the_same_seed_gives_the_same_episodes_whatever_the_global_luck(name: LearnerName) -> None:
    tables = []
    for other in (1, 2):
        torch.manual_seed(other)
        np.random.seed(other)  # noqa: NPY002
        tables.append(learn(name, 1600, luck=3)[1])
    for part in ("episodes", "updates", "exposure", "steps"):
        pd.testing.assert_frame_equal(
            getattr(tables[0], part), getattr(tables[1], part), check_exact=True
        )
    assert not learn(name, 1600, luck=4)[1].exposure.equals(tables[0].exposure)


# ---- schedules ----


def test_ramp_by_hand() -> None:
    assert [ramp(p, 0.2) for p in (0.0, 0.05, 0.2, 1.0)] == [0.0, 0.25, 1.0, 1.0]
    assert ramp(0.0, 0.0) == 1.0  # a schedule without length is over at once


def with_prior(name: LearnerName, env: Any, **settings: Any) -> Learner:
    spec = make_spec(name, parity_vectors(), **settings)
    prior = ItemPolicy(env.observation_space, env.action_space, lambda _: 0.0, **spec.policy)
    return make_learner(spec, env, luck=0, prior=prior)


@pytest.mark.parametrize(
    ("progress", "temperature", "alpha"),
    [
        # tau = .2 * (.08 / .2)^(progress / .2) up to progress .2; alpha = 1 - progress / .1
        (0.0, 0.2, 1.0),
        (0.05, 0.2 * 0.4**0.25, 0.5),
        (0.1, 0.2 * 0.4**0.5, 0.0),
        (1.0, 0.08, 0.0),
        (1.2, 0.08, 0.0),  # the last rollout may go past the budget
    ],
)
def test_schedules_of_kac_by_hand(progress: float, temperature: float, alpha: float) -> None:
    model = with_prior("kac", make_env(checkerboard()))
    assert isinstance(model, KAC)
    model._follow_schedules(progress)
    assert float(model.policy.temperature) == pytest.approx(temperature, rel=1e-5)
    assert float(model.policy.alpha) == pytest.approx(alpha, abs=1e-6)


def test_kac_follows_its_schedules_while_it_learns() -> None:
    # 40 vector steps of 8 users; an update every 4 vector steps, so progress is 0.1, 0.2, ...
    recorder = Recorder(make_env(checkerboard()), 320)
    model = with_prior("kac", recorder, rollout_steps=4, temperature_share=0.5, prior_share=0.4)
    updates = deploy(Deployment(model, learns=True), recorder).updates
    progress = updates["env_step"].to_numpy() / 320
    assert progress.tolist() == pytest.approx(np.arange(1, 11) / 10)
    cooled = np.minimum(progress / 0.5, 1.0)
    np.testing.assert_allclose(updates["temperature"], 0.2 * 0.4**cooled, rtol=1e-5)
    np.testing.assert_allclose(updates["alpha"], np.maximum(1 - progress / 0.4, 0), atol=1e-6)


def test_a2c_lets_the_prior_go() -> None:
    recorder = Recorder(make_env(checkerboard()), 320)
    model = with_prior("a2c", recorder, n_steps=4, prior_share=0.4)
    assert float(model.policy.alpha) == 1.0
    updates = deploy(Deployment(model, learns=True), recorder).updates
    progress = updates["env_step"].to_numpy() / 320
    np.testing.assert_allclose(updates["alpha"], np.maximum(1 - progress / 0.4, 0), atol=1e-6)


def test_the_learning_rate_falls_and_never_below_its_end_even_past_the_budget() -> None:
    # One rollout is 12 * 8 = 96 env steps, far more than the budget of 10.
    env = make_env(checkerboard())
    model = make_learner(make_spec("kac", parity_vectors()), env, luck=0)
    assert [model.lr_schedule(left) for left in (1.0, 0.5, 0.0)] == pytest.approx(
        [5e-3, 3e-3, 1e-3]
    )
    model.learn(10)
    assert model.num_timesteps == 96
    assert [g["lr"] for g in model.policy.optimizer.param_groups] == [pytest.approx(1e-3)]


# ---- files ----


def likes(model: Any, obs: Any) -> NDArray[Any]:
    model.policy.reseed(11)
    return np.stack([model.predict(obs)[0] for _ in range(3)])


@pytest.mark.parametrize("name", LEARNERS)
def test_a_saved_learner_predicts_the_same_after_loading(name: LearnerName, tmp_path: Path) -> None:
    env = make_env(checkerboard(), 32)
    model = with_prior(name, env)
    model.learn(640)
    model.save(tmp_path / "model.zip")
    again = type(model).load(tmp_path / "model.zip")
    assert isinstance(again, KAC if name == "kac" else ItemA2C)
    obs = env.reset()
    assert likes(again, obs).tobytes() == likes(model, obs).tobytes()
    for key, value in model.policy.state_dict().items():
        assert torch.equal(value, again.policy.state_dict()[key]), key


@pytest.mark.parametrize("name", LEARNERS)
def test_a_loaded_learner_can_go_on_learning(name: LearnerName, tmp_path: Path) -> None:
    model, _ = learn(name, 640)
    model.save(tmp_path / "model.zip")
    again = type(model).load(tmp_path / "model.zip", env=make_env(checkerboard(), 32))
    again.learn(640)
    before, after = model.policy.scorer.state_dict(), again.policy.scorer.state_dict()
    assert not torch.equal(before["item.weight"], after["item.weight"])


# ---- slates ----


@pytest.mark.parametrize("name", LEARNERS)
def test_learners_of_slates_show_three_different_unseen_items(name: LearnerName) -> None:
    # 40 items, 4 known and at most 5 * 3 shown: a repeated item would show up in `steps`.
    _, tables = learn(name, 960, slate_size=3, world=checkerboard(horizon=5))
    shown = tables.steps.groupby(["slot", "episode"])["item"]
    assert (shown.size() == 15).all()
    assert (shown.nunique() == 15).all()
    assert len(tables.updates) >= 2
    assert np.isfinite(tables.updates.to_numpy()).all()
