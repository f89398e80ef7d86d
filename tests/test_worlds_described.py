"""Worlds in words: one spelling for files and `gymnasium.make`, and all of them can be saved."""

import dataclasses
from pathlib import Path
from typing import Any, get_args

import gymnasium
import numpy as np
import pytest

from simrec.compare import compare
from simrec.config import StudyConfig
from simrec.config_world import FIRST, STUDY_ONLY, WorldConfig
from simrec.datasets.columns import split_dataset
from simrec.datasets.toy import make_toy
from simrec.envs.build import Source, fit_world, true_table
from simrec.envs.choice import CHOICES
from simrec.envs.leave import LEAVES
from simrec.envs.load import load_parts, source_of
from simrec.envs.modality_users import ModalityUsers
from simrec.envs.planned import Churn, PlannedShift, make_schedule
from simrec.envs.registry import spec_for
from simrec.envs.resemblance import resemblance
from simrec.envs.retention import Retention
from simrec.envs.schedule import FOREVER
from simrec.envs.signals import REWARDS
from simrec.envs.spec import KINDS, WorldSpec, make_spec
from simrec.envs.vector import RecommendVectorEnv
from simrec.envs.world import World
from simrec.errors import SimrecError
from simrec.items.build import build_item_table
from simrec.progress import bars
from simrec.records import read_record
from simrec.stages.inputs import Inputs
from simrec.stages.world import check_circular, world_spec
from simrec.study import run_study

LLM: dict[str, Any] = {"users": "llm", "user_model": "scripted:hash", "people": 3}
BEHAVING: dict[str, Any] = {
    "choice": "cascade",
    "reward": "minutes",
    "minutes": 3.0,
    "leave": "budget",
    "drift": 0.1,
    "satiation": 0.5,
    "novelty": 0.2,
    "retention": {"gain": 0.5, "days": 9},
    "shifts": [{"date": 3, "size": 1.5, "topics": ["pets", 0], "until": 9}],
    "churn": {"share": 0.5, "last": 8, "lifetime": 6},
}
MARKET = {"count": 6, "reserve": 0.5, "period": 7, "least": 0.5, "clicks": True}
SETTINGS: dict[str, dict[str, Any]] = {
    "creators": {"creators": MARKET},
    "plain": {},
    "modality": {"users": "modality", "interaction_scale": 2.0},
    "llm": LLM,
    "behaving": BEHAVING,
    "modality behaving": {"users": "modality", **BEHAVING},
}


@pytest.fixture(scope="module")
def source() -> Source:
    data = make_toy(seed=4, n_items=48, n_users=40)
    return source_of(data, split_dataset(data, seed=0, history=5), debias=False, seed=0)


@pytest.fixture(scope="module")
def table(source: Source) -> Any:
    popularity = np.bincount(source.dataset.log.item, minlength=source.dataset.log.n_items)
    return build_item_table(source.dataset.catalogue, popularity, modalities=["text"])


def described(**settings: Any) -> WorldSpec:
    return make_spec({"dataset": "toy", "topics_attribute": "topic", "history": 5} | settings)


def course(world: World) -> bytes:
    """Return every byte of 40 steps."""
    env = RecommendVectorEnv(world, 6, slate_size=2)
    rng = np.random.default_rng(3)
    obs, _ = env.reset(seed=5)
    seen = [part.tobytes() for part in obs.values()]
    for _ in range(40):
        obs, reward, left, cut, _ = env.step(rng.integers(world.n_items, size=(6, 2)))
        seen += [part.tobytes() for part in (*obs.values(), reward, left, cut)]
    return b"".join(seen)


@pytest.mark.parametrize("name", SETTINGS)
def test_any_world_that_a_study_can_describe_is_saved_and_loaded(
    name: str, source: Source, table: Any, tmp_path: Path, data_home: Path
) -> None:
    spec = described(**SETTINGS[name])
    world, report = fit_world(spec, source, table)
    world.save(tmp_path / "world")
    again = World.load(tmp_path / "world")
    assert type(again.users) is type(world.users)
    assert again.fingerprint == world.fingerprint
    assert (
        (again.rules, again.retention)
        == (world.rules, world.retention)
        == (
            spec.rules,
            spec.retention,
        )
    )
    assert course(again) == course(world)
    same, same_report = fit_world(spec, source, table)
    assert same.fingerprint == world.fingerprint
    assert same_report.as_dict().keys() == report.as_dict().keys()


def test_behaviour_changes_what_users_do(source: Source, table: Any) -> None:
    plain, _ = fit_world(described(), source, table)
    behaving, _ = fit_world(described(**BEHAVING), source, table)
    assert plain.users.fingerprint == behaving.users.fingerprint  # type: ignore[attr-defined]
    assert course(plain) != course(behaving)
    assert behaving.schedule.shifts[0].topics[1] == 0
    lives = behaving.schedule.lifetimes
    assert lives is not None and (lives.expires < FOREVER).sum() == 24


