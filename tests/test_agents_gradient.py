"""What is worked out in closed form, or kept, is what autograd and a fresh start would give."""

import copy
from typing import Any

import numpy as np
import pytest
import torch

from simrec.agents import losses
from simrec.agents.adamw import AdamW
from simrec.agents.gradient import click_gradient
from simrec.agents.history import HistoryPooling, Observation, hide_seen, seen_mask
from simrec.agents.kept import Kept
from simrec.agents.scorer import ItemScorer


def histories(luck: torch.Generator, n: int, n_items: int, length: int = 9) -> Observation:
    items = torch.randint(-1, n_items, (n, length), generator=luck)
    items[:, : length // 3] = -1
    return {
        "history": items,
        "feedback": torch.rand(n, length, generator=luck).round() * (items >= 0),
        "step": torch.randint(0, length, (n, 1), generator=luck),
    }


def scorer(luck: torch.Generator, *, free: bool, k: int) -> ItemScorer:
    made = ItemScorer(5, 12, width=4, free_vectors=free, slate_size=k, generator=luck)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=luck))
    return made


@pytest.mark.parametrize(("free", "k"), [(False, 1), (True, 1), (True, 3)])
def test_the_critics_gradient_is_autograds(free: bool, k: int) -> None:
    luck = torch.Generator().manual_seed(3)
    critic = scorer(luck, free=free, k=k)
    vectors = torch.randn(12, 5, generator=luck)
    obs = histories(luck, 40, 12)
    items = torch.randint(0, 12, (40, k), generator=luck)
    targets = torch.rand(40, k, generator=luck)
    weight = (torch.rand(40, k, generator=luck) < 0.8).float()

    q, level = critic.at(obs, vectors, items)
    loss = losses.click_loss(q + level.unsqueeze(1), targets, weight)
    wanted = torch.autograd.grad(loss, list(critic.parameters()))
    found = click_gradient(critic, obs, vectors, items, targets, weight)

    assert found == pytest.approx(loss.item(), rel=1e-5)
    for (name, parameter), gradient in zip(critic.named_parameters(), wanted, strict=True):
        assert parameter.grad is not None, name
        torch.testing.assert_close(parameter.grad, gradient, rtol=1e-4, atol=1e-6, msg=name)


def test_scores_at_items_are_those_of_the_whole_catalogue() -> None:
    luck = torch.Generator().manual_seed(4)
    critic = scorer(luck, free=True, k=1)
    vectors = torch.randn(12, 5, generator=luck)
    obs = histories(luck, 6, 12)
    everything = torch.arange(12).expand(6, 12).contiguous()
    q, level = critic(obs, vectors)
    at, level_at = critic.at(obs, vectors, everything)
    torch.testing.assert_close(at, q)
    torch.testing.assert_close(level_at, level)
    chosen = torch.randn(6, 12, generator=luck)
    of_all = torch.autograd.grad(q, list(critic.parameters()), chosen, allow_unused=True)
    of_at = torch.autograd.grad(at, list(critic.parameters()), chosen, allow_unused=True)
    for one, other in zip(of_all, of_at, strict=True):
        assert (one is None) == (other is None)
        if one is not None and other is not None:
            torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_what_is_kept_follows_the_weights() -> None:
    luck = torch.Generator().manual_seed(5)
    critic = scorer(luck, free=True, k=1)
    vectors = torch.randn(12, 5, generator=luck)
    obs = histories(luck, 6, 12)

    def both() -> tuple[torch.Tensor, torch.Tensor]:
        """Return the scores as they are given out and as a copy, which knows nothing, gives."""
        with torch.no_grad():
            return critic(obs, vectors)[0], copy.deepcopy(critic)(obs, vectors)[0]

    first, fresh = both()
    assert torch.equal(first, fresh)
    q, _ = critic(obs, vectors)
    q.square().sum().backward()
    AdamW(critic.parameters(), lr=0.1).step()
    second, fresh = both()
    assert torch.equal(second, fresh)
    assert not torch.equal(first, second)
    critic.load_state_dict(scorer(luck, free=True, k=1).state_dict())
    third, fresh = both()
    assert torch.equal(third, fresh)
    assert not torch.equal(second, third)
    vectors = vectors + 1.0  # another table
    fourth, fresh = both()
    assert torch.equal(fourth, fresh)
    assert not torch.equal(third, fourth)


