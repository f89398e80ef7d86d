"""Simulated users as Gymnasium environments.

Importing this registers `simrec/Toy-v0` and the five worlds of real data, so that both
`gymnasium.make("simrec.envs:simrec/Toy-v0")` and `gymnasium.make_vec("simrec/Toy-v0", num_envs=8)`
work. It does not import torch: the adapter for Stable-Baselines3 is in `simrec.envs.sb3`.
"""

from dataclasses import asdict as _asdict

from simrec.envs.registry import WORLDS, load_world, register
from simrec.envs.single import RecommendEnv
from simrec.envs.spec import WorldSpec
from simrec.envs.users import FactorUsers, UserModel
from simrec.envs.vector import RecommendVectorEnv
from simrec.envs.world import Rules, World, build_world

__all__ = [
    "FactorUsers",
    "RecommendEnv",
    "RecommendVectorEnv",
    "Rules",
    "UserModel",
    "World",
    "WorldSpec",
    "build_world",
    "load_world",
    "register",
]

for _id, _world in WORLDS.items():
    register(_id, **_asdict(_world))
