"""Arrays moved side by side onto big pages are the same arrays, and views find them again."""

import pickle

import numpy as np

from simrec.envs.bench import bench_world
from simrec.envs.big_pages import PAGE, gather
from simrec.envs.vector import RecommendVectorEnv


def test_arrays_are_moved_side_by_side_and_small_or_huge_ones_are_left():
    arrays = {
        "a": np.arange(100_001, dtype=np.int32),
        "b": np.linspace(0.0, 1.0, 30_000).reshape(3, -1),
        "none": np.zeros((0, 4)),
        "huge": np.zeros(2**22, dtype=np.uint8),
    }
    moved = gather(arrays)
    assert moved["none"] is arrays["none"]
    assert moved["huge"] is arrays["huge"]
    for name, part in arrays.items():
        assert moved[name].dtype == part.dtype
        np.testing.assert_array_equal(moved[name], part)
    first = moved["a"].ctypes.data
    assert first % PAGE == 0
    assert moved["b"].ctypes.data == first + 400_064  # 400 004 bytes, then the next cache line
    few = {"a": np.zeros(10)}
    assert gather(few)["a"] is few["a"]


def test_a_moved_environment_goes_on_after_it_was_pickled():
    actions = np.random.default_rng(100).integers(50, size=(8, 256, 2))
    env = RecommendVectorEnv(bench_world(50), 256, slate_size=2)
    env.reset(seed=100)
    for chosen in actions[:4]:
        env.step(chosen)
    twin = pickle.loads(pickle.dumps(env))
    for chosen in actions[4:]:
        ours, theirs = env.step(chosen), twin.step(chosen)
        np.testing.assert_array_equal(ours[1], theirs[1])
        for key in ours[0]:
            np.testing.assert_array_equal(ours[0][key], theirs[0][key])
        np.testing.assert_array_equal(
            ours[4]["final_info"]["user"], theirs[4]["final_info"]["user"]
        )
