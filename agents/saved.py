"""Trained policies outside a study: saved without pickle, loaded for one catalogue only."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from simrec.agents.a2c import ItemA2C
from simrec.agents.adaptive import Guided
from simrec.agents.adaptive_pair import GuidedPair
from simrec.agents.averaged import Pair
from simrec.agents.awr import TaughtActor
from simrec.agents.distilled import Distilled
from simrec.agents.ensemble import Ensemble
from simrec.agents.expansion import Gated, Mixture
from simrec.agents.policy import ItemPolicy
from simrec.agents.session_bandit import BySession
from simrec.agents.two_level import TwoLevelPolicy
from simrec.errors import SimrecError, nearest
from simrec.files import atomic_folder
from simrec.items.table import ItemTable

FORMAT = 1
WEIGHTS = "weights.safetensors"
ABOUT = "policy.json"
IN_WEIGHTS = ("item_vectors", "groups")
Policy = ItemPolicy | TwoLevelPolicy
CLASSES: dict[str, type[Policy]] = {
    c.__name__: c
    for c in (
        *(ItemPolicy, Guided, Mixture, Gated, TaughtActor, BySession, Distilled, Ensemble, Pair),
        *(GuidedPair, TwoLevelPolicy),
    )
}

Known = str | tuple[str, bool]  # an item id, liked; or an item id and whether it was liked


def save_policy(policy: Policy, item_ids: Sequence[str], path: Path) -> None:
    """Write a folder with the weights as safetensors and everything else as JSON.

    Args:
        policy: Any policy of this project.
        item_ids: (I,) ids of the catalogue, in row order.
        path: The folder; an older one is replaced.
    """
    history = policy.observation_space["history"]  # type: ignore[index]
    step = policy.observation_space["step"]  # type: ignore[index]
    about = {
        "format": FORMAT,
        "class": type(policy).__name__,
        "arguments": _plain(policy.arguments),
        "length": int(history.shape[0]),
        "horizon": int(step.high.max()),
        "slate_size": policy.slate_size,
        "item_ids": list(item_ids),
    }
    with atomic_folder(path) as folder:
        weights = {name: value.contiguous() for name, value in policy.state_dict().items()}
        save_file(weights, folder / WEIGHTS)
        (folder / ABOUT).write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")


def _plain(arguments: dict[str, Any]) -> dict[str, Any]:
    """Return constructor arguments without what is among the weights: item table and groups."""
    kept = {name: value for name, value in arguments.items() if name not in IN_WEIGHTS}
    if kept.get("prior") is not None:
        kept["prior"] = _plain(kept["prior"])
    return kept


class SavedPolicy:
    """A policy that recommends from ids.

    Args:
        policy: The loaded policy.
        item_ids: (I,) ids of its catalogue.
    """

    def __init__(self, policy: Policy, item_ids: tuple[str, ...]) -> None:
        self.policy = policy
        self.item_ids = item_ids
        self._row = {item: row for row, item in enumerate(item_ids)}

    def recommend(
        self, history: Sequence[Known], k: int = 10, exclude: Iterable[str] = ()
    ) -> list[str]:
        """Return the k items a user would best be shown next, best first.

        Args:
            history: What the user met, oldest first: ids of liked items, or (id, liked) pairs.
            k: How many.
            exclude: Ids not to recommend; items of the history never are.

        Raises:
            SimrecError: An argument is of another kind, an id is not of this catalogue, or fewer
                than k items are left.
        """
        pairs = _pairs(history)
        if isinstance(exclude, str) or not isinstance(exclude, Iterable):
            raise SimrecError(f"exclude is {exclude!r}; expected a list of item ids")
        if isinstance(k, bool) or not isinstance(k, int | np.integer):
            raise SimrecError(f"k is {k!r}; expected a whole number of items")
        rows = np.array([self._of(item) for item, _ in pairs], dtype=np.int64)
        out = np.array([self._of(item) for item in exclude], dtype=np.int64)
        banned = np.zeros(len(self.item_ids), dtype=np.bool_)
        banned[rows], banned[out] = True, True
        left = len(self.item_ids) - int(banned.sum())
        if not 1 <= k <= left:
            raise SimrecError(
                f"k is {k}; expected 1 to {left}, the items that are neither in the history nor "
                "excluded"
            )
        length = self.policy.observation_space["history"].shape[0]  # type: ignore[index]
        items = torch.full((1, length), -1, dtype=torch.long)
        liked = torch.zeros(1, length)
        newest = rows[-length:]
        if len(newest):
            items[0, -len(newest) :] = torch.as_tensor(newest)
            answers = [float(good) for _, good in pairs[-length:]]
            liked[0, -len(newest) :] = torch.tensor(answers)
        step = torch.zeros(1, 1, dtype=torch.long)
        with torch.no_grad():
            scores = self.policy.log_probs({"history": items, "feedback": liked, "step": step})[0]
        scores[torch.as_tensor(banned)] = -torch.inf
        order = np.argsort(-scores.numpy(), kind="stable")[:k]
        return [self.item_ids[row] for row in order]

    def to_sb3(self, path: Path | str) -> None:
        """Write a Stable-Baselines3 archive, to be read by `ItemA2C.load` and learned on with.

        Raises:
            SimrecError: The policy acts by two policies, as those of `ap` do.
        """
        path = Path(path)
        kind: Any = type(self.policy)
        if kind not in (ItemPolicy, TwoLevelPolicy):
            raise SimrecError(
                f"a policy of class {kind.__name__} acts by two policies, which "
                "Stable-Baselines3 cannot hold; export one of frozen, ft or scratch"
            )
        model = ItemA2C(kind, None, _init_setup_model=False)
        model.observation_space = self.policy.observation_space
        model.action_space = self.policy.action_space
        model.n_envs = 1
        model.policy_kwargs = self.policy.arguments
        model._setup_model()
        model.policy.load_state_dict(self.policy.state_dict())
        path.parent.mkdir(parents=True, exist_ok=True)
        model.save(path)

    def _of(self, item: str) -> int:
        if not isinstance(item, str):
            raise SimrecError(f"an item id is {item!r}; expected text, for example '{item}'")
        if item not in self._row:
            hint = nearest(item, self.item_ids[:1000])
            if not hint.startswith("did you mean"):  # a whole catalogue helps nobody
                hint = f"its ids are such as '{self.item_ids[0]}'"
            raise SimrecError(
                f"item '{item}' is not in the catalogue this policy was trained on; {hint}"
            )
        return self._row[item]


def _pairs(history: Sequence[Known]) -> list[tuple[str, bool]]:
    """Return a history as (id, liked) pairs; raise SimrecError where it is no such thing."""
    if isinstance(history, str):
        raise SimrecError(
            f"the history is the text '{history}'; expected a list of ids or (id, liked) "
            f"pairs; for one item write ['{history}']"
        )
    if isinstance(history, Mapping) or not isinstance(history, Iterable):
        raise SimrecError(
            f"the history is {history!r}; expected a list of ids or (id, liked) pairs; for a new "
            "user write []"
        )
    pairs = []
    for one in history:
        if isinstance(one, str):
            pairs.append((one, True))
        elif isinstance(one, tuple | list) and len(one) == 2 and one[1] in (True, False):
            pairs.append((one[0], bool(one[1])))
        else:
            raise SimrecError(
                f"the history holds {one!r}; expected an item id (text) or a pair of an id and "
                "whether it was liked, such as ('12', True)"
            )
    return pairs


def load_policy(path: Path | str, table: ItemTable | None = None) -> SavedPolicy:
    """Return a policy saved by `save_policy`.

    Args:
        path: Its folder, for example runs/demo/policies/ap-seed-0.
        table: The item table it is to serve; None trusts the ids given to `recommend`.

    Raises:
        SimrecError: The folder cannot be read, or the policy belongs to another catalogue.
    """
    folder = Path(path)
    try:
        about = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
        weights = load_file(folder / WEIGHTS)
    except (OSError, ValueError, SafetensorError) as error:
        raise SimrecError(
            f"cannot read a policy from {folder} ({error}); expected a folder with {ABOUT} and "
            f"{WEIGHTS}, as a study writes under runs/STUDY/policies"
        ) from error
    format = about.get("format") if isinstance(about, dict) else None
    if format != FORMAT:
        raise SimrecError(
            f"{folder / ABOUT} has format {format}; this simrec reads {FORMAT}; save the policy "
            "again"
        )
    try:
        policy = _built(about, weights)
    except (KeyError, TypeError, ValueError, RuntimeError) as error:  # RuntimeError is PyTorch's
        raise SimrecError(
            f"the policy in {folder} is damaged: {ABOUT} and {WEIGHTS} do not fit each other "
            f"({type(error).__name__}); expected both as a study wrote them; delete the folder "
            "and run the study again"
        ) from error
    if table is not None:
        _check_table(policy, about["item_ids"], table)
    return SavedPolicy(policy, tuple(about["item_ids"]))


def _built(about: dict[str, Any], weights: dict[str, torch.Tensor]) -> Policy:
    n_items = len(about["item_ids"])
    if len(weights["vectors"]) != n_items:
        raise ValueError("another number of items")
    k = about["slate_size"]
    length = about["length"]
    policy = CLASSES[about["class"]](
        spaces.Dict(
            {
                "history": spaces.Box(-1, n_items - 1, (length,), np.int64),
                "feedback": spaces.Box(0.0, 1.0, (length,), np.float32),
                "step": spaces.Box(0, about["horizon"], (1,), np.int64),
            }
        ),
        spaces.Discrete(n_items) if k == 1 else spaces.MultiDiscrete([n_items] * k),
        lambda _: 0.0,
        **_with_vectors(about["arguments"], weights, ""),
    )
    policy.load_state_dict(weights)
    policy.set_training_mode(False)
    return policy


def _check_table(policy: Policy, item_ids: Sequence[str], table: ItemTable) -> None:
    """Raise SimrecError, saying what differs, unless the policy was trained on this table."""
    if table.fingerprint == policy.table_fingerprint:
        return
    was, now = policy.vectors.shape, table.fused.shape
    if tuple(item_ids) != tuple(table.ids):
        known = set(item_ids)
        new = next((item for item in table.ids if item not in known), None)
        what = f"has item '{new}', unknown to it" if new else "has these items in another order"
        raise SimrecError(
            f"the policy was trained on another catalogue: its table {policy.table_fingerprint} "
            f"has {was[0]} items, table {table.fingerprint} has {now[0]} and {what}; load the "
            "policy of this catalogue or pretrain again"
        )
    raise SimrecError(
        f"the policy was trained on the same {was[0]} items under another encoder: its table "
        f"{policy.table_fingerprint} has {was[1]} numbers an item, table {table.fingerprint} has "
        f"{now[1]}; encode the items as they were then, or pretrain again"
    )


def _with_vectors(
    arguments: dict[str, Any], weights: dict[str, torch.Tensor], prefix: str
) -> dict[str, Any]:
    whole = {**arguments, "item_vectors": weights[f"{prefix}vectors"].numpy()}
    if f"{prefix}group_of" in weights:
        whole["groups"] = weights[f"{prefix}group_of"].numpy()
    if whole.get("prior") is not None:
        whole["prior"] = _with_vectors(whole["prior"], weights, f"{prefix}prior.")
    return whole
