"""The six registered worlds and the commands on them: present, absent, checked, described."""

import json
from pathlib import Path

import gymnasium
import numpy as np
import pytest
from typer.testing import CliRunner

import simrec.envs
from simrec.cli import app
from simrec.datasets.library import import_dataset
from simrec.datasets.source import IMPORTS, load_source
from simrec.envs import pages
from simrec.envs.arguments import MEANINGS
from simrec.envs.bounds import MOST_STATIC, check_headroom, world_bounds
from simrec.envs.checks import check_world
from simrec.envs.describe import fitted
from simrec.envs.horizon import planning_gains, planning_verdict
from simrec.envs.load import load_parts
from simrec.envs.registry import WORLDS, load_world, registered, spec_for
from simrec.envs.resemblance import resemblance
from simrec.envs.spec import WorldSpec
from simrec.envs.users import FactorUsers
from simrec.envs.world import Rules, World
from simrec.errors import SimrecError
from tests.env_worlds import constant_world, random_world

FOLDERS = {
    "movielens": "ml100k_mm",
    "coat": "coat",
    "lastfm": "lastfm2k",
    "industry": "amazon_scientific",
    "microlens": "microlens50k",
}
# the least by which fitted users beat every simpler predictor, in AUC on held-out events
LEAST_GAIN = {
    "movielens": 0.005,
    "coat": 0.005,
    "lastfm": 0.15,
    "industry": 0.05,
    "microlens": 0.1,
}


def test_six_worlds_are_registered():
    assert list(WORLDS) == [
        "simrec/Toy-v0",
        "simrec/MovieLens-v0",
        "simrec/Coat-v0",
        "simrec/LastFM-v0",
        "simrec/Industry-v0",
        "simrec/MicroLens-v0",
    ]
    assert set(WORLDS) <= set(registered())
    assert all(gymnasium.spec(id).max_episode_steps is None for id in WORLDS)
    assert set(IMPORTS) == set(FOLDERS)


def test_absent_data_is_named_with_the_command_that_brings_it(data_home):
    with pytest.raises(SimrecError) as caught:
        load_source("coat", 0)
    assert str(caught.value) == (
        "the data set 'coat' (Coat, Schnabel et al. 2016) is not in the library; run `simrec data "
        "import --format tidy PATH --name coat` with your copy of it"
    )
    with pytest.raises(SimrecError, match=r"run `simrec data fetch ml-100k` or `simrec data imp"):
        load_source("movielens", 0)
    with pytest.raises(SimrecError, match=r"^there is no world and no data set 'coats'; did you"):
        spec_for("coats")


@pytest.mark.parametrize("id", [id for id in WORLDS if id != "simrec/Toy-v0"])
def test_real_worlds_keep_the_contract_and_leave_room(shared_data, data_home, id):
    name = WORLDS[id].dataset
    import_dataset("tidy", shared_data / FOLDERS[name], name)
    assert len(check_world(id)) == 11
    world, table = load_world(id)
    fit = fitted(WORLDS[id]).fit
    simpler = max(fit["bias"]["auc"], fit["item_mean"]["auc"], fit["popularity_auc"])
    assert fit["model"]["auc"] > simpler + LEAST_GAIN[name]
    assert fit["model"]["calibration_error"] < 0.08
    spec, source = WORLDS[id], load_parts(WORLDS[id])
    alike = resemblance(
        world, source.dataset.log, source.split, like_at=spec.like_at, seed=1, asked=source.asked
    )
    # all six fits know their users, so a population of strangers must be seen through
    assert alike.personal_gap.low > 0.03 and alike.shuffled_gap.low > 0
    bounds = world_bounds(world, log_popularity=table.log_popularity, seed=1, sessions=128)
    check_headroom(bounds, allow_static=id in pages.STATIC_REASONS)
    assert bounds["random"]["reward"] < bounds["static"]["reward"] < bounds["oracle"]["reward"]


def test_every_check_passes_on_the_toy_and_a_broken_world_is_named(data_home):
    assert len(check_world("simrec/Toy-v0")) == 11
    gymnasium.register("simrec/Broken-v0", entry_point=lambda **_: gymnasium.make("CartPole-v1"))
    with pytest.raises(
        SimrecError, match=r"^simrec/Broken-v0 failed '[^']*(?:'s[^']*)?': .*; expected to pass$"
    ):
        check_world("simrec/Broken-v0")
    del gymnasium.registry["simrec/Broken-v0"]


def test_the_commands_list_check_and_describe_what_is_there(data_home):
    run = CliRunner().invoke
    listed = run(app, ["env", "list"]).stdout
    assert "simrec/Toy-v0" in listed and listed.count("absent") == 5
    checked = run(app, ["env", "check", "--all"])
    assert checked.exit_code == 0
    assert "simrec/Toy-v0: passed 11 checks" in checked.stdout
    assert "absent data, not checked: simrec/MovieLens-v0, simrec/Coat-v0" in checked.stdout
    told = run(app, ["fit", "toy"]).stdout
    assert "fitted users rank held-out likes better than every simpler predictor" in told
    numbers = json.loads(run(app, ["fit", "toy", "--json", "-"]).stdout)
    assert numbers["fit"]["model"]["auc"] > numbers["fit"]["bias"]["auc"]
    assert isinstance(run(app, ["env", "check"]).exception, SimrecError)
    unknown = run(app, ["env", "check", "simrec/Toy-v1"])
    assert str(unknown.exception) == (
        "there is no world 'simrec/Toy-v1'; did you mean 'simrec/Toy-v0'?"
    )
    assert unknown.stdout == ""


