"""The first strategies serve the very sessions they served when the published study ran."""

import hashlib

import pytest

from simrec.agents.adapt import Online, get_strategy
from simrec.agents.policy import ItemPolicy
from simrec.deploy import Recorder, deploy
from tests.agent_worlds import checkerboard, make_env, make_spec, opinionated, parity_vectors

# SHA-256 of the episodes table; under protocol 4 only that of ap is new. A change here means that
# results of studies made before it can no longer be made again, and that PROTOCOL must be raised.
RECORDED = {
    "scratch": "a8d40bbd622ff0620f9da4807bf0043bc5397171d074a223cbaa623a499e0b61",
    "frozen": "dcaf6dbbdcd6c2e2d56541e7503a94e8d64472061e7b7d1dfd053639c3546a60",
    "ft": "3d445f226b69bcaae9335ddc7f4fe8d8f7b7590b701d9c969503044518f6766d",
    "ap": "1670b6187c00b171368a7092d819877abd34d990243de1fb6d48f2257f3e21f6",
    "ap-ann": "316e7e6f930e41d382dd18c2d9589728e0cb675927de95d62877b1a8ee9a283b",
}


def sessions(name: str) -> str:
    """Return the hash of the sessions a strategy served on a small world with learner kac."""
    recorder = Recorder(make_env(checkerboard(horizon=8, patience=2), 16), 2400)
    spec = make_spec("kac", parity_vectors(), free=True)
    pretrained = ItemPolicy(
        recorder.observation_space, recorder.action_space, lambda _: 1e-3, **spec.policy
    )
    opinionated(pretrained, 1, spread=0.2)
    pretrained.temperature.fill_(0.08)
    tables = deploy(get_strategy(name)(pretrained, Online(spec, recorder, luck=5)), recorder)
    return hashlib.sha256(tables.episodes.to_csv(index=False).encode()).hexdigest()


@pytest.mark.parametrize("name", RECORDED)
def test_a_first_strategy_serves_the_sessions_it_always_served(name: str) -> None:
    assert sessions(name) == RECORDED[name]
