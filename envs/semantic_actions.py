"""Acting by semantic ids: items as tuples of codes, chosen at once or code by code."""

from collections.abc import Sequence
from typing import Any, SupportsFloat

import gymnasium
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from simrec.envs.sessions import Observation
from simrec.envs.single import RecommendEnv
from simrec.errors import SimrecError, nearest
from simrec.items.semantic_ids import SemanticIds

INVALID = ("nearest", "refuse")  # what becomes of codes that no item has


class _Coded:
    """What both wrappers know: the ids, the environment inside, and what is free to be shown."""

    def __init__(
        self,
        env: gymnasium.Env[Any, Any],
        ids: SemanticIds,
        centres: Sequence[NDArray[np.float64]],
        invalid: str,
        asking: str,
    ) -> None:
        inner = env.unwrapped
        if not isinstance(inner, RecommendEnv):
            raise SimrecError(
                f"{asking} needs a RecommendEnv, got {type(inner).__name__}; make it by "
                "gymnasium.make"
            )
        if len(ids.codes) != inner.world.n_items:
            raise SimrecError(
                f"{asking} got semantic ids of {len(ids.codes)} items; expected "
                f"{inner.world.n_items}, as the world has"
            )
        if invalid not in INVALID:
            raise SimrecError(f"invalid is '{invalid}'; {nearest(invalid, INVALID)}")
        self.inner, self.ids, self.centres = inner, ids, centres
        self.refuses = invalid == "refuse"
        self.k, self.levels = inner.slate_size, len(ids.sizes)

    def free(self, slate: Sequence[int]) -> NDArray[np.bool_]:
        """Return (I,) True where an item is unseen and not in the slate so far.

        Where nothing is unseen, all that the slate does not hold is free.
        """
        free = self.inner.action_masks()[: self.inner.world.n_items].copy()
        free[list(slate)] = False
        if not free.any():
            free[:] = True
            free[list(slate)] = False
        return free

    def item(self, code: NDArray[np.int64], slate: Sequence[int]) -> int:
        """Return the item that a whole tuple means now."""
        if self.refuses:
            return self.ids.item(code.tolist())
        return self.ids.nearest_item(code.tolist(), self.centres, self.free(slate))

    def slate(self, codes: NDArray[np.int64]) -> list[int]:
        """Return the items (n,) that n tuples (n, L) mean now."""
        slate: list[int] = []
        for code in codes:
            slate.append(self.item(code, slate))
        return slate

    def mask_after(self, codes: Sequence[int]) -> NDArray[np.bool_]:
        """Return (size of the level,) True where a code after others leads to a free item."""
        whole = len(codes) - len(codes) % self.levels
        slate = self.slate(np.asarray(codes[:whole], dtype=np.int64).reshape(-1, self.levels))
        return self.ids.allowed(codes[whole:], self.free(slate))


class _SemanticIdWrapper(
    gymnasium.Wrapper[Observation, Any, Observation, Any],
    gymnasium.utils.RecordConstructorArgs,
):
    """What both wrappers are made from."""

    def __init__(
        self,
        env: gymnasium.Env[Any, Any],
        ids: SemanticIds,
        *,
        centres: Sequence[NDArray[np.float64]] = (),
        invalid: str = "nearest",
    ) -> None:
        gymnasium.utils.RecordConstructorArgs.__init__(
            self, ids=ids, centres=centres, invalid=invalid
        )
        gymnasium.Wrapper.__init__(self, env)
        self._coded = _Coded(env, ids, centres, invalid, type(self).__name__)
        self._prepare()

    def _prepare(self) -> None:
        """Set the spaces and whatever else the wrapper keeps."""
        raise NotImplementedError


class SemanticIdAction(_SemanticIdWrapper):
    """Actions are the codes of k items, all at once.

    Action: `MultiDiscrete(sizes * k)`, the L codes of the first item, then of the second. Most
    tuples belong to no item, and `action_masks()` cannot say so, because it masks each level on its
    own (as sb3-contrib's MaskablePPO wants); so by default a tuple means the nearest unseen item:
    code by code the asked code where an unseen item goes on with it, else the nearest that does
    (see `SemanticIds.nearest_code`). The tuple of an unseen item is always that item. A policy that
    chooses code by code takes `mask_after`, or `StepwiseSemanticId`, and never meets that rule.

    Args:
        env: A RecommendEnv, wrapped or not.
        ids: The codes of its items, for example from `residual_kmeans`.
        centres: Vectors of the codes by level, to say which are near; () goes by number.
        invalid: "nearest", as above, or "refuse": a tuple without an item is an error, and one of
            an item already seen is shown all the same and ignored, as with item numbers.

    Raises:
        SimrecError: Another kind of environment, ids of another catalogue, or a wrong name.
    """

    def _prepare(self) -> None:
        self.action_space = spaces.MultiDiscrete(list(self._coded.ids.sizes) * self._coded.k)

    def step(self, action: Any) -> tuple[Observation, SupportsFloat, bool, bool, dict[str, Any]]:
        """Show the items that codes (k * L,) mean now."""
        return self.env.step(self.action(action))

    def action(self, action: NDArray[np.int64]) -> Any:
        """Return the item row (k = 1) or rows (k,) that codes (k * L,) mean now."""
        codes = np.asarray(action, dtype=np.int64).reshape(self._coded.k, -1)
        slate = self._coded.slate(codes)
        return np.array(slate) if self._coded.k > 1 else slate[0]

    def action_masks(self) -> NDArray[np.bool_]:
        """Return (k * sum of sizes,): True where some unseen item has the code at that level."""
        free, ids = self._coded.free(()), self._coded.ids
        levels = []
        for level, size in enumerate(ids.sizes):
            mask = np.zeros(size, dtype=np.bool_)
            mask[ids.codes[free, level]] = True
            levels.append(mask)
        return np.tile(np.concatenate(levels), self._coded.k)

    def mask_after(self, codes: Sequence[int]) -> NDArray[np.bool_]:
        """Return (size of the next level,): True where a code leads on to an unseen item.

        Args:
            codes: The first codes of the action, 0 to k * L - 1 of them. Items that they complete
                are taken to be in the slate, so the mask offers none of them again.

        Raises:
            SimrecError: The codes lead to no unseen item.
        """
        return self._coded.mask_after(codes)


