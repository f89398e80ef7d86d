"""Items written by a model enter a world through its creators' reserves."""

import json

import numpy as np
import pytest

from simrec.catalogue import Catalogue
from simrec.datasets.toy import make_toy
from simrec.envs.build import Source, fit_world
from simrec.envs.spec import WorldSpec
from simrec.envs.vector import RecommendVectorEnv
from simrec.errors import SimrecError
from simrec.interactions import split_log
from simrec.items.build import build_item_table
from simrec.items.hashed_text import HashedTextEncoder
from simrec.items.supply import CreatorLM, Supplied
from simrec.llm.backends.scripted import ScriptedLM
from simrec.stages.supplied import creators_of, with_supplied


def _written(n: int) -> tuple:
    data = make_toy(seed=0)
    counts = np.bincount(data.log.item, minlength=data.log.n_items)
    titles = iter(f"Wholly new thing {k}" for k in range(n))
    model = ScriptedLM(
        "writer", lambda *x: json.dumps({"title": next(titles), "description": "New."})
    )
    made = CreatorLM(model, data.catalogue, counts, HashedTextEncoder(8)).create(n, seed=3)
    return data, made


def test_new_items_stand_after_the_old_ones_and_wait_with_whom_they_imitate():
    shown = ((0, 1, 2), (3, 4, 5), (1, 4))
    new = Catalogue("t", ("n0", "n1", "n2"), ("a", "b", "c"), ("",) * 3, (None,) * 3)
    supplied = Supplied(new, np.zeros((3, 2), dtype=np.float32), shown, ())
    creators = creators_of(np.array([0, 0, 1, 1, 2, 2]), supplied, period=5)
    assert creators.owner.tolist() == [0, 0, 1, 1, 2, 2, 0, 2, 0]  # a tie goes to the first
    assert creators.listed.tolist() == [True] * 6 + [False] * 3 and creators.period == 5
    with pytest.raises(SimrecError, match="own 3 items and the new items were written beside row"):
        creators_of(np.array([0, 0, 1]), supplied)
    with pytest.raises(SimrecError, match="other attributes or features than catalogue 'toy'"):
        with_supplied(make_toy(seed=0), supplied)


def test_a_written_item_is_on_offer_once_its_creator_is_well_shown():
    data, made = _written(3)
    both = with_supplied(data, made)
    old, n = len(data.catalogue), len(both.catalogue)
    assert n == old + 3 and both.catalogue.item_ids[old:] == made.catalogue.item_ids
    assert both.log.n_items == n and (both.log.item < old).all()
    table = build_item_table(both.catalogue, np.zeros(n, dtype=np.int64))
    assert table.present[old:, 0].all() and not table.present[old:, 1:].any()  # a text, no more
    world, _ = fit_world(
        WorldSpec("toy"), Source(both, split_log(both.log, seed=0), None, None), table
    )
    owner = np.arange(old) % 2
    world = world.changed(creators=creators_of(owner, made, period=2, least=0.0, releases=3))
    env = RecommendVectorEnv(world, 8)
    env.reset(seed=0)
    assert not env.action_masks()[:, old:].any()  # in reserve
    first = int(world.creators.owner[old])
    own = np.flatnonzero(owner == first)
    for step in range(2):
        env.step(np.full(8, own[step]))
    new = world.creators.owner[old:] == first
    assert (env.action_masks()[:, old:].any(axis=0) == new).all()