def test_a_study_and_gymnasium_spell_a_world_the_same(data_home: Path) -> None:
    names = set(WorldConfig.model_fields) - set(STUDY_ONLY) - {"topics"}
    assert names <= set(WorldSpec.__dataclass_fields__)
    for settings in SETTINGS.values():
        config = WorldConfig.model_validate({"topics": "topic", **settings})
        assert make_spec({"dataset": "toy", "history": 5, **config.spec_settings()}) == described(
            **settings
        )
    env = gymnasium.make("simrec/Toy-v0", **BEHAVING).unwrapped
    assert env.world.rules.choice == "cascade"  # type: ignore[attr-defined]
    assert env.world.retention == Retention(gain=0.5, days=9)  # type: ignore[attr-defined]
    own = gymnasium.make("simrec/Toy-v0").unwrapped.world  # type: ignore[attr-defined]
    assert own.users is env.world.users  # type: ignore[attr-defined]  # fitted once for all rules


def test_what_was_tuned_for_one_kind_of_users_is_not_carried_to_another() -> None:
    assert (spec_for("coat").shrinkage, spec_for("coat", seed=1).interaction_scale) == (4.0, 3.0)
    weighing = spec_for("coat", users="modality")
    assert (weighing.shrinkage, weighing.interaction_scale) == (None, 3.0)
    assert spec_for("coat", **LLM) == WorldSpec(
        "coat", topics_attribute="jackettype", like_at=3.0, **LLM
    )


def test_names_that_a_study_may_choose_are_those_there_are() -> None:
    def allowed(field: str) -> set[str]:
        kind = WorldConfig.model_fields[field].annotation
        return {name for part in get_args(kind) for name in get_args(part) or (part,)} - {None}

    assert allowed("choice") - {type(None)} == set(CHOICES)
    assert allowed("leave") - {type(None)} == set(LEAVES)
    assert allowed("reward") - {type(None)} == set(REWARDS)
    assert set(get_args(WorldConfig.model_fields["users"].annotation)) == set(KINDS)


def test_settings_that_came_later_are_in_no_key_at_their_defaults() -> None:
    assert tuple(WorldConfig().model_dump()) == FIRST
    given = WorldConfig.model_validate({"drift": 0.2}).model_dump(mode="json")
    assert given["drift"] == 0.2 and set(given) == {*FIRST, "drift"}


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"dirft": 0.1}, "a world has no setting 'dirft'; did you mean 'drift'?"),
        ({"users": "modalities"}, "there are no users 'modalities'; did you mean 'modality'?"),
        ({"retention": {"gian": 1}}, "retention have no 'gian'; did you mean 'gain'?"),
        ({"churn": 3}, "churn got 3; expected share, last, lifetime with their values"),
        ({"churn": {"share": 1.0}}, "churn.share is 1.0; expected 0 or more and below 1"),
        ({"shifts": [{"date": 1}]}, "shifts lack 'size'; expected date, size, topics, until"),
        ({"shifts": 3}, "shifts are 3; expected a list of shifts"),
        ({"horizon": "many"}, "horizon is 'many'; expected a whole number"),
        ({"drift": 2.0}, "rules.drift is 2.0; expected 0 to 1"),
        ({"leave": "streek"}, "rules.leave has no 'streek'; did you mean 'streak'?"),
        ({"shrinkage": "best"}, "shrinkage is 'best'; expected a positive number or 'chosen'"),
        ({"debias": "base"}, "debias is 'base'; expected true, false or 'bayes'"),
        ({"people": 3}, "people is 3, which users 'factor' do not read; remove it"),
        (LLM | {"drift": 0.5}, "drift is 0.5, which users 'llm' do not read; remove it"),
    ],
)
def test_a_mistake_in_a_world_is_one_sentence(settings: dict[str, Any], sentence: str) -> None:
    with pytest.raises(SimrecError) as caught:
        described(**settings)
    assert str(caught.value) == sentence


def test_a_topic_or_friends_that_are_not_there_are_named(source: Source, table: Any) -> None:
    shift = {"date": 1, "size": 1.0, "topics": ["pet"]}
    with pytest.raises(SimrecError, match=r"names the topic 'pet', which the world has not; did y"):
        fit_world(described(shifts=[shift]), source, table)
    with pytest.raises(SimrecError, match=r"clusters have numbers only, counted from 0$"):
        fit_world(described(shifts=[shift], topics_attribute=None), source, table)
    with pytest.raises(SimrecError, match=r"^friends is 0\.5, but the data set 'toy' names no fri"):
        fit_world(described(friends=0.5), source, table)


