"""Mistakes in a study are one sentence before any work starts; broken files say what to delete."""

from pathlib import Path

import numpy as np
import pytest

from simrec.agents.adapt import check_strategy
from simrec.agents.learners import check_settings
from simrec.agents.reward import RewardModel
from simrec.config import load_config
from simrec.envs.bounds import world_bounds
from simrec.envs.world import Rules
from simrec.errors import SimrecError
from simrec.stages.inputs import read_stage
from tests.agent_worlds import flat_world


@pytest.mark.parametrize(
    ("name", "settings", "sentence"),
    [
        (
            "kac",
            {"temprature": 1.0},
            "learner 'kac' has no setting 'temprature'; did you mean 'temperature'?",
        ),
        (
            "kac",
            {"temperature": 0},
            "setting 'temperature' of learner 'kac' is 0; expected a number above 0",
        ),
        (
            "kac",
            {"prior_share": -0.1},
            "setting 'prior_share' of learner 'kac' is -0.1; expected a number 0 or more",
        ),
        (
            "a2c",
            {"n_steps": "many"},
            "setting 'n_steps' of learner 'a2c' is 'many'; expected a number above 0",
        ),
    ],
)
def test_a_wrong_setting_of_a_learner_is_named(
    name: str, settings: dict[str, object], sentence: str
) -> None:
    with pytest.raises(SimrecError) as caught:
        check_settings(name, settings)  # type: ignore[arg-type]
    assert str(caught.value) == sentence


def test_settings_within_their_ranges_are_accepted() -> None:
    check_settings("kac", {"temperature": 0.1, "prior_share": 0, "gradient_steps": 2})
    check_settings("a2c", {"ent_coef": 0.0, "n_steps": 5})


def test_scratch_has_no_labels_to_shuffle() -> None:
    check_strategy("ft-shuffled")
    with pytest.raises(SimrecError) as caught:
        check_strategy("scratch-shuffled")
    assert str(caught.value) == (
        "strategy 'scratch' has no teacher whose labels could be shuffled; "
        "name 'scratch', or a strategy that is pretrained such as 'frozen-shuffled'"
    )


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("seeds=[]", "'seeds' is []; expected a list of 1 or more"),
        (
            "seeds=[1, 1]",
            "'seeds' is [1, 1]; each can be listed once only, remove the others",
        ),
    ],
)
def test_seeds_must_be_there_and_differ(tmp_path: Path, override: str, sentence: str) -> None:
    path = tmp_path / "study.yaml"
    path.write_text("study: x\n")
    with pytest.raises(SimrecError) as caught:
        load_config(path, [override])
    assert str(caught.value) == f"{path}: {sentence}"


def test_broken_stage_files_say_what_to_delete(tmp_path: Path) -> None:
    world = tmp_path / "world.json"
    world.write_text("{half")
    with pytest.raises(SimrecError, match=r"^cannot read .*world\.json \(.*\); delete it and run"):
        read_stage(world)
    reward = tmp_path / "pretrained-seed-0-ab.pt"
    reward.write_bytes(b"junk")
    with pytest.raises(SimrecError, match=r"delete the files pretrained-seed-0-ab\.\* beside it"):
        RewardModel.load(reward)


def test_bounds_of_slates_follow_from_a_flat_world() -> None:
    # Every item has odds 1 for everybody and nothing bores, so each slate of 3 is clicked with
    # probability 3 / (1 + 3) = 3/4, whoever chooses it. A session lasts at most 4 steps and ends
    # after 2 without a click; expected clicks for p = 3/4, T = 4, patience 2, q = 1/4:
    #   3/4 * P(step 1..4 is reached): 1 + 1 + (1 - q^2) + (1 - q^2 - p q^2)
    #   = 1 + 1 + 15/16 + 57/64 = 245/64, so 735/256 = 2.871 clicks.
    # Standard deviation below 4 / 2, so 2,048 sessions have a standard error below 0.045.
    rules = Rules(horizon=4, patience=2, boredom=0.0)
    world = flat_world(0.0, n_items=40, rules=rules)
    popularity = np.zeros(40, dtype=np.float32)
    bounds = world_bounds(world, log_popularity=popularity, seed=3, slate_size=3)
    for name, bound in bounds.items():
        assert abs(bound["reward"] - 735 / 256) < 4 * 0.045, name