def test_realism_is_a_command_that_leaves_a_card(data_home, tmp_path):
    card = tmp_path / "toy.png"
    result = CliRunner().invoke(app, ["realism", "toy", "-o", str(card)])
    assert result.exit_code == 0
    assert card.is_file()
    assert "overall distance" in result.stdout and "shuffled users" in result.stdout


def test_any_data_set_gets_a_world_by_its_unit(data_home, tmp_path):
    import pandas as pd

    folder = tmp_path / "shop"
    folder.mkdir()
    pd.DataFrame({"item_id": range(4), "title": list("abcd")}).to_parquet(folder / "items.parquet")
    pd.DataFrame({"user_id": [0, 1], "item_id": [0, 1], "rating": [1, 1]}).to_parquet(
        folder / "interactions.parquet"
    )
    import_dataset("tidy", folder, "shop")
    spec = spec_for("shop", min_user_events=1)
    assert (spec.like_at, spec.history, spec.min_user_events) == (1.0, 4, 1)
    assert spec.shrinkage == "chosen"  # inside the training part: nobody tuned it by hand
    assert spec_for("toy") == WORLDS["simrec/Toy-v0"]


def test_planning_pays_nothing_where_nothing_bores():
    world = random_world(rules=Rules(horizon=4, boredom=0.0))
    gains = planning_gains(world, seed=0, sessions=64, settings=[(4, 0.0), (8, 0.0)])
    assert [gain.horizon for gain in gains] == [4, 8]
    assert all(abs(gain.share) < 0.02 for gain in gains)
    verdict = planning_verdict(gains, world)
    assert verdict.startswith("Planning adds less than 2% under the world's own rules")
    assert verdict.endswith("elsewhere it pays at none of the rules tried.")
    flat = constant_world(1.0, rules=Rules(horizon=3, boredom=0.0))
    (gain,) = planning_gains(flat, seed=0, sessions=8, settings=[(3, 0.0)])
    assert (gain.myopic, gain.planned, gain.share) == (3.0, 3.0, 0.0)
    assert gain.sentence().startswith(
        "horizon 3, boredom 0: planning makes no difference that can be seen, greedy 3.00"
    )


def test_planning_pays_where_the_best_item_bores_with_both_that_follow():
    # greedy: the mixed item, then one of the pure ones at 0.9 - 3 * 0.707; planned: both pure ones
    # sigmoid(1) + sigmoid(-1.22) = 0.959 clicks against 2 sigmoid(0.9) = 1.422
    half = 0.5**0.5
    one = np.ones((1, 1), dtype=np.float32)
    users = FactorUsers(
        0.0,
        1.0,
        np.zeros(1, np.float32),
        np.float32([1.0, 0.9, 0.9]),
        0 * one,
        np.tile(0 * one, (3, 1)),
    )
    world = World(
        "bored",
        users,
        np.float32([[half, half], [1, 0], [0, 1]]),
        np.full((1, 1), -1),
        np.zeros((1, 1), dtype=np.float32),
        np.zeros(1, dtype=np.int64),
        Rules(horizon=2, patience=5, boredom=3.0),
    )
    (gain,) = planning_gains(world, seed=0, sessions=4000, settings=[(2, 3.0)])
    assert gain.myopic == pytest.approx(0.959, abs=0.04)
    assert gain.planned == pytest.approx(1.422, abs=0.04)
    assert gain.sentence().startswith("horizon 2, boredom 3: planning pays, greedy")
    assert planning_verdict([gain], world).startswith("Planning pays under the world's own rules")


def test_a_page_holds_every_number_and_the_table_a_row(data_home, tmp_path, monkeypatch):
    path = pages.write_page("simrec/Toy-v0", tmp_path / "docs", sessions=64)
    text = path.read_text()
    facts = json.loads((tmp_path / "docs" / "toy-v0.json").read_text())
    assert facts["static_share"] <= MOST_STATIC
    assert f"| oracle | {facts['bounds']['oracle']['reward']:.2f} |" in text
    for heading in ("Action", "Observation", "Reward", "Ending"):
        assert f"| {heading} |" in text
    for heading in ("Bounds", "Does planning pay?", "Realism", "Arguments", "Versions"):
        assert f"## {heading}\n" in text
    assert pages.page(facts) == text
    assert set(facts["spec"]) <= set(MEANINGS)
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{pages.BEGIN}\nstale row\n{pages.END}\nafter\n")
    pages.write_table(tmp_path / "docs", readme)
    written = readme.read_text()
    assert (
        written.startswith("before\n")
        and written.endswith("after\n")
        and "stale row" not in written
    )
    assert "| [simrec/Toy-v0](" in written and "| 600 | 240 | stars |" in written
    readme.write_text("no marks")
    with pytest.raises(SimrecError, match=r"has no place for the table"):
        pages.write_table(tmp_path / "docs", readme)
    with pytest.raises(SimrecError, match=r"run `simrec env pages` first$"):
        pages.world_table(tmp_path / "nowhere")


def test_every_argument_of_a_world_has_a_meaning_on_its_page():
    assert set(MEANINGS) == set(WorldSpec.__dataclass_fields__)


def test_the_pages_in_the_repository_are_what_their_numbers_say():
    folder = Path(__file__).resolve().parents[1] / "docs" / "environments"
    stored = sorted(folder.glob("*.json"))
    assert len(stored) == len(WORLDS)
    for path in stored:
        facts = json.loads(path.read_text())
        assert path.with_suffix(".md").read_text() == pages.page(facts)
        assert facts["id"] in WORLDS
    readme = (folder.parents[1] / "README.md").read_text()
    assert pages.world_table(Path("docs/environments")).splitlines()[2] in readme


assert simrec.envs  # importing it registers the worlds
