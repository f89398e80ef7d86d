"""The bench's goals on paper, what its bare loop answers, and one small run."""

import json

import numpy as np
import pytest

from simrec.envs.bench import bench_env, bench_world
from simrec.envs.bench_report import goals, report
from simrec.envs.compiled import pack
from simrec.envs.limits import Bare, floor_seconds
from simrec.envs.state import Shown


def test_goals_stand_beside_figures_of_the_best_rounds():
    def cell(highest: float) -> dict[str, float]:
        return {"lowest": 1.0, "median": 2.0, "highest": highest}

    result = {
        "cells": {
            "CartPole B=1024": cell(10.0),
            "B=1024 k=1 I=1000": cell(12.0),
            "B=1024 k=1 I=1000000": cell(8.0),
            "bare loop B=1024 k=1 I=1000": cell(30.0),
            "B=16384 k=10 I=100000": cell(2.0),
            "bare loop B=16384 k=10 I=100000": cell(3.0),
        },
        "limits": {"B=16384 k=10 I=100000": 4.0},
        "options": {"drift k=1": 1.25},
    }
    found = {goal["goal"]: goal for goal in goals(result)}
    against = found["k=1, B=1024, I=1k against CartPole's native vector"]
    assert (against["figure"], against["met"], against["bound"]) == (1.2, False, 3.0)
    growth = found["k=1: a step with I=1M against I=1k, B=1024"]
    assert (growth["figure"], growth["met"]) == (1.5, True)
    share = found["share of the gather limit, I=100000, k=10, B=16384"]
    assert (share["figure"], share["bound"], share["in_reach"]) == (0.5, 0.75, False)
    assert (against["in_reach"], growth["in_reach"]) == (True, True)
    assert found["dearest option against the default step"]["figure"] == 1.25
    assert len(found) == 4  # what was not measured is left out


def test_the_floor_adds_rows_state_and_luck():
    # ten rows of 5 ns, 200 bytes at 10 bytes a ns, and 0.8 ns for the luck
    assert floor_seconds(10, 5e-9, 200.0, 1e10) == pytest.approx(70.8e-9)


def test_the_bare_loop_shows_the_slates_it_was_given():
    world = bench_world(50)
    slates = np.random.default_rng(0).integers(50, size=(2, 40, 3))
    bare = Bare(pack(world).rows, slates)
    bare.step()
    _, history, feedback, reward, _ = bare._out
    assert (history[:, -3:] == slates[1]).all()
    assert (feedback.sum(axis=1) == reward).all()
    assert set(reward) == {0.0, 1.0}


def test_histories_slide_through_their_room_and_then_begin_again():
    shown = Shown.empty(3, 7, 2, signals=False, again=True)
    firsts = []
    for _ in range(66):
        shown.move(shown.after(4))
        firsts.append(shown.first)
        assert shown.history.shape == (3, 7)
        assert shown.history.flags.c_contiguous and shown.feedback.flags.c_contiguous
    assert firsts[:2] == [4, 8] and firsts[63:] == [256, 0, 4]  # room for 64 steps


def test_a_small_run_measures_every_cell_and_is_plain_json():
    result = bench_env(batches=(1, 2), slates=(1, 2), items=(50,), rounds=1, seconds=0.0)
    again = json.loads(json.dumps(result))
    assert {"CartPole single", "single", "B=2 k=2 I=50", "signals k=2"} <= set(again["cells"])
    assert set(again["limits"]) == {f"B={b} k={k} I=50" for b in (1, 2) for k in (1, 2)}
    assert set(again["memory_mb"]) >= {"item table I=50", "sessions B=2 k=1"}
    text = report(again)
    assert "goals" in text and "one environment through make against CartPole-v1" in text
