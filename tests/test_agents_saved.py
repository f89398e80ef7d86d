"""Trained policies outside a study: the same ranking, one catalogue, exact sentences, no pickle."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import simrec
from simrec.agents.a2c import ItemA2C
from simrec.agents.adaptive_pair import GuidedPair
from simrec.agents.averaged import Pair
from simrec.agents.expansion import Gated
from simrec.agents.policy import ItemPolicy
from simrec.agents.saved import load_policy, save_policy
from simrec.agents.two_level import TwoLevelPolicy
from simrec.errors import SimrecError
from simrec.items.table import ItemTable
from tests.agent_worlds import checkerboard, make_env, make_spec, opinionated, parity_vectors

IDS = [f"film-{n}" for n in range(40)]


def policy(kind: type[ItemPolicy] = ItemPolicy, *, prior: bool = False, **more: Any) -> ItemPolicy:
    env = make_env(checkerboard(), 2)
    arguments: Any = {**make_spec("kac", parity_vectors(), free=True).policy, **more}
    whole = {**arguments, "prior": arguments} if prior else arguments
    made = opinionated(kind(env.observation_space, env.action_space, lambda _: 1e-3, **whole), 1)
    if made.prior is not None:
        opinionated(made.prior, 2)
    made.temperature.fill_(0.3)
    made.alpha.fill_(0.5)
    return made


@pytest.mark.parametrize(
    "made",
    [
        policy(),
        policy(prior=True),
        policy(Gated, prior=True),
        policy(encoder="gru"),
        policy(Pair),
        policy(GuidedPair, prior=True),
    ],
    ids=["plain", "with a prior", "gated", "gru", "two critics", "two critics with a prior"],
)
def test_a_saved_policy_has_the_same_probabilities(made: ItemPolicy, tmp_path: Path) -> None:
    save_policy(made, IDS, tmp_path / "policy")
    again = simrec.load_policy(tmp_path / "policy").policy
    obs = {
        key: torch.as_tensor(value) for key, value in make_env(checkerboard(), 8).reset().items()
    }  # type: ignore[union-attr]
    with torch.no_grad():
        assert torch.equal(again.log_probs(obs), made.log_probs(obs))
    assert type(again) is type(made)


def test_the_files_are_json_and_safetensors(tmp_path: Path) -> None:
    save_policy(policy(prior=True), IDS, tmp_path / "policy")
    assert sorted(p.name for p in (tmp_path / "policy").iterdir()) == [
        "policy.json",
        "weights.safetensors",
    ]
    about = json.loads((tmp_path / "policy" / "policy.json").read_text())
    assert about["item_ids"] == IDS
    assert about["arguments"]["prior"]["table_fingerprint"] == "0123456789abcdef"


def test_recommendations_are_the_best_items_neither_met_nor_excluded(tmp_path: Path) -> None:
    made = policy()
    save_policy(made, IDS, tmp_path / "policy")
    loaded = load_policy(tmp_path / "policy")
    history = ["film-4", ("film-9", False)]
    everything = loaded.recommend(history, k=38)
    assert set(everything) == set(IDS) - {"film-4", "film-9"}
    length = made.observation_space["history"].shape[0]  # type: ignore[index]
    items, liked = torch.full((1, length), -1), torch.zeros(1, length)
    items[0, -2:], liked[0, -2] = torch.tensor([4, 9]), 1.0
    with torch.no_grad():
        chances = made.log_probs({"history": items, "feedback": liked, "step": torch.zeros(1, 1)})
    assert everything == [IDS[row] for row in chances[0].argsort(descending=True)[:38]]
    rest = loaded.recommend(history, k=3, exclude=everything[:2])
    assert rest == everything[2:5]
    # what does not fit into the history any more is still not recommended again
    long = [f"film-{n}" for n in range(30)]
    assert set(loaded.recommend(long, k=10)) == set(IDS[30:])
    assert loaded.recommend([], k=1)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            {"history": ["film-99"]},
            "item 'film-99' is not in the catalogue this policy was trained on; "
            "did you mean 'film-9'?",
        ),
        (
            {"history": ["film-1"], "k": 40},
            "k is 40; expected 1 to 39, the items that are neither in the history nor excluded",
        ),
        (
            {"history": "film-1"},
            "the history is the text 'film-1'; expected a list of ids or (id, liked) pairs; for "
            "one item write ['film-1']",
        ),
        (
            {"history": [5]},
            "the history holds 5; expected an item id (text) or a pair of an id and whether it was "
            "liked, such as ('12', True)",
        ),
        (
            {"history": [("film-1",)]},
            "the history holds ('film-1',); expected an item id (text) or a pair of an id and "
            "whether it was liked, such as ('12', True)",
        ),
        (
            {"history": None},
            "the history is None; expected a list of ids or (id, liked) pairs; for a new user "
            "write []",
        ),
        (
            {"history": {"film-1": False}},
            "the history is {'film-1': False}; expected a list of ids or (id, liked) pairs; for a "
            "new user write []",
        ),
        ({"history": [], "k": 2.5}, "k is 2.5; expected a whole number of items"),
        ({"history": [], "exclude": "film-1"}, "exclude is 'film-1'; expected a list of item ids"),
        ({"history": [], "exclude": [7]}, "an item id is 7; expected text, for example '7'"),
        (
            {"history": [], "exclude": ["zzz"]},
            "item 'zzz' is not in the catalogue this policy was trained on; its ids are such as "
            "'film-0'",
        ),
        (
            {"history": [], "k": 0},
            "k is 0; expected 1 to 40, the items that are neither in the history nor excluded",
        ),
    ],
)
def test_wrong_wishes_are_refused(arguments: dict[str, Any], sentence: str, tmp_path: Path) -> None:
    save_policy(policy(), IDS, tmp_path / "policy")
    with pytest.raises(SimrecError) as error:
        load_policy(tmp_path / "policy").recommend(**arguments)
    assert str(error.value) == sentence


def table_of(ids: list[str], vectors: Any) -> ItemTable:
    none: Any = np.zeros((len(ids), 0), dtype=np.bool_)
    return ItemTable(tuple(ids), vectors, {}, none, np.zeros(len(ids), dtype=np.float32), {})


@pytest.mark.parametrize(
    ("ids", "columns", "sentence"),
    [
        (
            IDS,
            2,
            "the policy was trained on the same 40 items under another encoder: its table "
            "0123456789abcdef has 3 numbers an item, table {} has 2; encode the items as they "
            "were then, or pretrain again",
        ),
        (
            [*IDS[:-1], "book-1"],
            3,
            "the policy was trained on another catalogue: its table 0123456789abcdef has 40 "
            "items, table {} has 40 and has item 'book-1', unknown to it; load the policy of "
            "this catalogue or pretrain again",
        ),
        (
            IDS[::-1],
            3,
            "the policy was trained on another catalogue: its table 0123456789abcdef has 40 "
            "items, table {} has 40 and has these items in another order; load the policy of "
            "this catalogue or pretrain again",
        ),
    ],
    ids=["encoder", "catalogue", "order"],
)
def test_another_catalogue_or_encoder_is_refused(
    ids: list[str], columns: int, sentence: str, tmp_path: Path
) -> None:
    save_policy(policy(), IDS, tmp_path / "policy")
    table = table_of(ids, parity_vectors()[:, :columns])
    with pytest.raises(SimrecError) as error:
        load_policy(tmp_path / "policy", table)
    assert str(error.value) == sentence.format(table.fingerprint)


def test_a_two_level_policy_is_saved_and_recommends(tmp_path: Path) -> None:
    env = make_env(checkerboard(), 2)
    made = TwoLevelPolicy(
        env.observation_space,
        env.action_space,
        lambda _: 1e-3,
        item_vectors=parity_vectors(),
        table_fingerprint="0123456789abcdef",
        groups=np.arange(40) % 3,
    )
    save_policy(made, IDS, tmp_path / "policy")
    loaded = load_policy(tmp_path / "policy")
    obs = {key: torch.as_tensor(value) for key, value in env.reset().items()}  # type: ignore[union-attr]
    with torch.no_grad():
        assert torch.equal(loaded.policy.log_probs(obs), made.log_probs(obs))
    assert len(set(loaded.recommend(["film-3"], k=39))) == 39
    loaded.to_sb3(tmp_path / "model.zip")
    assert ItemA2C.load(tmp_path / "model.zip", env=env).learn(100).num_timesteps >= 100


def test_a_folder_that_is_no_policy_is_named(tmp_path: Path) -> None:
    with pytest.raises(SimrecError, match=r"cannot read a policy from .*nothing .*runs/STUDY/pol"):
        simrec.load_policy(tmp_path / "nothing")
    save_policy(policy(), IDS, tmp_path / "cut")
    (tmp_path / "cut" / "weights.safetensors").write_bytes(b"short")
    with pytest.raises(SimrecError, match=r"cannot read a policy from .*cut"):
        simrec.load_policy(tmp_path / "cut")
    save_policy(policy(), IDS, tmp_path / "odd")
    about = tmp_path / "odd" / "policy.json"
    whole = about.read_text(encoding="utf-8")
    about.write_text("[]", encoding="utf-8")
    with pytest.raises(SimrecError, match=r"has format None; this simrec reads 1"):
        simrec.load_policy(tmp_path / "odd")
    about.write_text(whole.replace('"film-39"', '"film-39", "film-40"'), encoding="utf-8")
    with pytest.raises(SimrecError, match=r"is damaged: policy.json and weights.safetensors do no"):
        simrec.load_policy(tmp_path / "odd")


def test_an_exported_archive_acts_alike_and_can_learn_on(tmp_path: Path) -> None:
    made = policy()
    save_policy(made, IDS, tmp_path / "policy")
    load_policy(tmp_path / "policy").to_sb3(tmp_path / "model.zip")
    env = make_env(checkerboard(), 8)
    model = ItemA2C.load(tmp_path / "model.zip", env=env)
    obs: Any = make_env(checkerboard(), 8).reset()
    expected, _ = made.predict(obs, deterministic=True)
    assert model.predict(obs, deterministic=True)[0].tolist() == expected.tolist()
    model.learn(200)
    assert model.num_timesteps >= 200


def test_two_policies_in_one_cannot_be_exported(tmp_path: Path) -> None:
    save_policy(policy(Gated, prior=True), IDS, tmp_path / "policy")
    with pytest.raises(SimrecError, match="class Gated acts by two policies"):
        load_policy(tmp_path / "policy").to_sb3(tmp_path / "model.zip")


def test_importing_simrec_loads_no_torch() -> None:
    code = "import sys, simrec; print('torch' in sys.modules, callable(simrec.load_policy))"
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert answer.stdout.split() == ["False", "True"]