def test_nothing_is_kept_where_gradients_are_asked_for() -> None:
    weight = torch.ones(2, requires_grad=True)
    kept = Kept()
    with torch.no_grad():
        plain = kept.get(lambda: 2.0 * weight, [weight])
        assert kept.get(lambda: 2.0 * weight, [weight]) is plain
    assert kept.get(lambda: 2.0 * weight, [weight]).requires_grad


def test_pooling_is_the_means_of_its_rows() -> None:
    luck = torch.Generator().manual_seed(6)
    pool = HistoryPooling(12, 5, 5, free_vectors=False, slate_size=1)
    with torch.no_grad():
        pool.project.weight.copy_(torch.eye(5))
    vectors = torch.randn(12, 5, generator=luck)
    obs = histories(luck, 30, 12)
    obs["feedback"] = torch.rand(30, 9, generator=luck) * (obs["history"] >= 0)  # any share
    found = pool(obs, vectors)
    rows = vectors[obs["history"].clamp(min=0)]
    real = (obs["history"] >= 0).float()
    back = torch.arange(8, -1, -1)
    recent = real * (back < obs["step"].clamp(max=pool.recent))
    kinds = [obs["feedback"], real - obs["feedback"], recent]
    means = [
        (kind.unsqueeze(2) * rows).sum(1) / kind.sum(1, keepdim=True).clamp(min=1.0)
        for kind in kinds
    ]
    torch.testing.assert_close(found[:, :15], torch.cat(means, 1))


def test_hidden_logits_have_the_slope_of_masked_ones() -> None:
    luck = torch.Generator().manual_seed(7)
    logits = torch.randn(20, 12, generator=luck, requires_grad=True)
    items = histories(luck, 20, 12)["history"]
    masked = logits.masked_fill(seen_mask(items, 12), -torch.inf)
    hidden = hide_seen(logits * 1.0, items)
    assert torch.equal(masked, hidden)
    wanted = torch.autograd.grad(losses.entropy(masked.log_softmax(1)), logits)
    found = torch.autograd.grad(losses.entropy(hidden.log_softmax(1)), logits)
    torch.testing.assert_close(found, wanted)
    assert np.isfinite(found[0].numpy()).all()


def test_adamw_is_pytorchs() -> None:
    luck = torch.Generator().manual_seed(8)
    start = [torch.randn(3, 4, generator=luck), torch.randn(5, generator=luck)]
    ours, theirs = ([torch.nn.Parameter(one.clone()) for one in start] for _ in range(2))

    def groups(parameters: list[torch.nn.Parameter]) -> list[dict[str, Any]]:
        return [
            {"params": parameters[:1], "weight_decay": 0.0},
            {"params": parameters[1:], "weight_decay": 1.0},
        ]

    mine, other = AdamW(groups(ours), lr=0.05), torch.optim.AdamW(groups(theirs), lr=0.05)
    for _ in range(20):
        for one, two in zip(ours, theirs, strict=True):
            one.grad = 3.0 * torch.randn(one.shape, generator=luck)
            two.grad = one.grad.clone()
        norm = torch.nn.utils.clip_grad_norm_(theirs, 5.0)
        assert mine.clip(5.0) == pytest.approx(float(norm), rel=1e-5)
        mine.step()
        other.step()
    for one, two in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, two, rtol=1e-5, atol=1e-6)
    assert mine.state_dict().keys() == other.state_dict().keys()
    assert mine.state_dict()["state"][0].keys() == other.state_dict()["state"][0].keys()
