"""A run that was put down and taken up again: the same bytes as one that was left alone."""

from dataclasses import fields
from pathlib import Path

import pandas as pd
import pytest
import torch

from simrec.agents.adapt import get_strategy
from simrec.agents.policy import ItemPolicy
from simrec.agents.strategy import Deployment, Online
from simrec.checkpoint import EVERY, Checkpoint, code_fingerprint
from simrec.deploy import Recorder, Tables, Underway, deploy, go_on
from simrec.envs.world import World
from tests.agent_worlds import checkerboard, make_env, make_spec, opinionated, parity_vectors

BUDGET = 3000


class Killed(Exception):
    """Stands for the end of the process."""


class Kept(Checkpoint):
    """A checkpoint that is due whenever asked, and whose n-th saving is the last thing done."""

    def __init__(self, path: Path, world: World, last: int) -> None:
        super().__init__(path, "key", {"world": world})
        self.left = last

    def due(self) -> bool:
        return True

    def save(self, state: Underway) -> None:
        super().save(state)
        self.left -= 1
        if self.left == 0:
            raise Killed


def begun(name: str, learner: str, world: World) -> tuple[Deployment, Recorder]:
    recorder = Recorder(make_env(world, 16), BUDGET)
    spec = make_spec(learner, parity_vectors(), free=True)
    pretrained = ItemPolicy(
        recorder.observation_space, recorder.action_space, lambda _: 1e-3, **spec.policy
    )
    opinionated(pretrained, 1, spread=0.2)
    return get_strategy(name)(pretrained, Online(spec, recorder, luck=5)), recorder


def weights(deployment: Deployment) -> dict[str, torch.Tensor]:
    return deployment.recommender.policy.state_dict()  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("name", "learner"),
    [
        *(("scratch", "kac"), ("ft", "kac"), ("ap", "kac"), ("ap-pex", "kac"), ("ap-pair", "kac")),
        ("ap", "a2c"),
    ],
)
def test_a_resumed_run_equals_one_never_interrupted(
    name: str, learner: str, tmp_path: Path
) -> None:
    world = checkerboard(horizon=8, patience=2)
    deployment, recorder = begun(name, learner, world)
    whole = deploy(deployment, recorder)
    want = weights(deployment)

    kept = Kept(tmp_path / "run", world, last=4)  # killed at the fourth rest, a third in
    with pytest.raises(Killed):
        deploy(*begun(name, learner, world), kept)
    again = Kept(tmp_path / "run", world, last=3)  # and once more, soon after
    underway = again.load()
    with pytest.raises(Killed):
        go_on(underway, again)
    underway = again.load()
    assert underway.recorder.base.vector_env.world is world  # read by all, written by none
    assert 0 < underway.recorder.env_steps < BUDGET
    resumed = go_on(underway)

    for field in fields(Tables):
        pd.testing.assert_frame_equal(
            getattr(resumed, field.name), getattr(whole, field.name), check_exact=True
        )
    found = weights(underway.deployment)
    assert found.keys() == want.keys()
    assert all(torch.equal(found[key], want[key]) for key in want)


def test_a_checkpoint_is_due_by_the_clock_and_read_by_its_key_only(tmp_path: Path) -> None:
    now = [100.0]
    kept = Checkpoint(tmp_path / "run", "one", {}, clock=lambda: now[0])
    assert kept.load() is None
    assert not kept.due()
    now[0] += EVERY
    assert kept.due()
    kept.save({"a": 1})
    assert not kept.due()
    assert kept.load() == {"a": 1}
    assert Checkpoint(tmp_path / "run", "two", {}).load() is None
    kept.clear()
    assert kept.load() is None and list(tmp_path.iterdir()) == []


def test_other_code_is_told_by_its_fingerprint_linked_rooms_included(tmp_path: Path) -> None:
    package, room = tmp_path / "package", tmp_path / "room"
    (package / "inner").mkdir(parents=True)
    room.mkdir()
    (package / "inner" / "a.py").write_text("x = 1\n")
    (room / "b.py").write_text("y = 1\n")
    (package / "linked").symlink_to(room)
    before = code_fingerprint(package)
    (package / "notes.txt").write_text("not code")
    assert code_fingerprint(package) == before
    (room / "b.py").write_text("y = 2\n")
    after = code_fingerprint(package)
    (room / "b.py").rename(room / "c.py")
    assert len({before, after, code_fingerprint(package)}) == 3
