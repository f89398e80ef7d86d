"""Study files: what is read, and one sentence for everything that is wrong."""

import re
from pathlib import Path

import pytest
import yaml

from simrec.config import StudyConfig, load_config
from simrec.errors import SimrecError

SHIPPED = sorted((Path(__file__).resolve().parents[1] / "configs").glob("**/*.yaml"))


def write(folder: Path, text: str) -> Path:
    path = folder / "study.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def sentence(path: Path, overrides: list[str] | None = None) -> str:
    with pytest.raises(SimrecError) as error:
        load_config(path, overrides)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_file_says_only_what_differs_from_the_defaults(tmp_path: Path) -> None:
    found = load_config(write(tmp_path, "study: tiny\nworld: {boredom: 1.5}\nseeds: [7, 8]\n"))
    assert found.study == "tiny"
    assert found.seeds == (7, 8)
    assert found.world.boredom == 1.5
    assert found.world.horizon == StudyConfig(study="tiny").world.horizon == 20


@pytest.mark.parametrize("path", SHIPPED, ids=lambda p: p.stem)
def test_every_shipped_study_is_valid(path: Path) -> None:
    assert load_config(path).study == yaml.safe_load(path.read_text(encoding="utf-8"))["study"]


def test_the_demo_is_shipped() -> None:
    assert "demo.yaml" in [path.name for path in SHIPPED]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (
            "study: a\nonline: {env_step: 9}",
            "unknown key 'online.env_step'; did you mean 'env_steps'?",
        ),
        ("study: a\nwrld: {}", "unknown key 'wrld'; did you mean 'world'?"),
        ("seeds: [0]", "the key 'study' is missing; add it"),
        (
            "study: a\nonline: {env_steps: many}",
            "'online.env_steps' is 'many'; input should be a valid integer, unable to parse "
            "string as an integer",
        ),
        (
            "study: a\nworld: {horizon: 0}",
            "'world.horizon' is 0; input should be greater than or equal to 1",
        ),
        (
            "study: a\nlearner: {name: ppo}",
            "'learner.name' is 'ppo'; input should be 'kac' or 'a2c'",
        ),
        ("study: a\ndata: toy", "'data' is 'toy'; expected keys, each with a value"),
        ("study: a\ndata:", "'data' is empty; expected keys, each with a value"),
        ("study: a\nseeds: 3", "'seeds' is 3; expected a list such as [3]"),
        ("study: a\nonline: {strategies: [ft, ft]}", "'online.strategies' is ['ft', 'ft']; each "
         "can be listed once only, remove the others"),
        ("study: a\nonline: {strategies: [], controls: []}", "'online' is {'strategies': [], "
         "'controls': []}; no strategy and no control is left; list one or more"),
        ("study: a\nonline: {env_steps: 1e5}", "'online.env_steps' is '1e5'; input should be a "
         "valid integer, unable to parse string as an integer; YAML reads this as text, write "
         "100000"),
        ("study: a\nworld: {intercept_shift: .nan}", "'world.intercept_shift' is nan; expected a "
         "finite number"),
        ("study: a\nworld: {user_scale: .inf}", "'world.user_scale' is inf; expected a finite "
         "number"),
        ("study: a\nworld: {shrinkage: lots}", "'world.shrinkage' is 'lots'; expected a positive "
         "number, or 'chosen' for cross-validation"),
        ("study: a\nworld: {shifts: [{date: 1, siz: 2, topics: [x]}]}",
         "unknown key 'world.shifts.0.siz'; did you mean 'size'?"),
        ("study: a\n3: b", "'3' is 3; expected a name in its place"),
        ("study: a\nseeds: [0, x]", "'seeds.1' is 'x'; input should be a valid integer, unable "
         "to parse string as an integer"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_sentence(text: str, wanted: str, tmp_path: Path) -> None:
    path = write(tmp_path, text)
    assert sentence(path) == f"{path}: {wanted}"


def test_a_key_like_no_other_is_answered_with_all_there_are(tmp_path: Path) -> None:
    path = write(tmp_path, "study: a\npretrain: {zzz: 1}")
    assert sentence(path) == (
        f"{path}: unknown key 'pretrain.zzz'; expected one of anchor_temperature, boredom, "
        "env_steps, n_envs, settings"
    )


@pytest.mark.parametrize("name", ["../up", "a/b", "", ".hidden", "two words"])
def test_a_study_name_is_a_plain_folder_name(name: str, tmp_path: Path) -> None:
    path = write(tmp_path, f"study: '{name}'")
    assert sentence(path).startswith(f"{path}: 'study' is '{name}'; string should match pattern")


def test_an_absent_file_is_answered_with_the_shipped_ones(tmp_path: Path) -> None:
    path = tmp_path / "none.yaml"
    start = f"there is no study file {path}; expected a YAML file such as configs/"
    found = sentence(path)
    assert found.startswith(start)
    assert "configs/demo.yaml" in found


def test_a_folder_is_no_study_file(tmp_path: Path) -> None:
    assert sentence(tmp_path).startswith(f"there is no study file {tmp_path}; ")


def test_invalid_yaml_is_one_sentence_with_the_line(tmp_path: Path) -> None:
    path = write(tmp_path, "study: a\nworld: {boredom: 1\n")
    found = sentence(path)
    assert found.startswith(f"{path} is not valid YAML: ")
    assert "line 3" in found
    assert found.endswith("; mend that line")


@pytest.mark.parametrize("text", ["study: a\nstudy: b\n", "study: a\nworld: {seed: 1, seed: 2}"])
def test_a_key_written_twice_is_refused(text: str, tmp_path: Path) -> None:
    path = write(tmp_path, text)
    assert re.fullmatch(
        rf"{re.escape(str(path))} is not valid YAML: the key '(study|seed)' is there twice in line "
        "2, .*; mend that line",
        sentence(path),
    )


@pytest.mark.parametrize(
    ("text", "kind"),
    [("- a\n- b\n", "a list"), ("", "nothing"), ("a", "one text"), ("3", "one value")],
)
def test_a_file_without_keys_is_refused(text: str, kind: str, tmp_path: Path) -> None:
    path = write(tmp_path, text)
    assert sentence(path) == f"{path} holds {kind}; expected keys such as 'study:'"


# ---- --set ----


def test_set_changes_values_and_makes_sections(tmp_path: Path) -> None:
    path = write(tmp_path, "study: a\nworld: {boredom: 1.5, horizon: 7}\n")
    found = load_config(
        path,
        [
            "study=b",
            "world.boredom=0.25",
            "seeds=[3, 4]",
            "data.path=my/data",
            "data.name=null",
            "world.allow_static=true",
            "learner.settings.temperature=0.5",
            "teacher.encoder=transformers:a=b",
        ],
    )
    assert found.study == "b"
    assert (found.world.boredom, found.world.horizon) == (0.25, 7)
    assert found.seeds == (3, 4)
    assert (found.data.path, found.data.name) == (Path("my/data"), None)
    assert found.world.allow_static
    assert found.learner.settings == {"temperature": 0.5}
    assert found.teacher.encoder == "transformers:a=b"  # only the first = divides


def test_of_two_settings_the_last_counts(tmp_path: Path) -> None:
    path = write(tmp_path, "study: a\n")
    assert load_config(path, ["world.seed=1", "world.seed=2"]).world.seed == 2


@pytest.mark.parametrize(
    ("override", "wanted"),
    [
        ("world", "--set got 'world'; expected KEY=VALUE such as data.path=my/data"),
        ("=3", "--set got '=3'; expected KEY=VALUE such as data.path=my/data"),
        ("study.x=3", "--set study.x: 'study' is a value, not a section of the study"),
        ("seeds=[1", "--set seeds: '[1' is not valid YAML; quote it"),
    ],
)
def test_a_wrong_setting_is_one_sentence(override: str, wanted: str, tmp_path: Path) -> None:
    assert sentence(write(tmp_path, "study: a\n"), [override]) == wanted


def test_an_unknown_key_in_a_setting_is_named_with_the_nearest(tmp_path: Path) -> None:
    path = write(tmp_path, "study: a\n")
    assert sentence(path, ["world.bordom=1"]) == (
        f"{path}: unknown key 'world.bordom'; did you mean 'boredom'?"
    )


def test_the_settings_survive_the_way_to_a_worker_process(tmp_path: Path) -> None:
    found = load_config(write(tmp_path, "study: a\ndata: {path: x/y}\nseeds: [5]\n"))
    assert StudyConfig.model_validate_json(found.model_dump_json()) == found


def test_a_shrinkage_that_is_not_set_changes_no_key(tmp_path: Path) -> None:
    plain = load_config(write(tmp_path, "study: a\n"))
    assert "shrinkage" not in plain.model_dump(mode="json")["world"]
    chosen = load_config(write(tmp_path, "study: a\nworld: {shrinkage: 4}\n"))
    assert chosen.model_dump(mode="json")["world"]["shrinkage"] == 4.0
