"""What a study starts from, and the key of everything it will make.

A stage's file carries a key: the hash of everything that could change its content. A file with the
right key is read back, any other is made anew; so a study can be killed and run again.
"""

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simrec.config import DEGRADING, REFRESHING, StudyConfig
from simrec.datasets.columns import split_dataset
from simrec.datasets.dataset import Dataset
from simrec.datasets.source import read_dataset
from simrec.errors import SimrecError
from simrec.files import fingerprint
from simrec.interactions import InteractionLog, Part, Split, start_histories
from simrec.randomness import generator
from simrec.served import what_answers

PROTOCOL = 5  # raise it when a stage's meaning changes, so that old files are not read back


def read_stage(path: Path) -> dict[str, Any]:
    """Return a stage's JSON file; raise SimrecError when it cannot be read."""
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SimrecError(f"cannot read {path} ({error}); delete it and run again") from error
    return content


def _store_key(folder: Path) -> str:
    """Return the hash of a feature store's content and items, wherever it lies."""
    if not (folder / "meta.json").is_file():
        raise SimrecError(
            f"there is no feature store in {folder}; expected one written by `simrec items "
            f"encode`; encode the modality first"
        )
    meta = read_stage(folder / "meta.json")
    return fingerprint(meta["ids"], meta["files"])


def luck(seed: int, purpose: str) -> int:
    """Return a seed below 2^31 for one purpose of a study's seed."""
    return int(generator(seed, "study", purpose).integers(2**31))


@dataclass(frozen=True)
class Inputs:
    """The data of a study and where its files go."""

    config: StudyConfig
    root: Path  # runs folder; the study's own folder is root / study

    @property
    def folder(self) -> Path:
        """Folder of the study."""
        return self.root / self.config.study

    @cached_property
    def dataset(self) -> Dataset:
        """The filtered data set."""
        data = self.config.data
        return read_dataset(
            data.name,
            data.path,
            seed=data.toy_seed,
            min_item_events=data.min_item_events,
            min_user_events=data.min_user_events,
        )

    @cached_property
    def split(self) -> Split:
        """Who may see which event."""
        return split_dataset(self.dataset, **self.config.split.model_dump())

    @cached_property
    def agent_log(self) -> InteractionLog:
        """The events that may be used before deployment: the agent's part of teacher users."""
        allowed = self.split.part == Part.AGENT
        allowed &= ~self.split.online[self.dataset.log.user]
        return self.dataset.log.select(allowed)

    @cached_property
    def popularity(self) -> NDArray[np.int64]:
        """Events of each item (I,) in the agent's log."""
        return np.bincount(self.agent_log.item, minlength=self.agent_log.n_items)

    @cached_property
    def starts(self) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Start histories of every user: items (U, H) and liked (U, H)."""
        return start_histories(
            self.dataset.log,
            self.split,
            length=self.config.split.history,
            like_at=self.config.data.like_at,
        )

    # ---- keys ----

    @cached_property
    def items_key(self) -> str:
        """Key of the frozen item table, which is the truth."""
        config = self.config
        parts = config.model_dump(mode="json", include={"split", "items", "data"})
        parts["data"].pop("path")  # the content counts, not where it lies
        for apart in ("adapter", "hidden", "ids"):  # what an agent sees is keyed below
            parts["items"].pop(apart, None)
        return fingerprint(str(PROTOCOL), self.dataset.fingerprint, parts)

    @cached_property
    def agent_items_key(self) -> str:
        """Key of the item table that agents see; that of the true one where it is the true one."""
        hidden, adapter = self.config.items.hidden, self.config.items.adapter
        parts: list[str | dict[str, Any]] = [self.items_key]
        if hidden.pattern is not None:
            parts.append(hidden.model_dump(mode="json"))
        if adapter.name is not None:
            stores = {name: _store_key(folder) for name, folder in adapter.stores.items()}
            parts.append({**adapter.model_dump(mode="json"), "stores": stores})
        return self.items_key if len(parts) == 1 else fingerprint(*parts)

    @cached_property
    def world_key(self) -> str:
        """Key of the world and its bounds."""
        world = self.config.world.model_dump(mode="json")
        for permission in ("allow_static", "allow_circular"):
            world.pop(permission, None)  # no content
        parts = [str(self.config.online.slate_size)]
        told, online = self.config.world, self.config.online
        if told.retention or told.shifts or told.churn or told.creators or told.influence:
            parts.append(f"{online.n_envs} users, {online.env_steps} steps")  # see `season_played`
        if told.drift or told.satiation:
            parts.append("plans made anew")  # bounds of before were planned once a session
        if told.leave == "boredom":
            parts.append("plans that keep users")  # plans of before ignored this rule
        return fingerprint(self.items_key, world, *parts)

    def preferences_key(self, seed: int) -> str:
        """Key of a seed's preferences."""
        teacher = self.config.teacher.model_dump(mode="json")
        for name in (*REFRESHING, *DEGRADING):  # neither later rounds nor spoiling change them
            teacher.pop(name, None)
        if self.config.teacher.kind == "llm":
            teacher["model"], teacher["options"] = what_answers(
                teacher["model"], teacher["options"]
            )
        return fingerprint(self.agent_items_key, teacher, str(seed))

    def round_key(self, seed: int, number: int) -> str:
        """Key of the answers to a later round's questions, and of the policy that chose them."""
        sources = self.config.teacher.refresh_sources
        return fingerprint(self._pretrained_key(seed, False), sources, str(number))

    def policy_key(self, seed: int, shuffled: bool) -> str:
        """Key of a seed's pretrained policy and learned reward."""
        rounds = self.config.teacher.rounds
        if rounds == 1:
            return self._pretrained_key(seed, shuffled)
        return fingerprint(self.round_key(seed, rounds), str(shuffled))

    def _pretrained_key(self, seed: int, shuffled: bool) -> str:
        """Key of what the first round's answers are distilled into."""
        parts = self.config.model_dump(mode="json", include={"reward", "learner", "pretrain"})
        parts["learner"].pop("device", None)  # the same results to tolerance
        rules = self.config.world.model_dump(include={"topics", "horizon", "patience", "window"})
        doses = self.config.teacher.model_dump(mode="json", include=set(DEGRADING))
        return fingerprint(
            self.preferences_key(seed),
            parts,
            rules,
            str(shuffled),
            str(self.config.online.slate_size),
            *([doses] if doses else []),  # so that no old study gets another key
        )

    def run_key(self, strategy: str, seed: int) -> str:
        """Key of one run."""
        online = self.config.online.model_dump(
            mode="json", include={"env_steps", "n_envs", "propensities"}
        )
        learner = self.config.learner.model_dump(mode="json")
        learner.pop("device", None)
        return fingerprint(
            self.world_key,
            self.policy_key(seed, strategy.endswith("-shuffled")),
            online,
            learner,
            strategy,
            str(seed),
        )

    def stage_file(self, name: str, key: str, suffix: str) -> Path:
        """Path of a stage's file."""
        return self.folder / "stages" / f"{name}-{key}{suffix}"
