"""The report of adapters: gates by hand, a report that goes on, inputs reduced alike for all."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from simrec.items.benchmark import Model, Row, compare_adapters, models_of, popularity_row
from simrec.items.fit_settings import FitSettings
from simrec.items.gates import gates
from simrec.items.judged import cold_targets
from simrec.items.reduce import reduced_states
from simrec.items.sequences import leave_one_out
from simrec.statistics import t_interval
from tests.item_worlds import planted

QUICK = FitSettings(width=8, epochs=2, steps=4, batch=32)


def _row(name: str, *each: float, **kept: float) -> Row:
    found = {m: (share,) for m, share in kept.items()}
    return Row(name, each, t_interval(each), t_interval(each), found, 1.0, 10)


def test_gates_by_hand():
    rows = [
        _row("popularity", 0.2),
        _row("shuffled linear", 0.1, 0.5),
        _row("shuffled iisan", 0.2, 0.2),
        _row("linear", 0.3, 0.5, text=0.1, image=0.5),
        _row("iisan", 0.4, 0.8, text=0.4, image=0.6),
        _row("iisan undropped", 0.2, 0.2, text=0.2, image=0.7),
    ]
    found = {gate.what: gate for gate in gates(rows)}
    above = [gate for what, gate in found.items() if what.startswith("every adapter above")]
    # the undropped one is an adapter too: 0.2 is not above 0.2, and below the control's mean of 0.3
    assert [g.passed for g in above] == [False, False]
    assert above[1].figures == "least iisan undropped 0.2000 against 0.3000"
    better = found["iisan above linear"]
    # differences 0.1 and 0.3: mean 0.2, half width 12.706 * 0.1
    assert better.passed and better.figures == "+0.2000 [-1.0706, 1.4706], not resolved"
    kept = found["modality dropout raises what iisan keeps, over modalities"]
    assert kept.passed and kept.figures == "without text 20% -> 40%, without image 70% -> 60%"
    good = [_row("popularity", 0.1), _row("shuffled sum", 0.2), _row("sum", 0.3)]
    assert [gate.passed for gate in gates(good)] == [True, True]
    # a graph encoder is judged by popularity alone
    for hits, passed in ((0.15, True), (0.1, False)):
        judged = gates([*good, _row("mgcn", hits)])
        assert [gate.passed for gate in judged] == [True, True, passed]
        assert judged[2].what == "every graph encoder above popularity"


def test_models_are_controls_adapters_and_one_without_dropout():
    names = [m.name for m in models_of(["linear", "iisan", "moe"], several=True)]
    assert names[:2] == ["shuffled linear", "shuffled iisan"] and names[-1] == "iisan undropped"
    last = [m.name for m in models_of(["mgcn", "sum"], several=True)]
    assert last == ["shuffled sum", "sum", "mgcn"]
    alone = [m.name for m in models_of(["sum"], several=False)]
    assert alone == ["shuffled sum", "sum"]


def test_a_killed_report_trains_only_what_is_missing_and_says_the_same(tmp_path: Path):
    states, present, log = planted(60, 40, 8)
    task = leave_one_out(log, history=5)
    models = [Model("linear", "linear"), Model("undropped", "linear", dropout=False)]
    trained: list[bool] = []

    def report(seeds: range, settings: FitSettings = QUICK) -> list[Row]:
        return compare_adapters(
            states,
            present,
            task,
            models,
            settings=settings,
            seeds=seeds,
            folder=tmp_path,
            done=lambda result, fresh: trained.append(fresh),
        )

    report(range(1))
    first = report(range(2))
    assert trained == [True] * 2 + [False] * 2 + [True] * 2
    gone = next(tmp_path.glob("undropped-1-*.json"))
    gone.unlink()
    trained.clear()
    assert [row.each for row in report(range(2))] == [row.each for row in first]
    assert trained == [False, False, False, True] and gone.is_file()
    trained.clear()
    report(range(1), FitSettings(width=8, epochs=1, steps=4, batch=32))
    assert trained == [True, True]  # another budget is another report


def test_cold_questions_are_judged_apart():
    _, _, log = planted(60, 40, 8)
    task = leave_one_out(log, history=5)
    few = replace(task, counts=np.where(np.arange(40) < 30, 0, task.counts))
    assert (
        cold_targets(few) == (task.test.target < 30) | (few.counts[task.test.target] == 1)
    ).all()
    assert popularity_row(few).cold.mean == 0.0  # what nobody met is popular with nobody


def test_reduced_layers_have_one_width_spread_1_and_never_read_what_is_absent():
    rng = np.random.default_rng(0)
    states = {"text": rng.normal(size=(50, 2, 9)).astype(np.float32)}
    states["text"][:, 1, 3:] = 0.0  # a layer of three columns only
    present = np.ones((50, 1), dtype=bool)
    present[::5] = False
    poisoned = {"text": np.where(present[:, None], states["text"], np.float32(np.nan))}
    out = reduced_states(poisoned, present, 4)["text"]
    assert out.shape == (50, 2, 3) and out.dtype == np.float32
    assert not out[::5].any()
    np.testing.assert_allclose(out[present[:, 0]].std(axis=0), 1.0, rtol=1e-4)
    # no axis tells what another tells
    assert abs(np.corrcoef(out[present[:, 0], 0].T) - np.eye(3)).max() < 1e-4
    same = reduced_states({"text": 3.0 * states["text"]}, present, 4)["text"]
    assert same == pytest.approx(out, abs=1e-4)
