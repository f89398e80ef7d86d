"""What learns on the CPU learns the same on a card: a pretended one here, a real one where it is.

`pytest -m cuda` runs these tests on the real card, with all others that need one.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from simrec.agents.a2c import ItemA2C
from simrec.agents.adapt import get_strategy
from simrec.agents.ialp import pretrain
from simrec.agents.kac import KAC
from simrec.agents.learners import LearnerSpec, make_learner
from simrec.agents.policy import ItemPolicy
from simrec.agents.propensity import chances_of
from simrec.agents.reward import Reward
from simrec.agents.reward_fit import fit_reward
from simrec.agents.saved import load_policy, save_policy
from simrec.agents.strategy import Online
from simrec.agents.two_level import TwoLevelPolicy
from simrec.checkpoint import Checkpoint
from simrec.deploy import Recorder, Underway, UpdateLog, deploy, go_on
from simrec.snapshots import Snapshots
from simrec.stages.noted import FrozenShare
from tests.agent_worlds import TABLE, checkerboard, make_env, opinionated, parity_vectors
from tests.cards import CARDS, REAL, on
from tests.test_agents_reward import VECTORS, histories, planted

USERS, ROLLOUT = 16, 4
BUDGET = 3 * USERS * ROLLOUT  # three updates: later a last digit may have changed a draw
WORLD = checkerboard(horizon=5, patience=2)
Nearly = {"rtol": 0.0, "atol": 1e-2}  # of probabilities that are about 1 / 40 at first


def spec_on(device: str, **settings: Any) -> LearnerSpec:
    policy = {
        "item_vectors": parity_vectors(),
        "table_fingerprint": TABLE,
        "width": 8,
        "free_vectors": True,
    }
    return LearnerSpec("a2c", policy, {"n_steps": ROLLOUT, **settings}, device=device)


def pi_0(recorder: Any, device: str, k: int = 1) -> ItemPolicy:
    """Return a pretrained policy, read from a file onto a device."""
    made = ItemPolicy(
        recorder.observation_space,
        recorder.action_space,
        lambda _: 1e-3,
        **spec_on(device).policy,
    )
    return opinionated(made, 1, spread=0.2).to(device)


def chances(policy: Any) -> torch.Tensor:
    """Return (B, I) what a policy does for the world's first users, on the CPU."""
    obs: Any = make_env(WORLD, USERS).reset()
    with torch.no_grad():
        there = {key: torch.as_tensor(value, device=policy.device) for key, value in obs.items()}
        return policy.log_probs(there).exp().cpu()


def both(card: str, made: Callable[[str], torch.Tensor]) -> None:
    """Check that `made` returns the same for the CPU and for a card."""
    there, here = on(card), made("cpu")
    with there:
        found = made("cuda")
    assert not torch.equal(here, torch.full_like(here, float(here.flatten()[0])))
    torch.testing.assert_close(found, here, **Nearly)


@pytest.mark.parametrize("card", CARDS)
@pytest.mark.parametrize(
    ("encoder", "k"), [("pooled", 1), ("pooled", 3), ("gru", 1), ("sasrec", 1)]
)
def test_a2c_learns_the_same(encoder: str, k: int, card: str) -> None:
    def made(device: str) -> torch.Tensor:
        env = make_env(WORLD, USERS, slate_size=k)
        model = make_learner(spec_on(device, encoder=encoder), env, luck=3)
        assert model.device.type == device
        model.learn(BUDGET)
        return chances(model.policy)

    both(card, made)


SERVED = ("frozen", "ft", "kl-anneal", "frozen-random", "ap-random", "ppo")
ALIKE = ("scratch", "ap", "ap-ann", "ap-residual")  # in what they ask of a place


@pytest.mark.parametrize(
    ("name", "card"),
    [(name, "pretended") for name in SERVED]
    + [pytest.param(name, "real", marks=REAL) for name in (*SERVED, *ALIKE)],
)
def test_strategies_serve_and_learn_the_same(name: str, card: str) -> None:
    """As a study deploys them: chances kept, greedy snapshots, how much of pi_0 is left."""

    def made(device: str) -> torch.Tensor:
        recorder = Recorder(make_env(WORLD, USERS), BUDGET)
        pretrained = pi_0(recorder, device)
        deployment = get_strategy(name)(pretrained, Online(spec_on(device), recorder, luck=5))
        recorder.chances = chances_of(deployment.recommender)
        policy: Any = getattr(deployment.recommender, "policy", deployment.recommender)
        assert policy.device.type == device
        share = None if name == "ppo" else FrozenShare(pretrained)
        greedy = Snapshots(WORLD, USERS, 1, luck=2, budget=BUDGET, sessions=USERS)
        tables = go_on(Underway(deployment, recorder, UpdateLog(share), greedy))
        assert tables.steps["propensity"].between(0.0, 1.0).all() and greedy.rows
        return chances(policy)

    both(card, made)


