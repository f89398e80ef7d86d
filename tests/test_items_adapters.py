"""Adapters and fusions: equal to the papers' formulas, blind to what is absent, differentiable."""

import numpy as np
import pytest
import torch

from simrec.errors import SimrecError
from simrec.items.adapters import ADAPTERS, make_adapter
from simrec.items.alignment import alignment_loss, gram_volume
from simrec.items.crossan import CrossAdapter
from simrec.items.fusion import FusionEncoder
from simrec.items.sasrec import SASRec
from simrec.items.side_adapter import SideAdapter, SideBlock, shares


def _rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _items(dims: dict, layers: dict, n: int = 5, seed: int = 1, dtype=torch.float32):
    rng = _rng(seed)
    states = {m: torch.randn(n, layers[m], dims[m], generator=rng, dtype=dtype) for m in dims}
    present = torch.ones(n, len(dims), dtype=torch.bool)
    return states, present


def _stir(module: torch.nn.Module, seed: int = 2) -> None:
    """Move every weight off its special start (zero gates, zero biases)."""
    rng = _rng(seed)
    with torch.no_grad():
        for p in module.parameters():
            p.add_(0.1 * torch.randn(p.shape, generator=rng, dtype=p.dtype))


def test_a_side_block_is_x_plus_up_relu_down_by_hand():
    block = SideBlock(2, 1, 0.0, _rng())
    with torch.no_grad():
        block.down.weight[:] = torch.tensor([[1.0, -1.0]])
        block.up.weight[:] = torch.tensor([[2.0], [3.0]])
    out = block(torch.tensor([[4.0, 1.0], [1.0, 4.0]]))
    assert out.tolist() == [[4 + 6, 1 + 9], [1, 4]]  # relu(3) = 3; relu(-3) = 0


def test_two_equal_towers_are_iisan_as_its_equations_say():
    dims, layers = {"image": 6, "text": 6}, {"image": 3, "text": 3}
    model = SideAdapter(dims, layers, rng=_rng(), width=4, bottleneck=5, dropout=0.0).double()
    _stir(model)
    states, present = _items(dims, layers, dtype=torch.float64)

    def block(b, x):
        down = np.maximum(x @ b.down.weight.detach().numpy().T + b.down.bias.detach().numpy(), 0)
        return x + down @ b.up.weight.detach().numpy().T + b.up.bias.detach().numpy()

    def sigmoid(g):
        return 1 / (1 + np.exp(-g / 0.1))

    h = {m: v.numpy() for m, v in states.items()}
    sides = []
    for m in dims:
        gate = sigmoid(model.intra_gate[m].detach().numpy())
        s = np.zeros((5, 6))
        for k in range(3):
            s = block(model.intra[m][k], gate[k] * h[m][:, k] + (1 - gate[k]) * s)
        sides.append(s)
    z = np.zeros((5, 6))
    gates = model.inter_gate.detach().numpy()
    for k in range(3):
        b = sigmoid(gates[k, 0] - gates[k, 1])  # a softmax of two is a sigmoid of the difference
        z = block(model.inter[k], z + b * h["image"][:, k] + (1 - b) * h["text"][:, k])

    def head(layer, x):
        a, _, b = layer
        x = np.maximum(x @ a.weight.detach().numpy().T + a.bias.detach().numpy(), 0)
        return x @ b.weight.detach().numpy().T + b.bias.detach().numpy()

    vectors = [head(model.heads[m], s) for m, s in zip(dims, sides, strict=True)]
    joined = np.concatenate([*vectors, head(model.inter_head, z)], axis=1)
    expected = joined @ model.fuse.weight.detach().numpy().T + model.fuse.bias.detach().numpy()
    fused, own = model(states, present)
    np.testing.assert_allclose(fused.detach().numpy(), expected, rtol=1e-9)
    np.testing.assert_allclose(own[:, 1].detach().numpy(), vectors[1], rtol=1e-9)


