"""Graph encoders: sparse equals dense, gates by hand, above popularity, new items for free."""

import numpy as np
import pytest
import scipy.sparse as sp
import torch

from simrec.errors import SimrecError
from simrec.items.adapters import GRAPH_ADAPTERS
from simrec.items.graph_fit import GraphSettings, fit_graph
from simrec.items.graph_views import (
    MGCN,
    LIRDRec,
    as_torch,
    light_gcn,
    neighbour_graph,
    normalised_graph,
)
from simrec.items.ranking import hit_rate
from simrec.items.sequences import last_held_out, leave_one_out
from tests.item_worlds import planted, popularity_places


def _small(n_users: int = 8, n_items: int = 30):
    rng = np.random.default_rng(0)
    features = {"a": rng.normal(size=(n_items, 5)), "b": rng.normal(size=(n_items, 3))}
    features = {m: v.astype(np.float32) for m, v in features.items()}
    links = sp.csr_matrix((rng.random((n_users, n_items)) < 0.2).astype(np.float32))
    return features, np.ones((n_items, 2), dtype=bool), links


def test_graphs_equal_dense_numpy():
    features, present, links = _small()
    dense = links.toarray()
    rows, columns = np.maximum(dense.sum(1), 1e-9), np.maximum(dense.sum(0), 1e-9)
    expected = dense / np.sqrt(rows)[:, None] / np.sqrt(columns)[None]
    graph = normalised_graph(links)
    np.testing.assert_allclose(graph.toarray(), expected, atol=1e-6)
    rng = np.random.default_rng(1)
    users, items = rng.normal(size=(8, 4)).astype("f4"), rng.normal(size=(30, 4)).astype("f4")
    got = light_gcn(as_torch(graph), torch.from_numpy(users), torch.from_numpy(items), 2)
    u1, i1 = expected @ items, expected.T @ users
    np.testing.assert_allclose(got[0], users + u1 + expected @ i1, atol=1e-5)
    np.testing.assert_allclose(got[1], items + i1 + expected.T @ u1, atol=1e-5)
    near = neighbour_graph(features["a"], present[:, 0], k=4).toarray()
    assert ((near > 0).sum(axis=1) == 4).all() and not near.diagonal().any()


def test_absent_modalities_are_never_read():
    features, present, links = _small()
    present[::2, 0] = False
    poisoned = {m: v.copy() for m, v in features.items()}
    poisoned["a"][::2] = np.nan
    for kind in (MGCN, LIRDRec):
        made = [
            kind(f, present, links, rng=torch.Generator().manual_seed(1), width=4).eval()()
            for f in (features, poisoned)
        ]
        assert torch.isfinite(made[1][1]).all()
        for clean, dirty in zip(*made, strict=True):
            assert torch.equal(clean, dirty)


def test_the_purifier_is_the_id_times_a_gate():
    features, present, links = _small()
    model = MGCN(features, present, links, rng=torch.Generator().manual_seed(0), width=4)
    with torch.no_grad():
        model.gates["a"].bias.fill_(100.0)
        model.gates["b"].bias.fill_(-100.0)
        torch.testing.assert_close(model.purified("a"), model.items)
        torch.testing.assert_close(model.purified("b"), torch.zeros_like(model.items))


@pytest.mark.parametrize("name", GRAPH_ADAPTERS)
def test_graph_encoders_beat_popularity_and_repeat(name: str):
    states, present, log = planted(300, 120, 10)
    features = {m: v[:, -1] for m, v in states.items()}
    settings = GraphSettings(name, width=16, epochs=12)
    task = leave_one_out(log, history=5)
    fitted = fit_graph(features, present, task, settings)
    popular = popularity_places(task.counts, task.test.seen, task.test.target)
    assert hit_rate(fitted.places(task.test)) > hit_rate(popular) + 0.05
    assert fitted.own.shape == (120, 2, 16)
    again = fit_graph(features, present, task, settings)
    assert again.items.tobytes() == fitted.items.tobytes()


def test_an_item_nobody_met_gets_its_twins_vector_without_training():
    states, present, log = planted(200, 80, 8)
    features = {m: v[:, -1].copy() for m, v in states.items()}
    twin = int(np.bincount(log.item)[:79].argmax())
    new = 79
    kept = log.select(log.item != new)
    for values in features.values():
        values[new] = values[twin]
    task = last_held_out(kept, history=5)
    fitted = fit_graph(features, present, task, GraphSettings("lirdrec", width=16, epochs=6))
    with torch.no_grad():
        own = fitted.model.contents()
    torch.testing.assert_close(own[new], own[twin])
    cosine = np.corrcoef(fitted.items)[new]
    cosine[new] = -1
    assert twin in np.argsort(-cosine)[:5]


def test_wrong_names_are_one_sentence():
    features, present, links = _small()
    _, _, log = planted(20, 30, 5)
    task = last_held_out(log, history=5)
    with pytest.raises(SimrecError, match="there is no graph encoder 'mgnc'; did you mean 'mgcn'"):
        fit_graph(features, present, task, GraphSettings("mgnc"))
    with pytest.raises(SimrecError, match="there is no purifier 'deep'"):
        MGCN(features, present, links, rng=torch.Generator(), purifier="deep")
    with pytest.raises(SimrecError, match="'lirdrec' does not take the settings"):
        fit_graph(features, present, task, GraphSettings("lirdrec", {"purifier": "befa"}))
