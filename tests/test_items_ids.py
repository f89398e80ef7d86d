"""Semantic IDs: unique tuples, masks without dead ends, codes that are used, noise that fades."""

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from simrec.errors import SimrecError
from simrec.items.learnt_ids import IdSettings, NextCode, learn_ids
from simrec.items.quantiser import QuantisedAutoencoder, ResidualQuantiser
from simrec.items.rq_kmeans import kmeans, rebuild, residual_kmeans
from simrec.items.semantic_ids import SemanticIds, code_report, normalised_information
from simrec.items.sequences import leave_one_out
from tests.item_worlds import planted


def _clustered(n: int = 240, clusters: int = 12, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    label = np.arange(n) % clusters
    rows = rng.normal(size=(clusters, 8))[label] + 0.05 * rng.normal(size=(n, 8))
    return ((rows - rows.mean(0)) / rows.std(0)).astype(np.float32), label


def _rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_ids_by_hand():
    codes = np.array([[0, 1], [0, 1], [2, 0], [0, 0]])
    ids = SemanticIds.from_codes(codes, 3)
    assert ids.codes.tolist() == [[0, 1, 0], [0, 1, 1], [2, 0, 0], [0, 0, 0]]
    assert ids.sizes == (3, 3, 2)
    assert ids.allowed([]).tolist() == [True, False, True]
    assert ids.allowed([0]).tolist() == [True, True, False]
    assert ids.allowed([0, 1]).tolist() == [True, True]
    assert ids.item([0, 1, 1]) == 1
    with pytest.raises(SimrecError, match=r"no item has the semantic id \(1, 0, 0\)"):
        ids.item([1, 0, 0])
    with pytest.raises(SimrecError, match=r"no item begins with \(1,\)"):
        ids.allowed([1])
    # code 1 does not begin any id; its centre is nearer to that of code 2
    centres = [np.array([[0.0], [7.0], [9.0]]), np.array([[0.0], [1.0], [2.0]])]
    assert ids.nearest_item([1, 2, 1], centres) == 2
    report = code_report(ids, np.eye(4, dtype=np.float32), np.eye(4, dtype=np.float32))
    entropy = -(0.75 * math.log(0.75) + 0.25 * math.log(0.25))
    assert report.perplexity == pytest.approx((math.exp(entropy), 2.0))
    assert report.collisions == 0.5 and report.error == 0.0


def test_every_walk_that_follows_the_masks_ends_at_an_item_and_all_items_are_reached():
    vectors, _ = _clustered()
    codes, centres = residual_kmeans(vectors, levels=2, size=8, seed=1)
    ids = SemanticIds.from_codes(codes, 8)
    assert len({tuple(c) for c in ids.codes.tolist()}) == len(vectors)
    reached = []
    for a in np.flatnonzero(ids.allowed([])):
        for b in np.flatnonzero(ids.allowed([a])):
            reached += [ids.item([a, b, c]) for c in np.flatnonzero(ids.allowed([a, b]))]
    assert sorted(reached) == list(range(len(vectors)))
    for code in itertools.product(*(range(size) for size in ids.sizes)):
        ids.nearest_item(code, centres)  # any action means an item
    for row in (0, 17, 101):
        assert ids.nearest_item(ids.codes[row], centres) == row


def test_kmeans_finds_two_lumps_and_residuals_shrink():
    rows = np.array([[0.0], [1.0], [10.0], [11.0]])
    centres, code = kmeans(rows, 2, np.random.default_rng(0))
    assert sorted(centres.ravel()) == [0.5, 10.5]
    assert code[0] == code[1] != code[2] == code[3]
    vectors, _ = _clustered()
    codes, centres = residual_kmeans(vectors, levels=3, size=8, seed=1)
    errors = [
        ((vectors - rebuild(codes[:, :level], centres[:level])) ** 2).sum(1).mean()
        for level in (1, 2, 3)
    ]
    assert errors[0] > errors[1] > errors[2]
    again, _ = residual_kmeans(vectors, levels=3, size=8, seed=1)
    np.testing.assert_array_equal(codes, again)
    with pytest.raises(SimrecError, match="300 codes were asked for 240 items"):
        residual_kmeans(vectors, size=300)


def test_information_between_codes_and_categories():
    assert normalised_information(np.array([0, 0, 1, 1]), np.array([5, 5, 9, 9])) == 1.0
    assert normalised_information(np.array([0, 1, 0, 1]), np.array([5, 5, 9, 9])) == pytest.approx(
        0
    )
    vectors, label = _clustered()
    codes, _ = residual_kmeans(vectors, levels=1, size=12, seed=0)
    assert normalised_information(codes[:, 0], label) > 0.85


def test_the_noisy_step_is_hard_forward_and_soft_backward():
    quantiser = ResidualQuantiser(4, rng=_rng(), levels=2, size=5, noise="constant")
    z = torch.randn(6, 4, generator=_rng(1)).requires_grad_()
    out = quantiser(z)
    assert torch.equal(out.weights.detach().round(), out.weights.detach().round().clamp(0, 1))
    torch.testing.assert_close(out.weights.sum(2), torch.ones(6, 2))
    chosen = torch.stack([quantiser.codebooks[k][out.codes[:, k]] for k in range(2)]).sum(0)
    torch.testing.assert_close(out.vector, chosen)
    (out.weights[:, 0, 0].sum()).backward()
    assert z.grad is not None and z.grad.abs().sum() > 0
    quantiser.eval()
    assert torch.equal(quantiser(z).codes, quantiser(z).codes)  # no noise when it is judged
    with pytest.raises(SimrecError, match="there is no noise 'sdu'"):
        ResidualQuantiser(4, rng=_rng(), noise="sdu")


def test_sdud_comes_to_rest_where_its_formula_says():
    quantiser = ResidualQuantiser(2, rng=_rng(), size=3, noise="sdud", lam=1.7)
    for loss, rest in ((9.0, 3 - 1.7), (1.7**2, 0.0)):
        optimiser = torch.optim.Adam([quantiser.scale], lr=0.02)
        for _ in range(800):
            value = quantiser.uncertainty_loss(torch.tensor(loss))
            optimiser.zero_grad()
            value.backward()
            optimiser.step()
        assert max(quantiser.scale.item(), 0.0) == pytest.approx(rest, abs=0.03)


def test_frqud_gives_noise_to_overused_codes_only():
    quantiser = ResidualQuantiser(2, rng=_rng(), size=4, noise="frqud")
    with torch.no_grad():
        quantiser.usage[:] = torch.tensor([0.7, 0.1, 0.1, 0.1])
    strength = quantiser._strength(torch.tensor([0, 1, 0, 3]))
    assert strength.ravel().tolist() == [1.0, 0.0, 1.0, 0.0]


def test_next_code_loss_reaches_encoder_and_codebooks():
    rng = _rng()
    coder = QuantisedAutoencoder(
        6, ResidualQuantiser(4, rng=rng, levels=2, size=5, noise="constant"), rng=rng
    )
    model = NextCode(2, 5, 4, 3, rng)
    coded = coder(torch.randn(7, 6, generator=rng))[1]
    model.loss(
        coded.weights, torch.tensor([[-1, 0, 1], [2, 3, 4]]), torch.tensor([5, 6])
    ).backward()
    assert coder.encoder[0].weight.grad.abs().sum() > 0
    assert coder.quantiser.codebooks.grad.abs().sum() > 0


def test_noise_keeps_codes_in_use_where_the_plain_step_collapses():
    vectors, _ = _clustered()
    used = {}
    for noise in ("none", "constant"):
        quantiser = ResidualQuantiser(8, rng=_rng(3), levels=1, size=12, noise=noise)
        with torch.no_grad():  # a poor start: all codes but one far from every item
            quantiser.codebooks += 2.5
            quantiser.codebooks[0, 0] = 0.0
        optimiser = torch.optim.Adam(quantiser.parameters(), lr=0.03)
        x = torch.from_numpy(vectors)
        for _ in range(150):
            out = quantiser(x)
            loss = ((out.vector - x) ** 2).sum(1).mean() + out.loss
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        quantiser.eval()
        used[noise] = len(torch.unique(quantiser(x).codes))
    assert used["none"] == 1 and used["constant"] >= 4


@pytest.mark.parametrize("noise", ["none", "sdud", "frqud"])
def test_learnt_ids_are_unique_repeatable_and_used(noise: str):
    vectors, label = _clustered()
    settings = IdSettings(levels=2, size=12, width=8, noise=noise, epochs=12, batch=32)
    settings = replace(settings, learning_rate=5e-3)
    learnt = learn_ids(vectors, settings)
    report = code_report(learnt.ids, vectors, learnt.rebuilt)
    assert len({tuple(c) for c in learnt.ids.codes.tolist()}) == len(vectors)
    assert report.perplexity[0] > 4 and report.error < 0.9
    assert normalised_information(learnt.ids.codes[:, 0], label) > 0.5
    again = learn_ids(vectors, settings)
    np.testing.assert_array_equal(learnt.ids.codes, again.ids.codes)
    assert learnt.drift == again.drift and len(learnt.drift) == 12


def test_ids_are_learnt_together_with_what_comes_next():
    states, _, log = planted(120, 60, 8)
    task = leave_one_out(log, history=5)
    settings = IdSettings(levels=2, size=8, width=16, noise="sdud", epochs=4, batch=32)
    learnt = learn_ids(states["text"][:, -1], settings, task)
    assert (
        learnt.ids.codes.shape == (60, 3)
        and min(code_report(learnt.ids, states["text"][:, -1], learnt.rebuilt).perplexity) > 1.5
    )
