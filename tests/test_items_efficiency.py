"""The structure of the cache's claim, counted and not timed: work, gradients, memory of a step."""

import json
from itertools import pairwise

import pytest
from typer.testing import CliRunner

from simrec.cli.bench import bench_app
from simrec.errors import SimrecError
from simrec.items.efficiency import RouteStep, StepSize, step_cost, train_route
from simrec.items.table_bench import bench_table, made_up

SMALL = StepSize(items=8, tokens=4, width=8, depth=2, kept=2)


def cost(route: str, depth: int = 2, kept: int = 2):
    size = StepSize(items=8, tokens=4, width=8, depth=depth, kept=kept)
    return step_cost(route, size, steps=1, clock=iter(range(9)).__next__)


def test_with_the_cache_no_step_grows_with_the_encoder_and_none_of_its_weights_has_a_gradient():
    cached = [cost("cached", depth) for depth in (2, 4, 8)]
    assert len({(c.flops, c.saved_bytes, c.parameters) for c in cached}) == 1
    assert {c.encoder_gradients for c in cached} == {0}


def test_without_the_cache_work_grows_with_depth_and_only_training_it_keeps_memory():
    frozen, tuned = ([cost(r, d) for d in (2, 4, 8)] for r in ("frozen", "tuned"))
    # each further layer adds the same: 2 -> 4 is half of 4 -> 8
    for costs in (frozen, tuned):
        assert costs[2].flops - costs[1].flops == 2 * (costs[1].flops - costs[0].flops) > 0
    assert len({c.saved_bytes for c in frozen}) == 1 and frozen[0].encoder_gradients == 0
    growth = [b.saved_bytes - a.saved_bytes for a, b in pairwise(tuned)]
    assert growth[1] == pytest.approx(2 * growth[0], rel=0.05) and growth[0] > 0
    assert tuned[0].encoder_gradients == tuned[0].parameters - frozen[0].parameters > 0


def test_memory_and_weights_are_linear_in_the_layers_kept():
    found = [cost("cached", 8, kept) for kept in (2, 4, 8)]
    for name in ("saved_bytes", "parameters", "flops"):
        a, b, c = (getattr(f, name) for f in found)
        assert c - b == pytest.approx(2 * (b - a), rel=1e-3) and b > a


def test_the_routes_train_the_adapter_alike():
    steps = {route: RouteStep(route, SMALL) for route in ("cached", "frozen")}
    for step in steps.values():
        step()
    grads = [[w.grad for w in step.adapter.parameters()] for step in steps.values()]
    for a, b in zip(*grads, strict=True):
        assert (a is None) == (b is None)
        assert a is None or (a - b).abs().max() < 1e-6
    assert train_route("cached", SMALL, 2)[1] == cost("cached").parameters
    with pytest.raises(SimrecError, match="there is no route 'cache'; did you mean 'cached'"):
        RouteStep("cache", SMALL)


@pytest.mark.timeout(1200)  # seven processes import torch once; a laden machine takes its time
def test_the_command_prints_tpme_with_the_raw_numbers_beside_it():
    done = CliRunner().invoke(bench_app, ["items", "--quick", "--json", "-"])
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    for group, names in (
        ("adapters", {"linear", "mlp_concat", "iisan", "crossan"}),
        ("routes", {"cached", "frozen", "tuned"}),
    ):
        rows = found[group]
        assert set(rows) == names
        assert all(0 <= row["tpme"] <= 1 for row in rows.values())
        raw = ("seconds", "parameters", "bytes")
        low, high = ([f(row[k] for row in rows.values()) for k in raw] for f in (min, max))
        for row in rows.values():  # the definition once more, by hand
            terms = [
                a * (row[k] - lo) / (hi - lo) if hi > lo else 0.0
                for a, k, lo, hi in zip((0.45, 0.10, 0.45), raw, low, high, strict=True)
            ]
            assert row["tpme"] == pytest.approx(sum(terms))
    assert found["routes"]["tuned"]["parameters"] > found["routes"]["cached"]["parameters"]
    assert "authors report" in found["papers"]


def test_the_table_of_a_made_up_catalogue_is_measured() -> None:
    catalogue = made_up(50)
    assert catalogue.titles == made_up(50).titles != made_up(50, seed=1).titles
    assert {len(title.split()) for title in catalogue.titles} == {12}
    cost = bench_table(300)
    assert cost.items == 300
    assert cost.processor_seconds > 0
    assert cost.peak_bytes > 4 * cost.items * cost.width  # the table itself, in float32
