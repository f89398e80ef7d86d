"""Every strategy on learner a2c, or a sentence; the two-level policy in a study; PPO as a rival."""

from pathlib import Path
from typing import Any

import pytest
import torch
from stable_baselines3 import PPO

import simrec
from simrec.agents.adapt import all_strategies, get_strategy
from simrec.agents.categorical import chosen_and_entropy
from simrec.agents.learners import LearnerSpec, check_head, make_learner
from simrec.agents.policy import ItemPolicy
from simrec.agents.strategy import ON_A2C, ON_TWO_LEVELS, OWN_LEARNER, check_learner
from simrec.config import StudyConfig
from simrec.errors import SimrecError
from simrec.progress import bars
from simrec.records import read_run
from simrec.study import run_study
from simrec.testing import check_strategy
from tests.agent_worlds import checkerboard, make_env, make_spec, parity_vectors


@pytest.mark.parametrize("name", sorted(all_strategies()))
def test_a_strategy_runs_on_a2c_or_refuses(name: str) -> None:
    if name in ON_A2C | OWN_LEARNER:
        check_learner(name, "a2c")
        check_strategy(get_strategy(name), learner="a2c", env_steps=320)
        return
    with pytest.raises(SimrecError, match=f"strategy '{name}' steps into learner 'kac', got"):
        check_learner(name, "a2c")
    with pytest.raises(SimrecError, match="steps into learner 'kac', got learner 'a2c'"):
        check_strategy(get_strategy(name), learner="a2c")


def test_a_strategy_that_changes_pi_0_is_found_out() -> None:
    def spoils(pretrained: ItemPolicy, online: Any) -> Any:
        with torch.no_grad():
            next(pretrained.scorer.parameters()).add_(1.0)
        return get_strategy("frozen")(pretrained, online)

    with pytest.raises(AssertionError, match="pi_0 was changed: scorer"):
        check_strategy(spoils)


def test_what_two_levels_cannot_do_is_refused_before_anything_is_made() -> None:
    for name in ON_TWO_LEVELS:
        check_learner(name, "a2c", "two-level")
    with pytest.raises(SimrecError) as error:
        check_learner("ap-shuffled", "a2c", "two-level")
    assert str(error.value) == (
        "strategy 'ap' acts by two policies, which the two-level policy cannot; set "
        "learner.policy: flat or name one of frozen, ft, kl-anneal, scratch"
    )
    with pytest.raises(SimrecError, match=r"is 'two-level' and learner\.name 'kac'"):
        check_head("two-level", "kac", {})
    with pytest.raises(SimrecError, match="settings name an encoder; remove 'encoder'"):
        check_head("two-level", "a2c", {"encoder": "gru"})


def test_weights_of_another_shape_are_refused_in_a_sentence() -> None:
    env = make_env(checkerboard(), 4)
    spec = make_spec("a2c", parity_vectors(), encoder="gru")
    pooled = make_learner(make_spec("a2c", parity_vectors()), env, luck=0).policy
    with pytest.raises(SimrecError) as error:
        make_learner(spec, env, luck=0, initial=pooled)
    assert str(error.value) == (
        "the pretrained policy has encoder 'pooled' and the learner 'gru', so its weights do not "
        "fit; give pretraining and deployment the same, or pretrain again"
    )


def test_old_studies_keep_their_keys_and_the_two_level_policy_has_its_own() -> None:
    def learner(**more: Any) -> dict[str, Any]:
        found = StudyConfig.model_validate({"study": "x", "learner": more}).learner
        return found.model_dump(mode="json")

    assert set(learner()) == {"name", "width", "free_vectors", "free_decay", "settings"}
    assert learner(policy="flat") == learner()
    assert learner(policy="two-level")["policy"] == "two-level"


def test_a_study_with_the_two_level_policy(tmp_path: Path) -> None:
    config = StudyConfig.model_validate(
        {
            "study": "levels",
            "seeds": [240],
            "data": {"name": "toy"},
            "world": {"topics": "topic", "bounds_sessions": 64},
            "teacher": {"encoder": "hashed", "questions_per_user": 1},
            "reward": {"epochs": 1, "weight_decays": [0.0]},
            "learner": {"name": "a2c", "policy": "two-level"},
            "pretrain": {"env_steps": 800},
            "online": {"env_steps": 800, "strategies": ["ft", "kl-anneal"], "controls": []},
        }
    )
    threads = torch.get_num_threads()
    try:
        with bars() as shown:
            run_study(config, tmp_path, bars=shown, say=lambda _: None, workers=1)
    finally:
        torch.set_num_threads(threads)
    run = read_run(tmp_path / "levels" / "ft" / "seed-240")
    assert run.record.config["learner"]["policy"] == "two-level"
    saved = simrec.load_policy(tmp_path / "levels" / "policies" / "ft-seed-240")
    assert type(saved.policy).__name__ == "TwoLevelPolicy"
    assert len(set(saved.recommend([], k=10))) == 10


def test_chosen_and_entropy_are_those_of_autograd() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(6, 9, generator=generator, dtype=torch.float64)
    logits[:, 3] = -torch.inf
    items = torch.tensor([0, 1, 2, 4, 5, 8])
    weight = torch.randn(2, 6, generator=generator, dtype=torch.float64)
    slopes = []
    for ours in (True, False):
        given = logits.clone().requires_grad_()
        if ours:
            chosen, entropy = chosen_and_entropy(given, items)
        else:
            log_probs = given.log_softmax(-1)
            chosen = log_probs.gather(1, items[:, None]).squeeze(1)
            entropy = -(log_probs.exp() * log_probs.clamp(min=-1e4)).sum(-1)
        (weight[0] * chosen + weight[1] * entropy).sum().backward()
        slopes.append((chosen.detach(), entropy.detach(), given.grad))
    for mine, theirs in zip(*slopes, strict=True):
        torch.testing.assert_close(mine, theirs)
    half = chosen_and_entropy(torch.zeros(1, 2), torch.tensor([1]))
    assert [float(x) for x in half] == pytest.approx([-0.6931472, 0.6931472])


def test_a_gradient_step_in_parts_is_the_step_in_one(monkeypatch: pytest.MonkeyPatch) -> None:
    weights = []
    for at_once in (2**19, 40 * 16):  # all rows, or 16 at a time
        monkeypatch.setattr("simrec.agents.a2c.SCORES_AT_ONCE", at_once)
        monkeypatch.setattr("simrec.agents.a2c.LEAST_ROWS", 1)
        model = make_learner(
            make_spec("a2c", parity_vectors()), make_env(checkerboard(), 8), luck=3
        )
        model.learn(96, log_interval=None)
        weights.append(torch.cat([p.detach().flatten() for p in model.policy.scorer.parameters()]))
    torch.testing.assert_close(*weights, rtol=1e-3, atol=1e-5)


def test_sb3_ppo_learns_with_the_same_policy() -> None:
    spec: LearnerSpec = make_spec("a2c", parity_vectors())
    env = make_env(checkerboard(), 32)
    model = PPO(ItemPolicy, env, n_steps=10, batch_size=320, policy_kwargs=spec.policy, seed=0)  # type: ignore[arg-type]
    model.policy.optimizer.param_groups[0]["lr"] = 3e-3
    model.learn(16_000)
    assert model.ep_info_buffer is not None
    late = [one["r"] for one in model.ep_info_buffer]
    assert sum(late) / len(late) > 6.0  # chance has 5 of 10
