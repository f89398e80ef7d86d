"""What is hidden stays hidden: patterns, completions, and a poison that must reach nothing."""

from dataclasses import replace

import numpy as np
import pytest

from simrec.errors import SimrecError
from simrec.items.masked import masked_table
from simrec.items.missing import POLICIES, Hidden, complete, hide
from simrec.items.neighbours import cosine_neighbours
from simrec.items.table import ItemTable


def _world(n: int = 60, noise: float = 0.1) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Two modalities that say nearly the same."""
    rng = np.random.default_rng(0)
    latent = rng.normal(size=(n, 3))
    text = np.einsum("id,kdw->ikw", latent, rng.normal(size=(2, 3, 5)))
    image = np.einsum("id,kdw->ikw", latent, rng.normal(size=(1, 3, 4)))
    image = image + noise * rng.normal(size=image.shape)
    return {"text": text.astype("f4"), "image": image.astype("f4")}, np.ones((n, 2), dtype=bool)


def test_neighbours_by_hand_and_in_blocks():
    values = np.array([[1, 0], [2, 0.1], [0, 1], [0, 0]], dtype=np.float32)
    near, alike = cosine_neighbours(values, 2)
    assert near[0].tolist() == [1, 2] and near[2].tolist() == [1, 0]
    assert near[3].tolist() == [0, 1] and alike[3].tolist() == [0, 0]
    for a, b in zip(cosine_neighbours(values, 2, block=1), (near, alike), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)
    rng = np.random.default_rng(1)
    values = rng.normal(size=(40, 6)).astype(np.float32)
    unit = values / np.linalg.norm(values, axis=1, keepdims=True)
    cosine = unit @ unit.T
    np.fill_diagonal(cosine, -2)
    np.testing.assert_array_equal(
        cosine_neighbours(values, 5, block=7)[0], np.argsort(-cosine, axis=1)[:, :5]
    )


def test_patterns_hide_what_they_say():
    states, present = _world(1000)
    item = hide(states, present, pattern="item", rate=0.3, seed=1)
    assert abs(1 - item.present.mean() - 0.3) < 0.03
    assert not item.states["text"][~item.present[:, 0]].any()
    more = hide(states, present, pattern="item", rate=0.6, seed=1)
    assert not (more.present & ~item.present).any()  # a higher rate hides the same and more
    whole = hide(states, present, pattern="whole", rate=0, seed=0, modality="image")
    assert whole.present.sum(axis=0).tolist() == [1000, 0]
    blocks = np.arange(1000) % 10
    block = hide(states, present, pattern="block", rate=0.5, seed=1, blocks=blocks)
    by_block = block.present.reshape(100, 10, 2)
    assert (by_block == by_block[0]).all() and 0 < by_block[0].mean() < 1


@pytest.mark.parametrize("policy", POLICIES)
def test_no_policy_sees_what_was_hidden(policy: str):
    states, present = _world()
    plain = hide(states, present, pattern="item", rate=0.4, seed=3)
    poisoned = {m: v.copy() for m, v in states.items()}
    for column, values in enumerate(poisoned.values()):
        values[~plain.present[:, column]] = np.nan
    done = complete(plain, policy)
    again = complete(hide(poisoned, present, pattern="item", rate=0.4, seed=3), policy)
    for name in states:
        assert np.isfinite(again.states[name]).all()
        assert done.states[name].tobytes() == again.states[name].tobytes()
    known = plain.present[:, 0]
    np.testing.assert_array_equal(done.states["text"][known], states["text"][known])
    assert done.present.all() == (policy != "learned_token")


def test_a_function_sees_blanks_and_not_the_answer():
    states, present = _world()
    hidden = hide(states, present, pattern="item", rate=0.4, seed=3, modality="text")

    def copycat(given, there, name):
        assert not given[name][~there[:, 0]].any()
        return given[name] + 7.0

    done = complete(hidden, copycat)
    gone = ~hidden.present[:, 0]
    assert (done.states["text"][gone] == 7.0).all()
    with pytest.raises(SimrecError, match="the completion of 'text' has shape"):
        complete(hidden, lambda given, there, name: np.zeros(3))


def test_mean_zero_and_knn_by_hand():
    text = np.array([[[1.0]], [[3.0]], [[0.0]]], dtype=np.float32)
    image = np.array([[[1.0, 0.0]], [[0.0, 1.0]], [[0.1, 1.0]]], dtype=np.float32)
    present = np.array([[True, True], [True, True], [False, True]])
    hidden = Hidden({"text": text, "image": image}, present)
    assert complete(hidden, "zero").states["text"][2, 0, 0] == 0.0
    assert complete(hidden, "mean").states["text"][2, 0, 0] == 2.0
    assert complete(hidden, "knn", k=1).states["text"][2, 0, 0] == 3.0
    assert complete(hidden, "knn", k=2).states["text"][2, 0, 0] == 2.0


def test_completion_helps_only_where_modalities_are_related():
    def error(noise: float, policy: str) -> float:
        states, present = _world(200, noise)
        hidden = hide(states, present, pattern="item", rate=0.3, seed=2, modality="text")
        gone = ~hidden.present[:, 0]
        filled = complete(hidden, policy).states["text"]
        return float(((filled - states["text"])[gone] ** 2).mean())

    for policy in ("proxy", "knn", "graph"):
        assert error(0.1, policy) < 0.6 * error(0.1, "zero")
    assert error(100.0, "proxy") > 0.9 * error(100.0, "zero")


def test_wrong_requests_are_one_sentence():
    states, present = _world()
    with pytest.raises(SimrecError, match="there is no missing pattern 'itme'; did you mean"):
        hide(states, present, pattern="itme", rate=0.1, seed=0)
    with pytest.raises(SimrecError, match=r"the missing rate is 1\.5; expected a share"):
        hide(states, present, pattern="item", rate=1.5, seed=0)
    with pytest.raises(SimrecError, match="hiding a whole modality needs its name"):
        hide(states, present, pattern="whole", rate=1, seed=0)
    with pytest.raises(SimrecError, match="there is no completion 'median'"):
        complete(Hidden(states, present), "median")


def test_an_agents_table_is_another_object_and_knows_nothing_of_what_is_hidden():
    states, present = _world()
    parts = {m: v[:, 0] for m, v in states.items()}
    popularity = np.zeros(60, dtype=np.float32)
    ids = tuple(str(k) for k in range(60))
    table = ItemTable(ids, np.hstack(list(parts.values())), parts, present, popularity, {})
    before = table.fused.copy()
    seen = masked_table(table, pattern="whole", modality="text")
    assert not seen.parts["text"].any() and not seen.present[:, 0].any()
    np.testing.assert_array_equal(seen.parts["image"], table.parts["image"])
    np.testing.assert_array_equal(table.fused, before)
    assert seen.fingerprint != table.fingerprint and seen.fused.shape == table.fused.shape
    filled = masked_table(table, pattern="item", rate=0.3, seed=1, policy="proxy")
    gone = ~filled.present[:, 0]
    assert gone.any() and filled.parts["text"][gone].any()
    with pytest.raises(SimrecError, match="were fused by an adapter"):
        masked_table(replace(table, fused=table.fused[:, :3]), pattern="whole", modality="text")