def test_dates_of_churn_are_spread_evenly_and_the_others_stay() -> None:
    lives = Churn(share=0.5, last=8, lifetime=3).lifetimes(8, seed=0)
    assert sorted(lives.appears.tolist()) == [0, 0, 0, 0, 0, 2, 4, 6]
    changing = lives.expires < FOREVER
    assert changing.sum() == 4
    assert (lives.expires - lives.appears)[changing].tolist() == [3] * 4
    nothing = make_schedule((), None, topics=("a",), n_items=8, seed=0)
    assert not nothing
    planned = make_schedule(
        (PlannedShift(2, -1.0, ("b", 0)),), None, topics=("a", "b"), n_items=8, seed=0
    )
    assert planned.tilt(2, 2).tolist() == [-1.0, -1.0] and planned.tilt(1, 2).tolist() == [0, 0]


def test_users_judge_the_true_item_whatever_the_agent_is_shown(source: Source, table: Any) -> None:
    spec = described(users="modality")
    poor, _ = fit_world(spec, source, table)  # the agent's table has the texts only
    hidden = dataclasses.replace(
        table,
        fused=np.zeros_like(table.fused),
        parts={name: np.zeros_like(part) for name, part in table.parts.items()},
        present=np.zeros_like(table.present),
    )
    blind, _ = fit_world(spec, source, hidden)
    assert isinstance(poor.users, ModalityUsers) and isinstance(blind.users, ModalityUsers)
    assert poor.users.fingerprint == blind.users.fingerprint
    truth = true_table(spec, source.dataset)
    assert poor.users.modalities == truth.modalities
    assert set(table.modalities) < set(truth.modalities)
    for own in (poor.users.item_vectors, *truth.parts.values()):
        for shown in (table.fused, *table.parts.values()):
            assert not np.shares_memory(own, shown)


CIRCLE: dict[str, Any] = {
    "study": "circle",
    "seeds": [220],
    "data": {"name": "toy", "toy_seed": 5, "min_user_events": 58},
    "world": {"topics": "topic", "bounds_sessions": 16, "allow_static": True, **LLM},
    "teacher": {"kind": "llm", "model": "scripted:hash", "questions_per_user": 1, "swap_sample": 0},
    "reward": {"epochs": 1, "weight_decays": [3.0]},
    "pretrain": {"env_steps": 32, "n_envs": 4},
    "online": {"env_steps": 32, "n_envs": 4, "strategies": ["frozen"], "controls": ["random"]},
}


def test_one_model_as_teacher_and_user_needs_permission_and_carries_the_label(
    tmp_path: Path, data_home: Path
) -> None:
    with pytest.raises(SimrecError) as caught:
        check_circular(StudyConfig.model_validate(CIRCLE))
    assert str(caught.value) == (
        "circular: hash is both teacher and user, so the teacher is right by construction and "
        "nothing is learnt about people; expected two models, or set world.allow_circular: true "
        "to run it with that label"
    )
    world = CIRCLE["world"] | {"allow_circular": True}
    config = StudyConfig.model_validate(CIRCLE | {"world": world})
    other = CIRCLE["teacher"] | {"model": "scripted:my.module:rule"}
    assert check_circular(StudyConfig.model_validate(CIRCLE | {"teacher": other})) is None
    key = Inputs(config, tmp_path).world_key
    assert key == Inputs(StudyConfig.model_validate(CIRCLE), tmp_path).world_key
    said: list[str] = []
    with bars() as shown:
        run_study(config, tmp_path, bars=shown, say=said.append, workers=1)
    assert said[0].startswith("circular: hash is both teacher and user")
    assert "users: asking scripted:hash as user 3 of 3" in said
    record = read_record(tmp_path / "circle" / "frozen" / "seed-220")
    assert record.teacher["circular"] is True
    assert record.teacher["warning"].startswith("circular: hash is both teacher and user")
    assert record.world == "toy (users played by scripted:hash, not fitted to people)"
    found = compare(tmp_path / "circle")
    assert found.world == record.world
    assert any(warning.startswith("circular:") for warning in found.teachers.values())


def test_users_played_by_a_model_are_compared_with_the_people_they_stand_for(
    source: Source, table: Any, data_home: Path
) -> None:
    world, report = fit_world(described(**LLM | {"people": 12}), source, table)
    assert len(world.arrivals) == 12
    log = source.dataset.log
    found = resemblance(world, log, source.split, like_at=4.0, seed=0)
    assert found.users <= 12 and found.offers == report.judged
    assert found.notes[0].startswith("users played by scripted:hash, not fitted to people;")


def test_the_study_hands_its_own_settings_to_the_users(tmp_path: Path, data_home: Path) -> None:
    content = {"study": "a", "data": {"name": "toy", "like_at": 3.0}, "split": {"history": 7}}
    spec = world_spec(Inputs(StudyConfig.model_validate(content), tmp_path))
    assert spec == WorldSpec("toy", like_at=3.0, history=7)
    assert load_parts(WorldSpec("toy")).dataset.catalogue.name == spec.dataset
