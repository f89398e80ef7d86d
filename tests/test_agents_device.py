"""Where a learner runs; and that what is not compiled says what the compiled says."""

import math
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from simrec.agents import losses
from simrec.agents.adamw import AdamW
from simrec.agents.chosen import ChosenScores, scored_plainly
from simrec.agents.device import device_of
from simrec.agents.encoders import EncoderName
from simrec.agents.history import hide_seen
from simrec.agents.learners import make_learner
from simrec.agents.pooling import Pooled, pooled_plainly
from simrec.agents.reward import RewardModel
from simrec.agents.scorer import ItemScorer
from simrec.agents.slate import _draw, drawn_plainly, sample_slates, slate_log_prob
from simrec.cli import main
from simrec.config import StudyConfig
from simrec.errors import SimrecError
from simrec.stages.inputs import Inputs
from tests.agent_worlds import checkerboard, make_env, make_spec, parity_vectors, tensors

needs_card = pytest.mark.skipif(
    not torch.cuda.is_available(), reason="PyTorch sees no card; run it where there is one"
)
DEMO = str(Path(__file__).parents[1] / "configs" / "demo.yaml")
ON_CPU = "runs on the CPU, for which its"


@pytest.mark.parametrize(
    ("wanted", "cards", "learner", "head", "found"),
    [
        ("auto", 0, "a2c", "flat", "cpu"),
        ("auto", 0, "kac", "flat", "cpu"),
        ("auto", 2, "a2c", "flat", "cuda"),
        ("auto", 2, "ppo", "flat", "cuda"),
        ("auto", 2, "kac", "flat", "cpu"),
        ("auto", 2, "a2c", "two-level", "cpu"),
        ("cpu", 2, "a2c", "flat", "cpu"),
        ("cpu", 2, "kac", "flat", "cpu"),
        ("cuda", 1, "a2c", "flat", "cuda"),
        ("cuda:1", 2, "ppo", "flat", "cuda:1"),
        ("cuda", 0, "a2c", "flat", "is 'cuda', but PyTorch sees no card; set learner.device: auto"),
        ("cuda:1", 1, "a2c", "flat", "sees 1 card, counted from 0; set learner.device: cuda"),
        ("cuda:2", 2, "a2c", "flat", "sees 2 cards, counted from 0; set learner.device: cuda"),
        ("cuda", 1, "kac", "flat", f"learner 'kac' {ON_CPU} steps are compiled; set learner.devi"),
        ("cuda", 1, "a2c", "two-level", f"the two-level policy {ON_CPU} scores are compiled; set"),
    ],
)
def test_which_device(
    wanted: str, cards: int, learner: str, head: str, found: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cards > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: cards)
    if " " not in found:
        assert str(device_of(wanted, learner, head)) == found
        return
    with pytest.raises(SimrecError) as error:
        device_of(wanted, learner, head)
    assert found in str(error.value)