@pytest.mark.parametrize("card", CARDS)
@pytest.mark.parametrize("members", [1, 2])
def test_reward_and_pretraining_are_the_same(members: int, card: str, tmp_path: Path) -> None:
    alone = members == 1
    more: dict[str, Any] = {"members": members, "pessimism": float(not alone)}
    items, liked = histories()

    def made(device: str) -> torch.Tensor:
        reward, report = fit_reward(
            planted(),
            VECTORS,
            luck=1,
            free_vectors=alone,
            epochs=1,
            weight_decays=[0.0],
            device=device,
            **more,
        )
        assert reward.device.type == device and 0.0 < report.held_out_auc < 1.0
        reward.save(tmp_path / f"{device}.pt")
        policy = {"item_vectors": VECTORS, "table_fingerprint": TABLE, "width": 8}
        spec = LearnerSpec("a2c", policy, {"n_steps": ROLLOUT}, device=device)
        env = make_env(checkerboard(n_items=len(VECTORS)), USERS)
        model = pretrain(spec, reward, env, env_steps=BUDGET, luck=2)
        obs: Any = make_env(checkerboard(n_items=len(VECTORS)), USERS).reset()
        there = {key: torch.as_tensor(value, device=device) for key, value in obs.items()}
        with torch.no_grad():
            acts = model.policy.log_probs(there).exp().cpu()
        said = torch.as_tensor(reward.cautious(items, liked)).sigmoid()
        return torch.cat([said, acts])

    both(card, made)
    again = Reward.load(tmp_path / "cuda.pt")  # without a card, where that is pretended
    assert again.device.type == "cpu"
    here = Reward.load(tmp_path / "cpu.pt").cautious(items, liked)
    np.testing.assert_allclose(again.cautious(items, liked), here, rtol=0.0, atol=1e-2)


class Killed(Exception):
    """Stands for the end of the process."""


class Kept(Checkpoint):
    """A checkpoint that is due whenever asked, and whose second saving is the last thing done."""

    left = 2

    def due(self) -> bool:
        return True

    def save(self, state: Any) -> None:
        super().save(state)
        self.left -= 1
        if self.left == 0:
            raise Killed


@pytest.mark.parametrize("card", CARDS)
def test_a_killed_run_goes_on_on_its_card(card: str, tmp_path: Path) -> None:
    def begun() -> tuple[Any, Recorder]:
        recorder = Recorder(make_env(WORLD, USERS), BUDGET)
        online = Online(spec_on("cuda"), recorder, luck=5)
        return get_strategy("ap")(pi_0(recorder, "cuda"), online), recorder

    with on(card):
        whole = deploy(*begun())
        with pytest.raises(Killed):
            deploy(*begun(), Kept(tmp_path / "run", "key", {}))
        underway = Checkpoint(tmp_path / "run", "key", {}).load()
        assert underway.deployment.recommender.policy.device.type == "cuda"
        assert 0 < underway.recorder.env_steps < BUDGET
        resumed = go_on(underway)
    assert resumed.episodes["reward"].mean() == pytest.approx(
        whole.episodes["reward"].mean(), abs=0.0 if card == "pretended" else 0.2
    )


@pytest.mark.parametrize("card", CARDS)
def test_what_a_card_saved_is_read_without_one(card: str, tmp_path: Path) -> None:
    recorder = Recorder(make_env(WORLD, USERS), BUDGET)
    ids = [f"film-{n}" for n in range(40)]
    with on(card):
        policy = pi_0(recorder, "cuda")
        policy.save(str(tmp_path / "pi_0.zip"))
        save_policy(policy, ids, tmp_path / "folder")
        loaded = load_policy(tmp_path / "folder")
        assert loaded.policy.device.type == "cpu" and len(loaded.recommend(["film-3"], k=5)) == 5
        want = chances(policy)
    for again in (
        ItemPolicy.load(str(tmp_path / "pi_0.zip"), device="cpu"),
        load_policy(tmp_path / "folder").policy,
    ):
        torch.testing.assert_close(chances(again), want, **Nearly)


@pytest.mark.parametrize("card", CARDS)
def test_archives_are_read_onto_what_can_run_them(card: str, tmp_path: Path) -> None:
    """SB3's `load` takes a card where there is one; what is compiled stays on the CPU."""
    made: dict[str, Any] = {}
    env = make_env(WORLD, USERS)
    vectors = {"item_vectors": parity_vectors(), "table_fingerprint": TABLE}
    kinds: Any = (ItemPolicy, TwoLevelPolicy)
    made["kac"] = KAC(kinds[0], env, policy_kwargs=vectors, rollout_steps=4, batch_size=16)
    made["flat"], made["two-level"] = (
        ItemA2C(kind, env, policy_kwargs=vectors, n_steps=ROLLOUT) for kind in kinds
    )
    for name, model in made.items():
        model.learn(BUDGET)
        model.save(tmp_path / name)
    with on(card):
        for name, model in made.items():
            again = type(model).load(tmp_path / name, env=make_env(WORLD, USERS))
            assert again.device.type == ("cuda" if name == "flat" else "cpu"), name
            again.learn(BUDGET, reset_num_timesteps=False)
            again.save(tmp_path / f"{name}-card")
    for name, model in made.items():
        again = type(model).load(tmp_path / f"{name}-card", device="cpu")
        assert again.num_timesteps > BUDGET
