"""Worlds on disk: a folder of one .npz and one .json file, whole or not at all."""

import json
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from simrec.envs.creators import Creators
from simrec.envs.friends import Friends
from simrec.envs.modality_users import ModalityUsers
from simrec.envs.retention import Retention
from simrec.envs.rules import Rules
from simrec.envs.schedule import Lifetimes, Schedule, Shift
from simrec.envs.told_users import ToldUsers
from simrec.envs.users import FactorUsers
from simrec.errors import SimrecError
from simrec.files import atomic_folder, write_json

if TYPE_CHECKING:
    from simrec.envs.world import World

SCHEMA = 1  # of the saved folder; raise it when an older folder could be misread
ARRAYS = ("topics", "start_items", "start_feedback", "arrivals")
PROCESSES: dict[str, Any] = {"creators": Creators, "friends": Friends}
KINDS: dict[str, Any] = {kind.__name__: kind for kind in (FactorUsers, ModalityUsers, ToldUsers)}


def save_world(world: "World", folder: Path) -> None:
    """Write a world.

    Raises:
        SimrecError: The population is of a kind that cannot be saved.
    """
    kind = type(world.users).__name__
    if KINDS.get(kind) is not type(world.users):
        raise SimrecError(
            f"world '{world.name}' cannot be saved: its users are {kind}; expected one of "
            f"{', '.join(KINDS)}, so build such a world anew from its parts"
        )
    users: Any = world.users
    own, tables = _divided(users)
    arrays = {name: getattr(world, name) for name in ARRAYS} | tables
    head: dict[str, Any] = {
        "schema": SCHEMA,
        "name": world.name,
        "rules": world.rules.described(),
        "fingerprint": world.fingerprint,
    }
    head |= own
    if kind != FactorUsers.__name__:
        head["users"] = kind
    if world.retention is not None:
        head["retention"] = asdict(world.retention)
    if world.schedule.shifts:
        head["shifts"] = [asdict(shift) for shift in world.schedule.shifts]
    lives = world.schedule.lifetimes
    if lives is not None:
        arrays |= {"appears": lives.appears, "expires": lives.expires}
    for process in PROCESSES:
        part = getattr(world, process)
        if part is not None:
            plain, more = _divided(part)
            head[process] = plain
            arrays |= {f"{process}.{name}": array for name, array in more.items()}
    with atomic_folder(folder) as temporary:
        np.savez(temporary / "world.npz", allow_pickle=False, **arrays)
        write_json(temporary / "world.json", head)


def _divided(part: Any) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Return the plain fields and the arrays of a dataclass, by name."""
    own = {field.name: getattr(part, field.name) for field in fields(part)}
    arrays = {name: value for name, value in own.items() if isinstance(value, np.ndarray)}
    return {name: value for name, value in own.items() if name not in arrays}, arrays


def _of(process: str, arrays: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Return the stored arrays of a process by their own names."""
    prefix = f"{process}."
    return {n.removeprefix(prefix): a for n, a in arrays.items() if n.startswith(prefix)}


def read_world(folder: Path) -> "World":
    """Read a world written by `save_world`; raise SimrecError when the folder cannot be read."""
    from simrec.envs.world import World

    try:
        head = json.loads((folder / "world.json").read_text(encoding="utf-8"))
        with np.load(folder / "world.npz", allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
        if head["schema"] != SCHEMA:
            raise ValueError(f"its schema is {head['schema']}, expected {SCHEMA}")
        kind = KINDS[head.get("users", FactorUsers.__name__)]
        own = {field.name: (head | arrays)[field.name] for field in fields(kind)}
        users = kind(**{k: tuple(v) if isinstance(v, list) else v for k, v in own.items()})
        shifts = tuple(
            Shift(**(shift | {"topics": tuple(shift["topics"])}))
            for shift in head.get("shifts", ())
        )
        lives = None
        if "appears" in arrays:
            lives = Lifetimes(arrays["appears"], arrays["expires"])
        processes = {
            process: kind(**head[process], **_of(process, arrays))
            for process, kind in PROCESSES.items()
            if process in head
        }
        world = World(
            name=head["name"],
            users=users,
            rules=Rules(**head["rules"]),
            schedule=Schedule(shifts, lives),
            retention=Retention(**head["retention"]) if "retention" in head else None,
            **processes,
            **{name: arrays[name] for name in ARRAYS},
        )
    except (OSError, ValueError, KeyError, TypeError, BadZipFile) as error:
        raise SimrecError(
            f"cannot read the world in {folder} ({error}); delete the folder and run again"
        ) from error
    return world
