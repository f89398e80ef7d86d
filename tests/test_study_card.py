"""A whole study on a card: each stage hands over to the next, and no card is needed afterwards."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from simrec.agents.saved import load_policy
from simrec.bench_card import QUICK, bench_card, report
from simrec.config import StudyConfig
from simrec.errors import SimrecError
from simrec.progress import bars
from simrec.records import read_run
from simrec.stages.inputs import Inputs
from simrec.stages.policy import load_policy as load_pretrained
from simrec.stages.policy import policy_files
from simrec.stages.run import _card_of
from simrec.study import plan, run_study
from tests.cards import CARDS, on
from tests.pretend_card import pretend_card

SERVED = ("frozen", "ft")


def study(device: str) -> StudyConfig:
    content: dict[str, Any] = {
        "study": "carded",
        "seeds": [210],
        "data": {"name": "toy"},
        "world": {"topics": "topic", "bounds_sessions": 16},
        "learner": {"name": "a2c", "device": device},
        "teacher": {"encoder": "hashed", "questions_per_user": 1},
        "reward": {"epochs": 1, "weight_decays": [3.0]},
        "pretrain": {"env_steps": 200, "n_envs": 16},
        "online": {
            "env_steps": 200,
            "n_envs": 16,
            "snapshot_sessions": 16,
            "strategies": SERVED,
            "controls": ["greedy-reward"],
            "propensities": True,
        },
    }
    return StudyConfig.model_validate(content)


@pytest.mark.parametrize("card", CARDS)
def test_a_study_made_on_a_card_is_whole_without_one(card: str, tmp_path: Path) -> None:
    with on(card), bars() as shown:
        run_study(study("cuda"), tmp_path, bars=shown, say=lambda _: None, workers=1)
    for name in SERVED:
        run = read_run(tmp_path / "carded" / name / "seed-210")
        assert run.record.variant["device"] in ("cuda:0", "cuda")
        assert run.steps["propensity"].between(0.0, 1.0).all()
        assert np.isfinite(run.record.notes["measures"]["frozen_share"])
        saved = load_policy(tmp_path / "carded" / "policies" / f"{name}-seed-210")
        assert len(saved.recommend([saved.item_ids[3]], k=5)) == 5
    here = Inputs(study("cpu"), tmp_path)
    assert not any(plan(here)[:2])  # nothing is left to do
    assert policy_files(here, 210, False).policy.is_file()
    assert load_pretrained(here, 210, is_shuffled=False).device.type == "cpu"


def test_a_run_killed_on_a_card_is_gone_on_with_there_only(tmp_path: Path) -> None:
    """Its checkpoint holds tensors of the card, so another place begins the run anew."""
    kac = StudyConfig.model_validate({"study": "s", "data": {"name": "toy"}})
    for config, name, there in (
        (study("auto"), "ft", ["cuda"]),
        (study("cuda:0"), "ft", ["cuda:0"]),
        (study("cpu"), "ft", []),
        (kac, "ft", []),
        (kac, "ppo", ["cuda"]),
    ):
        with pretend_card():
            assert _card_of(Inputs(config, tmp_path), name) == there
    if not torch.cuda.is_available():
        assert _card_of(Inputs(study("auto"), tmp_path), "ft") == []


@pytest.mark.parametrize("card", CARDS)
def test_the_bench_sets_a_card_beside_the_cpu(card: str) -> None:
    with on(card):
        found = bench_card("cuda", QUICK, rounds=1, seconds=0.0)
    (case,) = found["cases"].values()
    assert case["ratio"] == pytest.approx(case["card"] / case["cpu"])
    lines = report(found).split("\n")
    assert lines[0].endswith("on cuda and on the CPU")
    assert lines[1].startswith("10 items, flat head, 16 users: ")
    assert lines[1].endswith(" times as fast")
    with pytest.raises(SimrecError, match=r"^device is 'gpu'; expected cpu, cuda or cuda:N$"):
        bench_card("gpu", QUICK)
    print("\n".join(lines))  # of a real card, worth a look: pytest -m cuda -s