class StepwiseSemanticId(_SemanticIdWrapper):
    """One code a step: an item is shown after L steps, a slate after k * L, with exact masks.

    Action: `Discrete(largest size)`, the next code. `action_masks()` is True exactly for codes that
    lead on to an unseen item that the slate does not hold, so that whoever follows the masks never
    names a tuple without an item. The observation gains `prefix` (k * L,) int64, the codes chosen
    so far and -1 for those to come. Rewards and ends come with the last code; the steps before it
    have reward 0 and leave the rest of the observation as it was. `step` and the horizon still
    count recommendations, so a discount is applied k * L times for each.

    Args:
        env: A RecommendEnv, wrapped or not.
        ids: The codes of its items.
        centres: Vectors of the codes by level, to say which are near; () goes by number.
        invalid: What becomes of a code that the mask forbids: "nearest" takes the nearest that it
            allows, "refuse" makes it an error.

    Raises:
        SimrecError: Another kind of environment, ids of another catalogue, or a wrong name.
    """

    def _prepare(self) -> None:
        length, largest = self._coded.k * self._coded.levels, max(self._coded.ids.sizes)
        assert isinstance(self.env.observation_space, spaces.Dict)
        self.action_space = spaces.Discrete(largest)
        prefix = spaces.Box(-1, largest - 1, (length,), np.int64)
        seen: Any = spaces.Dict({**self.env.observation_space.spaces, "prefix": prefix})
        self.observation_space = seen
        self._slate: list[int] = []  # items whose codes are whole
        self._begun: list[int] = []  # codes of the next item
        self._seen: Observation = {}
        self._info: dict[str, Any] = {}

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Begin a session with no code chosen."""
        self._slate, self._begun = [], []
        self._seen, self._info = self.env.reset(seed=seed, options=options)
        return self._observation(), self._info

    def step(self, action: int) -> tuple[Observation, SupportsFloat, bool, bool, dict[str, Any]]:
        """Choose the next code; the last one shows the slate.

        Raises:
            SimrecError: With "refuse", a code that the mask forbids.
        """
        coded = self._coded
        self._begun.append(self._code(int(action)))
        if len(self._begun) == coded.levels:
            self._slate.append(coded.ids.item(self._begun))
            self._begun = []
        if len(self._slate) < coded.k:
            return self._observation(), 0.0, False, False, dict(self._info)
        shown: Any = np.array(self._slate) if coded.k > 1 else self._slate[0]
        self._slate = []
        self._seen, reward, terminated, truncated, self._info = self.env.step(shown)
        return self._observation(), reward, terminated, truncated, self._info

    def action_masks(self) -> NDArray[np.bool_]:
        """Return (largest size,): True where a code leads on to an item that can be shown."""
        now = self._coded.ids.allowed(self._begun, self._coded.free(self._slate))
        mask = np.zeros(max(self._coded.ids.sizes), dtype=np.bool_)
        mask[: len(now)] = now
        return mask

    def _code(self, asked: int) -> int:
        """Return the code that is taken for the one asked."""
        if self.action_masks()[asked]:
            return asked
        ids, free = self._coded.ids, self._coded.free(self._slate)
        if self._coded.refuses:
            raise SimrecError(
                f"code {asked} after {tuple(self._begun)} leads to no item that can be shown; "
                "expected a code that `action_masks` allows"
            )
        last = ids.sizes[len(self._begun)] - 1  # a level may have fewer codes than the largest
        return ids.nearest_code(self._begun, min(asked, last), self._coded.centres, free)

    def _observation(self) -> Observation:
        prefix = np.full(self._coded.k * self._coded.levels, -1, dtype=np.int64)
        codes = [*self._coded.ids.codes[self._slate].ravel(), *self._begun]
        prefix[: len(codes)] = codes
        return {**{name: part.copy() for name, part in self._seen.items()}, "prefix": prefix}