def test_a_deeper_wider_tower_starts_alone_and_is_aligned():
    dims, layers = {"image": 3, "text": 5}, {"image": 2, "text": 4}
    model = SideAdapter(dims, layers, rng=_rng(), width=4, dropout=0.0)
    assert set(model.align) == {"text"} and len(model.inter) == 4 and model.inner == 3
    _stir(model)
    states, present = _items(dims, layers)
    base = model(states, present)[0]
    # the first image state meets the third text state: at step 2 of 0..3
    with torch.no_grad():
        model.inter_gate[:2, 0] += 7.0  # no image there, so its gate has nothing to say
        assert torch.equal(model(states, present)[0], base)
        model.inter_gate[2, 0] += 0.05
        assert not torch.equal(model(states, present)[0], base)


def test_gates_at_their_ends_pick_one_input():
    weight = shares(torch.tensor([[50.0, -50.0, 0.0]]) / 0.1, torch.tensor([[True, True, True]]))
    assert weight.tolist() == [[1.0, 0.0, 0.0]]
    weight = shares(torch.zeros(2, 3), torch.tensor([[True, False, True], [False] * 3]))
    assert weight.tolist() == [[0.5, 0.0, 0.5], [0.0, 0.0, 0.0]]


DIMS, LAYERS = {"text": 6, "image": 4, "audio": 5}, {"text": 3, "image": 1, "audio": 2}


@pytest.mark.parametrize("name", ADAPTERS)
def test_what_is_absent_is_never_read(name: str):
    model = make_adapter(name, DIMS, LAYERS, rng=_rng(), width=8, settings={}).eval()
    _stir(model)
    states, present = _items(DIMS, LAYERS)
    present[0, 0] = present[1, 1] = present[2, 2] = False
    present[3] = False
    fused, own = model(states, present)
    poisoned = {m: v.clone() for m, v in states.items()}
    for column, m in enumerate(DIMS):
        poisoned[m][~present[:, column]] = torch.nan
    again, own_again = model(poisoned, present)
    assert fused.shape == (5, 8) and own.shape == (5, 3, 8)
    assert torch.equal(fused, again) and torch.equal(own, own_again)
    full, _ = model(states, torch.ones_like(present))
    assert not torch.allclose(full[0], fused[0])  # and presence does matter


@pytest.mark.parametrize("name", ADAPTERS)
def test_every_adapter_overfits_one_batch_and_takes_one_modality(name: str):
    model = make_adapter(name, {"text": 6}, {"text": 2}, rng=_rng(), width=8, settings={}).eval()
    states, present = _items({"text": 6}, {"text": 2})
    assert model(states, present)[0].shape == (5, 8)
    model = make_adapter(name, DIMS, LAYERS, rng=_rng(), width=8, settings={}).eval()
    states, present = _items(DIMS, LAYERS)
    want = torch.randn(5, 8, generator=_rng(4))
    optimiser = torch.optim.Adam(model.parameters(), lr=0.02)
    first = last = 0.0
    for _ in range(150):
        loss = ((model(states, present)[0] - want) ** 2).mean()
        last = loss.item()
        first = first or last
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert last < 0.15 * first  # a gate that has closed is a floor


@pytest.mark.parametrize("kind", [SideAdapter, CrossAdapter])
def test_gradients_of_the_adapters_are_right(kind):
    dims, layers = {"a": 3, "b": 4}, {"a": 1, "b": 2}
    model = kind(dims, layers, rng=_rng(), width=2, bottleneck=3, dropout=0.0).double()
    _stir(model)
    states, present = _items(dims, layers, n=2, dtype=torch.float64)
    inputs = tuple(v.requires_grad_() for v in states.values())
    assert torch.autograd.gradcheck(
        lambda *x: model(dict(zip(dims, x, strict=True)), present)[0], inputs
    )


def test_fusions_by_hand():
    dims, layers = {"a": 1, "b": 1}, {"a": 1, "b": 1}
    states = {"a": torch.tensor([[[3.0]]]), "b": torch.tensor([[[5.0]]])}
    present = torch.ones(1, 2, dtype=torch.bool)

    def fused(fusion: str, weight: list, bias: list) -> float:
        model = FusionEncoder(dims, layers, rng=_rng(), width=1, fusion=fusion)
        with torch.no_grad():
            for m in dims:
                model.maps[m].weight.fill_(1.0)
            if len(model.fold):
                model.fold[0].weight[:] = torch.tensor(weight)
                model.fold[0].bias[:] = torch.tensor(bias)
        return model(states, present)[0].item()

    assert fused("sum", [], []) == 8.0
    assert fused("film", [[2.0], [1.0]], [0.0, 1.0]) == 3 * 10 + 6
    assert fused("gated", [[0.0]], [0.0]) == 1.5  # the first, by half
    assert fused("late_gate", [[0.0, 0.0]], [0.0]) == 4.0
    assert fused("late_gate", [[0.0, 0.0]], [100.0]) == 3.0  # the gate at its end picks x


