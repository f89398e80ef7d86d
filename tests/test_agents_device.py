"""Where a learner runs; and that what is not compiled says what the compiled says.

Learning on a card itself is tested in test_agents_card.py.
"""

import sys
from pathlib import Path

import pytest
import torch

from simrec.agents.adamw import AdamW
from simrec.agents.chosen import ChosenScores, scored_plainly
from simrec.agents.device import device_of
from simrec.agents.pooling import Pooled, pooled_plainly
from simrec.agents.slate import _draw, drawn_plainly
from simrec.cli import main
from simrec.config import StudyConfig
from simrec.errors import SimrecError
from simrec.stages.inputs import Inputs

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
        ("gpu", "'learner.device' is 'gpu'; expected auto, cpu, cuda or cuda:N"),
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