@pytest.mark.parametrize(
    ("device", "said"),
    [
        ("cuda", "learner.device is 'cuda', but learner 'kac' runs on the CPU"),
        ("gpu", "'learner.device' is 'gpu'; value error, expected auto, cpu, cuda or cuda:N"),
    ],
)
def test_a_device_that_cannot_be_had_is_one_sentence(
    device: str,
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    told = ["run", DEMO, "--set", f"learner.device={device}", "--runs", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", ["simrec", *told])
    with pytest.raises(SystemExit) as end:
        main()
    captured = capsys.readouterr()
    assert end.value.code == 2
    assert said in captured.err
    assert captured.err.count("\n") == 1


def test_a_device_is_in_no_key_and_reaches_the_workers() -> None:
    plain = StudyConfig.model_validate({"study": "s", "data": {"name": "toy"}})
    named = StudyConfig.model_validate(
        {"study": "s", "data": {"name": "toy"}, "learner": {"device": "cpu"}}
    )
    keys = [
        (of.run_key("ap", 1), of.policy_key(1, False))
        for of in (Inputs(config, Path("runs")) for config in (plain, named))
    ]
    assert keys[0] == keys[1]
    assert "device" not in plain.model_dump()["learner"]
    assert StudyConfig.model_validate_json(named.model_dump_json()).learner.device == "cpu"


def test_pooling_in_plain_operations_is_the_compiled_pooling() -> None:
    luck = torch.Generator().manual_seed(1)
    items = torch.randint(-1, 12, (40, 9), generator=luck)
    items[0] = -1  # nothing met
    feedback = torch.rand(40, 9, generator=luck) * (items >= 0)
    in_session = torch.randint(0, 10, (40,), generator=luck)
    weight = torch.randn(40, 3 * 4 + 3, generator=luck)
    found = []
    for plainly in (False, True):
        table = torch.randn(12, 4, generator=torch.Generator().manual_seed(2)).requires_grad_()
        if plainly:
            pooled = pooled_plainly(table, items, feedback, in_session, 5, 4)
        else:
            read = (items.numpy(), feedback.numpy(), in_session.numpy())
            pooled = Pooled.apply(table, *read, 5, 4)
        (pooled * weight).sum().backward()
        found.append((pooled.detach(), table.grad))
    for compiled, plain in zip(*found, strict=True):
        torch.testing.assert_close(plain, compiled, rtol=1e-5, atol=1e-5)


def test_scores_of_what_was_shown_in_plain_operations() -> None:
    luck = torch.Generator().manual_seed(1)
    parts = [torch.randn(*shape, generator=luck) for shape in ((9, 4), (12, 4), (12,))]
    items = torch.randint(0, 12, (9, 3), generator=luck)
    weight = torch.randn(9, 3, generator=luck)
    found = []
    for scores_of in (ChosenScores.apply, scored_plainly):
        leaves = [part.clone().requires_grad_() for part in parts]
        scores = scores_of(*leaves, items)
        (scores * weight).sum().backward()
        found.append([scores.detach(), *(leaf.grad for leaf in leaves)])
    for compiled, plain in zip(*found, strict=True):
        torch.testing.assert_close(plain, compiled, rtol=1e-5, atol=1e-5)


def test_the_same_luck_draws_the_same_items_in_plain_operations() -> None:
    # cumulative .25, .25, .75, 1: u .2 -> 0; .25 -> 2 (0 has all below it); .74 -> 2; .99 -> 3
    paper = torch.tensor([[0.25, 0.0, 0.5, 0.25]] * 4)
    u = torch.tensor([0.2, 0.25, 0.74, 0.99], dtype=torch.float64)
    assert drawn_plainly(paper, u).tolist() == [0, 2, 2, 3]
    # what rounding leaves over falls to the last item that is possible at all
    short = torch.tensor([[0.5, 0.25, 0.0]])
    assert drawn_plainly(short, torch.tensor([0.9], dtype=torch.float64)).tolist() == [1]
    luck = torch.Generator().manual_seed(4)
    logits = 3.0 * torch.randn(500, 40, generator=luck)
    logits[torch.rand(500, 40, generator=luck) < 0.3] = -torch.inf
    probs, many = logits.softmax(1), torch.rand(500, generator=luck, dtype=torch.float64)
    assert drawn_plainly(probs, many).tolist() == _draw(probs.numpy(), many.numpy()).tolist()


@pytest.mark.parametrize("encoder", ["pooled", "sasrec"])
def test_a_scorer_elsewhere_asks_nothing_of_the_cpu(encoder: EncoderName) -> None:
    """PyTorch's meta device has shapes only: whatever is mixed with the CPU's tensors fails."""
    luck = torch.Generator().manual_seed(0)
    scorer = ItemScorer(
        7, 50, width=8, free_vectors=True, slate_size=1, generator=luck, encoder=encoder
    ).to("meta")
    there = {"dtype": torch.long, "device": "meta"}
    obs = {
        "history": torch.zeros(5, 20, **there),
        "feedback": torch.zeros(5, 20, device="meta"),
        "step": torch.zeros(5, 1, **there),
    }
    vectors, slates = torch.zeros(50, 7, device="meta"), torch.zeros(5, 3, **there)
    logits = hide_seen(scorer(obs, vectors)[0], obs["history"])
    q, level = scorer.at(obs, vectors, slates)
    loss = losses.click_loss(q + level.unsqueeze(1), torch.zeros_like(q), torch.ones_like(q))
    (loss + slate_log_prob(logits, slates).sum()).backward()
    AdamW(scorer.parameters(), lr=1e-3).step()
    for k in (1, 3):
        assert sample_slates(logits, k, generator=luck).shape == (5, k)


def test_the_optimiser_in_plain_operations_is_the_compiled_one() -> None:
    class Plain(AdamW):
        _compiled = False

    found = []
    for kind in (AdamW, Plain):
        luck = torch.Generator().manual_seed(5)
        weight = torch.randn(6, 3, generator=luck).requires_grad_()
        optimizer = kind([{"params": [weight], "weight_decay": 0.5}], lr=0.01)
        norms = []
        for _ in range(3):
            weight.grad = torch.randn(6, 3, generator=luck)
            norms.append(optimizer.clip(1.0))
            before = weight._version
            optimizer.step()
            assert weight._version > before  # what `Kept` looks at
        found.append((weight.detach(), torch.tensor(norms)))
    for compiled, plain in zip(*found, strict=True):
        torch.testing.assert_close(plain, compiled, rtol=1e-5, atol=1e-6)


@needs_card
def test_a_card_learns_what_the_cpu_learns() -> None:
    found = []
    for device in ("cpu", "cuda"):
        spec = make_spec("a2c", parity_vectors(), free=True)
        spec = type(spec)(spec.name, spec.policy, {"n_steps": 5}, device=device)
        env = make_env(checkerboard(), n_envs=64)
        model = make_learner(spec, env, luck=3)
        assert model.device.type == device
        model.learn(64 * 5 * 4)  # four updates: later a last digit may have changed a draw
        obs = {k: v.to(device) for k, v in tensors(env.reset()).items()}
        with torch.no_grad():
            found.append(model.policy.log_probs(obs).cpu().exp())
    torch.testing.assert_close(found[1], found[0], rtol=0.0, atol=1e-2)


@needs_card
def test_a_reward_on_a_card_speaks_and_is_saved_as_on_the_cpu(tmp_path: Path) -> None:
    model = RewardModel(parity_vectors(), width=8, free_vectors=True, luck=1)
    items = np.array([[-1, 3, 4], [1, 2, 5]])
    liked = np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 1.0]], dtype=np.float32)
    said = model.predict(items, liked)
    there = model.to("cuda")
    np.testing.assert_allclose(there.predict(items, liked), said, rtol=1e-4, atol=1e-5)
    there.save(tmp_path / "reward.pt")
    again = RewardModel.load(tmp_path / "reward.pt")
    assert again.device.type == "cpu" and math.isclose(
        float(again.predict(items, liked)[0, 0]), float(said[0, 0]), rel_tol=1e-4, abs_tol=1e-5
    )
