"""Chances of what is shown, and policies judged by them, against the true value."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from simrec.agents.adapt import Online, get_strategy
from simrec.agents.baselines import RandomRecommender
from simrec.agents.expansion import Gated, Mixture, gated_log_probs
from simrec.agents.policy import ItemPolicy
from simrec.agents.propensity import chances_of
from simrec.agents.strategy import Deployment
from simrec.cli import main
from simrec.config import StudyConfig
from simrec.deploy import Recorder, Tables, deploy
from simrec.errors import SimrecError
from simrec.evaluate import judge, logged_sessions
from simrec.progress import bars
from simrec.records import Run, read_run
from simrec.study import run_study
from tests.agent_worlds import (
    TABLE,
    checkerboard,
    make_env,
    make_spec,
    opinionated,
    parity_vectors,
    tensors,
)
from tests.run_folders import RECORD

N = 12  # items


def policy(luck: int, spread: float, slate_size: int = 1) -> ItemPolicy:
    env = make_env(checkerboard(n_items=N, horizon=4), slate_size=slate_size)
    made = ItemPolicy(
        env.observation_space,
        env.action_space,
        lambda _: 0.0,
        item_vectors=parity_vectors(N),
        table_fingerprint=TABLE,
        width=8,
        luck=luck,
    )
    return opinionated(made, luck, spread)


# ---- chances ----


def all_chances(recommender: Any, obs: Any) -> NDArray[np.float64]:
    """The chance of every item (B, I)."""
    ask = chances_of(recommender)
    rows = len(obs["history"])
    return np.stack([ask(obs, np.full((rows, 1), item)) for item in range(N)], axis=1)


@pytest.mark.parametrize("name", ["scratch", "ap", "ap-mix-anneal", "ap-pex", "ap-awr"])
def test_the_chances_of_all_items_are_a_distribution(name: str) -> None:
    recorder = Recorder(make_env(checkerboard(n_items=N), 8), 800)
    spec = make_spec("kac", parity_vectors(N))
    pretrained = opinionated(
        ItemPolicy(recorder.observation_space, recorder.action_space, lambda _: 0.0, **spec.policy),
        1,
        0.3,
    )
    model: Any = get_strategy(name)(pretrained, Online(spec, recorder, luck=5)).recommender
    opinionated(model.policy, 2, 0.3)
    if type(model.policy) is Mixture:
        model.policy.new_share = 0.25
    obs: Any = recorder.reset()
    chances = all_chances(model, obs)
    np.testing.assert_allclose(chances.sum(axis=1), 1.0, atol=1e-6)
    for row, seen in enumerate(obs["history"]):
        assert (chances[row, seen[seen >= 0]] == 0).all()  # what was seen is never shown
    with torch.no_grad():
        state = tensors(obs)
        if isinstance(model.policy, Gated):
            q, _ = model.policy.scorer(state, model.policy.vectors)
            log_new = model.policy.new_logits(state, q).log_softmax(-1)
            expected = gated_log_probs(
                model.policy.prior.log_probs(state), log_new, q, model.policy.gate_temperature
            ).exp()
        elif isinstance(model.policy, Mixture):
            old = model.policy.prior.log_probs(state).exp()
            q, _ = model.policy.scorer(state, model.policy.vectors)
            new = model.policy.new_logits(state, q).softmax(-1)
            expected = 0.25 * new + 0.75 * old
        else:
            expected = model.policy.log_probs(state).exp()
    np.testing.assert_allclose(chances, expected.numpy(), atol=1e-6)


def test_the_chances_of_random_slates_by_hand() -> None:
    obs = {"history": np.array([[-1, 3, 4], [-1, -1, -1]])}
    slates = np.array([[0, 1], [0, 1]])
    found = chances_of(RandomRecommender(N, np.random.default_rng(0), 2))(obs, slates)
    np.testing.assert_allclose(found, [1 / (10 * 9), 1 / (12 * 11)])


def test_a_recommender_without_chances_says_so() -> None:
    with pytest.raises(SimrecError) as error:
        chances_of(object())
    assert str(error.value) == (
        "online.propensities is true, but a object does not know the chance of what it shows; "
        "leave its strategy out, or set online.propensities: false"
    )


# ---- judging ----


def served(recommender: Any, budget: int, slate_size: int = 1, seed: int = 5) -> Tables:
    """Sessions of four steps."""
    env = make_env(checkerboard(n_items=N, horizon=4), 64, slate_size=slate_size, seed=seed)
    recorder = Recorder(env, budget)
    recorder.chances = chances_of(recommender)
    return deploy(Deployment(recommender, learns=False), recorder)


def run_of(tables: Tables) -> Run:
    return Run(Path("made"), RECORD, tables.episodes, tables.updates, tables.exposure, tables.steps)


@pytest.mark.parametrize("slate_size", [1, 2])
def test_every_estimator_meets_the_true_value(slate_size: int) -> None:
    log = logged_sessions(
        run_of(served(policy(1, 0.25, slate_size), 16_000, slate_size)), slate_size
    )
    judged = policy(2, 0.35, slate_size)
    truth = served(judged, 16_000, slate_size, seed=77).episodes["reward"]
    found = judge(log, judged, checkerboard(n_items=N, horizon=4))
    assert found.sessions == len(log.user) >= 4000
    assert abs(found.logged - truth.mean()) > 0.1  # the two policies differ
    assert list(found.values) == ["ips", "snips", "pdis", "dr"][: 4 if slate_size == 1 else 3]
    for name, value in found.values.items():
        error = (value.high - value.low) / 4 + truth.std() / len(truth) ** 0.5
        assert abs(value.mean - truth.mean()) < 3 * error, name
        assert value.high - value.low < 0.5, name
    if slate_size == 1:  # the model helps
        widths = {name: value.high - value.low for name, value in found.values.items()}
        assert widths["dr"] < widths["pdis"] < widths["ips"]


def test_a_policy_judged_by_its_own_sessions_has_what_they_had() -> None:
    same = policy(1, 0.4)
    log = logged_sessions(run_of(served(same, 1000)), 1)
    found = judge(log, same, checkerboard(n_items=N, horizon=4))
    assert found.effective == pytest.approx(found.sessions, rel=1e-6)
    for name in ("ips", "snips", "pdis"):
        assert found.values[name].mean == pytest.approx(found.logged, rel=1e-6)


# ---- in a study ----


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("runs")
    content = {
        "study": "kept",
        "seeds": [210],
        "data": {"name": "toy"},
        "world": {"topics": "topic", "bounds_sessions": 64},
        "teacher": {"encoder": "hashed", "questions_per_user": 2, "label_noise": 0.2},
        "reward": {"epochs": 2, "weight_decays": [0.0]},
        "pretrain": {"env_steps": 1600},
        "online": {
            "env_steps": 3200,
            "strategies": ["frozen", "ap", "ft"],
            "controls": ["random"],
            "propensities": True,
        },
    }
    threads = torch.get_num_threads()
    try:
        with bars() as shown:
            run_study(
                StudyConfig.model_validate(content), root, bars=shown, say=lambda _: None, workers=1
            )
    finally:
        torch.set_num_threads(threads)
    return root / "kept"


def test_a_run_keeps_every_session_with_its_chances(study: Path) -> None:
    for name in ("frozen", "ap", "ft", "random"):
        run = read_run(study / name / "seed-210")
        taught = run.record.teacher.get("name", "")
        assert taught.endswith("+20% flipped") == (name != "random")
        assert run.record.config["online"]["propensities"] is True
        lengths = run.steps.groupby(["slot", "episode"]).size()
        assert len(lengths) == len(run.episodes) and lengths.sum() == run.episodes["length"].sum()
        assert ((run.steps["propensity"] > 0) & (run.steps["propensity"] <= 1)).all()
        found = run.record.notes["measures"]
        assert found["reward_per_session"] == pytest.approx(
            found["reward_per_step"] * found["session_length"]
        )
        assert 0 < found["coverage"] <= 1
        if name == "frozen":
            assert found["frozen_share"] == 1.0
        elif name == "random":
            assert "frozen_share" not in found
        else:
            assert 0 < found["frozen_share"] < 1
            assert 0 < found["policy_entropy"] < np.log(240)
            assert run.updates["frozen_share"].notna().sum() >= 1
            assert found["frozen_share"] == pytest.approx(run.updates["frozen_share"].mean())


def told(study: Path, *arguments: str, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(sys, "argv", ["simrec", "evaluate", *arguments])
    with pytest.raises(SystemExit) as end:
        main()
    return int(end.value.code or 0)


def test_the_command_judges_a_saved_policy(
    study: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    frozen = str(study / "frozen" / "seed-210")
    own = str(study / "policies" / "frozen-seed-210")
    assert told(study, frozen, own, monkeypatch=monkeypatch) == 0
    shown = capsys.readouterr().out
    clicks = read_run(Path(frozen)).episodes["reward"].mean()
    for title in ("importance sampling", "self-normalised", "per decision"):
        assert f"  {title:<20}{clicks:.2f} [" in shown  # its own sessions: every ratio is 1
    assert (
        told(study, frozen, str(study / "policies" / "ft-seed-210"), monkeypatch=monkeypatch) == 0
    )
    assert "sessions" in capsys.readouterr().out


def test_a_run_without_propensities_is_refused(tmp_path: Path) -> None:
    tables = served(policy(1, 0.2), 256)
    run = run_of(tables)
    with pytest.raises(SimrecError) as error:
        logged_sessions(Run(**{**run.__dict__, "steps": run.steps.drop(columns="propensity")}), 1)
    assert str(error.value) == (
        "made kept no propensities; set online.propensities: true in its study and run it again"
    )
