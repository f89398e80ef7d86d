"""Users by one-step diffusion: flipped clicks come back, rows grow, a fit repeats."""

from pathlib import Path

import numpy as np
import pytest
import torch

from simrec.config import load_config
from simrec.envs.diffusion_net import kept_share, noised
from simrec.envs.diffusion_users import (
    DiffusionUsers,
    condition_content,
    fit_diffusion_users,
)
from simrec.envs.spec import WorldSpec
from simrec.envs.vector import RecommendVectorEnv
from simrec.envs.world import Rules, World
from simrec.errors import SimrecError
from simrec.interactions import InteractionLog
from simrec.stages.inputs import Inputs
from simrec.stages.world import describe, prepare_world

USERS, ITEMS, KINDS = 160, 60, 4


def blocks(seed: int = 0):
    """Users like the items of their own kind; each met most of them and some others."""
    rng = np.random.default_rng(seed)
    kind = np.arange(ITEMS) % KINDS
    item = np.stack([rng.choice(ITEMS, 30, replace=False) for _ in range(USERS)])
    liked = kind[item] == (np.arange(USERS) % KINDS)[:, None]
    log = InteractionLog(
        np.repeat(np.arange(USERS), 30).astype(np.int32),
        item.ravel().astype(np.int32),
        np.where(liked, 5.0, 1.0).astype(np.float32).ravel(),
        None,
        "stars",
        tuple(map(str, range(USERS))),
        ITEMS,
    )
    rows = rng.permutation(len(log))
    return log, rng.normal(size=(ITEMS, 5)).astype(np.float32), rows[600:], rows[:600]


@pytest.fixture(scope="module")
def fitted():
    log, content, truth, judge = blocks()
    return fit_diffusion_users(
        log, truth, judge, content, like_at=4.0, seed=0, epochs=100, width=16
    )


def test_noise_by_hand():
    assert kept_share(2).tolist() == [1.0, 0.75, 0.5]
    out = noised(torch.tensor([[1.0, 0.0]]), torch.tensor([[0.64]]), torch.tensor([[1.0, 2.0]]))
    assert out.tolist() == [pytest.approx([0.8 + 0.6, 1.2])]
    rows, content = np.array([[1, 0, 1], [0, 0, 0]], "f4"), np.eye(3, dtype="f4")
    assert condition_content(rows, content).tolist() == [[0.5, 0, 0.5], [0, 0, 0]]


def test_clicks_taken_out_of_a_row_come_back(fitted):
    users, auc = fitted
    assert auc > 0.9
    kind = np.arange(ITEMS) % KINDS
    rng = np.random.default_rng(1)
    rows = (kind[None] == np.arange(KINDS)[:, None]).astype(np.float32)
    for row in range(KINDS):
        own = np.flatnonzero(rows[row])
        gone = rng.choice(own, 5, replace=False)
        rows[row, gone] = 0.0
        score = users.logits(rows[[row]])[0]
        others = np.flatnonzero(kind != row)
        assert (score[gone][:, None] > score[others]).mean() > 0.9


def test_clicks_of_a_session_join_the_row_and_the_population_plays(fitted):
    users, _ = fitted
    state = users.begin(np.array([0, 1]))
    before = state["row"].copy()
    shown = np.array([[5, 6], [7, 8]])
    users.consume(state, shown, np.array([[1, 0], [0, 0]], dtype=np.float32))
    assert state["row"][0, 5] == 1 and (state["row"][1] == before[1]).all()
    whole = users.affinity_of_all(state)
    assert whole.min() >= 0 and whole.max() <= 1
    np.testing.assert_array_equal(users.affinity(state, shown)[1], whole[1, [7, 8]])
    world = World(
        *("diffusion", users, np.ones((ITEMS, 1), dtype=np.float32)),
        *(np.full((USERS, 2), -1), np.zeros((USERS, 2), dtype=np.float32), np.arange(USERS)),
        Rules(horizon=5),
    )
    env = RecommendVectorEnv(world, 16)
    env.reset(seed=0)
    assert sum(env.step(np.full(16, item))[1].sum() for item in range(8)) > 0


def test_a_fit_repeats_and_a_short_log_is_refused():
    log, content, truth, judge = blocks()
    found = [
        fit_diffusion_users(log, truth, judge, content, like_at=4.0, seed=0, epochs=2, width=8)[0]
        for _ in range(2)
    ]
    assert found[0].fingerprint == found[1].fingerprint
    with pytest.raises(SimrecError, match="the truth part has 5 events"):
        fit_diffusion_users(log, truth[:5], judge, content, like_at=4.0, seed=0)


STUDY = """
study: denoised
data: {name: toy}
world: {users: diffusion, bounds_sessions: 64, allow_static: true}
"""


def test_a_study_names_them_and_its_world_is_read_back(tmp_path: Path):
    path = tmp_path / "study.yaml"
    path.write_text(STUDY, encoding="utf-8")
    inputs = Inputs(load_config(path), tmp_path / "runs")
    made = prepare_world(inputs, lambda line: None)
    assert isinstance(made.world.users, DiffusionUsers)
    assert made.fit["model"]["auc"] > 0.55 and np.isnan(made.fit["model"]["rmse"])
    again = World.load(inputs.stage_file("world", inputs.world_key, ""))
    assert again.fingerprint == made.world.fingerprint
    assert any("diffusion model" in line for line in describe(inputs, made))
    with pytest.raises(SimrecError, match="rank is 3, which users 'diffusion' do not read"):
        WorldSpec("toy", users="diffusion", rank=3)
