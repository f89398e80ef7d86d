"""Sessions played again and live: the truth must agree with what was recorded."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from simrec.app import sessions
from simrec.errors import SimrecError
from simrec.live import POLICIES, LiveSession, load_world, play, policies, replay
from simrec.overview import Overview, overview
from tests.toy_study import make_toy_study


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Overview:
    return overview(make_toy_study(tmp_path_factory.mktemp("runs")))


def test_a_recorded_click_is_luck_below_its_chance(found: Overview) -> None:
    world = load_world(found.folder, found.first.fingerprints["world"])
    table = sessions.pairs(found, 230, "scratch", "frozen")
    assert len(table) >= 5
    for row in table.head(8).to_dict("records"):
        place = (int(row["slot"]), int(row["episode"]))
        course = sessions.course(found, 230, "scratch", *place)
        truth = replay(
            world,
            user=course.user,
            slates=course.slates,
            clicked=course.clicked,
            seed=230,
            slot=place[0],
            episode=place[1],
        )
        np.testing.assert_array_equal(truth.luck < truth.chance[:, 0], course.clicked[:, 0] == 1)
        assert (truth.streak[-1] == truth.patience) == course.left
        assert course.clicked.sum() == row["reward_a"]


def test_pairs_have_the_most_different_sessions_first(found: Overview) -> None:
    gap = sessions.pairs(found, 230, "scratch", "frozen")["difference"].abs().to_numpy()
    assert (np.diff(gap) <= 0).all()


@pytest.mark.parametrize("policy", [*POLICIES, "scratch after the run", "frozen after the run"])
def test_every_policy_serves_a_user_until_the_session_ends(found: Overview, policy: str) -> None:
    world = load_world(found.folder, found.first.fingerprints["world"])
    user = int(world.arrivals[0])
    session = LiveSession(world, found.folder, policy, user=user, seed=230, luck_seed=1)
    known = set(world.start_items[user][world.start_items[user] >= 0].tolist())
    while not session.over:
        play(session)
    items = [item for item, _ in session.shown]
    assert len(set(items)) == len(items) <= world.rules.horizon
    assert not known & set(items)
    if session.over == "left":
        assert [hit for _, hit in session.shown[-world.rules.patience :]] == [0] * 4


def test_what_a_run_learnt_is_played_and_is_not_what_it_began_with(found: Overview) -> None:
    learnt = ["frozen after the run", "scratch after the run"]
    assert policies(found.folder, 230) == [*learnt, *POLICIES]
    assert policies(found.folder, 9) == list(POLICIES)
    world = load_world(found.folder, found.first.fingerprints["world"])
    user = int(world.arrivals[0])

    def scores(policy: str) -> np.ndarray:
        session = LiveSession(world, found.folder, policy, user=user, seed=230, luck_seed=1)
        return session.score(session.observation)

    np.testing.assert_allclose(scores(learnt[0]), scores("pretrained"))  # frozen learns nothing
    assert not np.allclose(scores(learnt[1]), scores("pretrained"))


def test_a_person_s_answers_go_into_the_history(found: Overview) -> None:
    world = load_world(found.folder, found.first.fingerprints["world"])
    session = LiveSession(
        world, found.folder, "popular", user=int(world.arrivals[0]), seed=230, luck_seed=1
    )
    best, scores = session.suggestions(3)
    assert (np.diff(scores) <= 0).all()
    session.answer(best, int(best[1]))
    assert session.observation["history"][0, -3:].tolist() == best.tolist()
    assert session.observation["feedback"][0, -3:].tolist() == [0.0, 1.0, 0.0]
    assert not set(best.tolist()) & set(session.suggestions(3)[0].tolist())


def test_mistakes_are_sentences(found: Overview) -> None:
    with pytest.raises(SimrecError, match="holds no world abc"):
        load_world(found.folder, "abc")
    world = load_world(found.folder, found.first.fingerprints["world"])
    with pytest.raises(SimrecError, match=r"no live policy 'populr'; did you mean 'popular'\?"):
        LiveSession(
            world, found.folder, "populr", user=int(world.arrivals[0]), seed=230, luck_seed=1
        )
    with pytest.raises(SimrecError, match="run the study again, or take another policy"):
        LiveSession(
            world, found.folder, "pretrained", user=int(world.arrivals[0]), seed=9, luck_seed=1
        )


def test_replaying_needs_no_torch() -> None:
    code = "import sys, simrec.live; print('torch' in sys.modules)"
    answer = subprocess.run(
        [sys.executable, "-c", code],
        cwd=Path(__file__).resolve().parents[1],
        capture_output=True,
        text=True,
        check=True,
    )
    assert answer.stdout.strip() == "False"
