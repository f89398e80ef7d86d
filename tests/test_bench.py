"""The bench's arithmetic on paper, and one small run of what it measures."""

import asyncio
import json

import pytest
from typer.testing import CliRunner

from simrec.bench import compare_times, post_all
from simrec.bench_server import instant_server
from simrec.cli.bench import bench_app


def test_ratios_are_medians_over_rounds_with_the_order_changing():
    now, calls = 0.0, []
    mine, bare = [100.0, 2.0, 6.0, 4.0], [100.0, 1.0, 2.0, 4.0]  # the first round does not count

    def spend(name: str, seconds: list[float]):
        def work(n: int) -> None:
            nonlocal now
            calls.append(name)
            now += seconds[n]

        return work

    ratio = compare_times(
        spend("mine", mine), spend("bare", bare), rounds=3, work="x", clock=lambda: now
    )
    assert (ratio.ours_seconds, ratio.bare_seconds) == (4.0, 2.0)
    assert ratio.ratio == 2.0  # of 2, 3 and 1
    assert calls == ["bare", "mine", "mine", "bare"] * 2


def test_the_instant_server_answers_each_request():
    body = {"model": "bench", "messages": [{"role": "user", "content": "x"}]}
    with instant_server() as url:
        asyncio.run(post_all(url, [body] * 70))


def test_the_command_measures_three_things_and_prints_json_alone():
    asked = ["teacher", "--questions", "8", "--rounds", "1", "--json", "-"]
    done = CliRunner().invoke(bench_app, asked)
    assert done.exit_code == 0
    ratios = json.loads(done.stdout)
    assert set(ratios) == {"pipeline", "client", "transformers"}
    for ratio in ratios.values():
        assert ratio["ratio"] == pytest.approx(ratio["ours_seconds"] / ratio["bare_seconds"])
