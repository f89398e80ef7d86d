"""The bench's arithmetic on paper, and one small run of what it measures."""

import asyncio
import json

import pytest
from typer.testing import CliRunner

from simrec.bench import compare_times, post_as_documented, post_httpx, post_raw
from simrec.bench_server import instant_server
from simrec.bench_train import Case, Timed, bench_train, report, spend
from simrec.cli.bench import bench_app


def test_ratios_are_medians_over_rounds_with_the_order_changing():
    now, waited, calls = 0.0, 0.0, []
    mine, bare = [100.0, 2.0, 6.0, 4.0], [100.0, 1.0, 2.0, 4.0]  # the first round does not count

    def spend(name: str, seconds: list[float]):
        def work(n: int) -> None:
            nonlocal now, waited
            calls.append(name)
            now += seconds[n]
            waited += seconds[n] + 1.0

        return work

    ratio = compare_times(
        spend("mine", mine),
        spend("bare", bare),
        rounds=3,
        work="x",
        cpu=lambda: now,
        wall=lambda: waited,
    )
    assert (ratio.ours_seconds, ratio.bare_seconds) == (4.0, 2.0)
    assert ratio.ratio == 2.0  # of 2, 3 and 1
    assert ratio.wall_ratio == 1.5  # of 3/2, 7/3 and 5/5
    assert calls == ["bare", "mine", "mine", "bare"] * 2


@pytest.mark.parametrize("bare", [post_as_documented, post_raw, post_httpx])
def test_the_instant_server_answers_each_request(bare):
    body = {"model": "bench", "messages": [{"role": "user", "content": "x"}]}
    with instant_server() as url:
        asyncio.run(bare(url, [body] * 70))


def test_the_command_measures_five_things_and_prints_json_alone():
    asked = ["teacher", "--questions", "8", "--rounds", "1", "--json", "-"]
    done = CliRunner().invoke(bench_app, asked)
    assert done.exit_code == 0
    ratios = json.loads(done.stdout)
    assert set(ratios) == {"pipeline", "raw", "httpx", "transformers", "shared"}
    for ratio in ratios.values():
        assert ratio["ratio"] == pytest.approx(ratio["ours_seconds"] / ratio["bare_seconds"])
        assert ratio["wall_ratio"] > 0


def test_training_is_timed_in_turns_and_compared_within_a_round():
    now = 0.0

    def learner(name: str, seconds: list[float]) -> Timed:
        def learn(env_steps: int) -> None:
            nonlocal now
            now += seconds.pop(0)

        return Timed(name, learn, rollout=10)

    timed = learner("ours", [0.5, 0.5, 2.0])
    spend(timed, 1.0, clock=lambda: now)  # two rollouts fit
    spend(timed, 1.0, clock=lambda: now)
    assert timed.taken == [1.0 / 20, 2.0 / 10]


def test_the_training_bench_prints_goals_and_ratios_as_json_alone():
    done = CliRunner().invoke(bench_app, ["train", "--quick", "--json", "-"])
    assert done.exit_code == 0
    cases = json.loads(done.stdout)["cases"]
    assert list(cases) == [
        "10 items, flat head, 16 users",
        "2,000 items, two-level head, 16 users",
    ]
    for case in cases.values():
        assert case["ratio"] == pytest.approx(case["ours"]["median"] / case["SB3"]["median"])
        assert case["goal"] is None and case["met"] is None
    shown = bench_train((Case(10, 8, 10, 1),), rounds=1, seconds=0.0)
    assert "met  10 items, flat head, 8 users" in report(shown)


def test_the_heads_bench_gives_clicks_and_a_paired_difference(tmp_path):
    asked = ["heads", "--items", "200", "--seeds", "2", "--env-steps", "640"]
    done = CliRunner().invoke(bench_app, [*asked, "--json", str(tmp_path / "heads.json")])
    assert done.exit_code == 0
    found = json.loads((tmp_path / "heads.json").read_text())
    by_seed = found["by seed"]
    gaps = [a - b for a, b in zip(by_seed["two-level"], by_seed["flat"], strict=True)]
    assert found["two-level minus flat"]["mean"] == pytest.approx(sum(gaps) / 2)
    assert f"two-level minus flat {sum(gaps) / 2:+.2f}" in done.stdout