def test_experts_give_an_absent_modality_no_weight():
    model = FusionEncoder(DIMS, LAYERS, rng=_rng(), width=4, fusion="moe")
    states, present = _items(DIMS, LAYERS)
    present[:, 1] = False
    _, own = model(states, present)
    weight = model.experts.weights(own, present)
    assert (weight[:, 1] == 0).all()
    torch.testing.assert_close(weight.sum(1), torch.ones(5))


def test_two_vectors_span_the_sine_of_their_angle():
    pair = torch.tensor([[[2.0, 0.0], [1.0, 1.0]], [[1.0, 0.0], [0.0, 3.0]]])
    torch.testing.assert_close(gram_volume(pair), torch.tensor([0.5**0.5, 1.0]))
    # three vectors: sqrt(1 - a^2 - b^2 - c^2 + 2abc) with cosines a, b, c
    three = torch.tensor([[1.0, 0, 0], [0.6, 0.8, 0], [0.0, 0.6, 0.8]])
    a, b, c = 0.6, 0.0, 0.48
    closed = (1 - a * a - b * b - c * c + 2 * a * b * c) ** 0.5
    assert float(gram_volume(three)) == pytest.approx(closed)


@pytest.mark.parametrize("kind", ["infonce", "gram"])
def test_alignment_is_low_where_modalities_agree_and_skips_incomplete_items(kind: str):
    rng = _rng()
    one = torch.randn(12, 1, 8, generator=rng)
    alike = one.repeat(1, 3, 1) + 0.01 * torch.randn(12, 3, 8, generator=rng)
    apart = torch.randn(12, 3, 8, generator=rng)
    present = torch.ones(12, 3, dtype=torch.bool)
    if kind == "gram":  # the volume of three is zero whenever two of them agree, so compare two
        alike, apart, present = alike[:, :2], apart[:, :2], present[:, :2]
    assert alignment_loss(alike, present, kind) < 0.6 * alignment_loss(apart, present, kind)
    present[1:] = False
    assert float(alignment_loss(apart, present, kind)) == 0.0


def test_padding_is_never_seen_and_empty_histories_are_finite():
    model = SASRec(8, 6, rng=_rng()).eval()
    vectors = torch.randn(2, 6, 8, generator=_rng(1))
    real = torch.tensor([[False] * 3 + [True] * 3, [False] * 6])
    out = model(vectors, real)
    assert torch.isfinite(out).all()  # the trap: a softmax over nothing is NaN
    short = model(vectors[:1, 3:], real[:1, 3:])
    torch.testing.assert_close(out[:1, 3:], short)
    other = vectors.clone()
    other[0, :3] = torch.nan
    torch.testing.assert_close(model(other, real)[0, 3:], out[0, 3:])
    later = vectors.clone()
    later[0, 5] += 1.0
    torch.testing.assert_close(model(later, real)[0, 4], out[0, 4])  # and the future neither


def test_names_and_settings_are_checked():
    with pytest.raises(
        SimrecError, match="there is no sequence adapter 'iisam'; did you mean 'iisan'"
    ):
        make_adapter("iisam", DIMS, LAYERS, rng=_rng(), width=8, settings={})
    with pytest.raises(SimrecError, match="does not take the settings"):
        make_adapter("iisan", DIMS, LAYERS, rng=_rng(), width=8, settings={"depth": 3})
    with pytest.raises(SimrecError, match="there is no fusion 'plus'"):
        FusionEncoder(DIMS, LAYERS, rng=_rng(), fusion="plus")
    assert all(
        a.paper and a.evidence in ("read", "reconstructed", "ours") for a in ADAPTERS.values()
    )
