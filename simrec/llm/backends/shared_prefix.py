"""When what prompts begin with can be run once, and their rests go on from a copy of its cache."""

import copy
from dataclasses import dataclass
from typing import Any

from transformers import PreTrainedConfig
from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer

ENDLESS = 2**31
WORTH = 1 / 3  # of the longest prompt; a shorter beginning is not worth a run of its own


@dataclass(frozen=True)
class Sharing:
    """How many tokens, reply and all, a prompt may have for what its model's cache allows.

    A cache is widened by copying keys and values of every token. A recurrent, compressed or indexed
    state is left alone: not every such model goes on from one by several tokens, and the padding
    that a rest begins with would go into it. There `at_all` is 0 and nothing is shared.

    A sliding window counts places in the cache, so padding between prefix and rest would push
    tokens out of it, and a model without position_ids counts them for positions. Beyond `padded`
    only rests of one length run together, which need no padding.
    """

    at_all: int
    padded: int

    def plan(self, rows: list[list[int]], reply: int) -> tuple[int, list[list[int]]]:
        """Return how many tokens to run once, 0 for none, and which rows then go on together.

        Args:
            rows: Tokens of the prompts.
            reply: Tokens of the longest reply.
        """
        longest, everybody = max(map(len, rows)), list(range(len(rows)))
        size = in_common(rows)
        if len(rows) == 1 or size < WORTH * longest or longest + reply > self.at_all:
            return 0, [everybody]
        if longest + reply <= self.padded:
            return size, [everybody]
        return size, alike(rows, len(rows))


def in_common(rows: list[list[int]]) -> int:
    """Return how many tokens all rows begin with, at least one of each row left to be run."""
    first, last = min(rows), max(rows)  # in the order of lists nothing differs sooner than these
    most = min(map(len, rows)) - 1
    return next((n for n in range(most) if first[n] != last[n]), most)


def alike(rows: list[list[int]], most: int) -> list[list[int]]:
    """Return places of rows or options of one length, at most so many together."""
    found: dict[int, list[int]] = {}
    for n, row in enumerate(rows):
        found.setdefault(len(row), []).append(n)
    return [
        same[first : first + most] for same in found.values() for first in range(0, len(same), most)
    ]


def sharing_of(config: PreTrainedConfig, cache: Any, *, positions: bool) -> Sharing:
    """Return what a model's cache allows.

    Args:
        config: Of the model's text part.
        cache: That the model made for some token.
        positions: Whether the model takes position_ids.
    """
    layers = getattr(cache, "layers", [])
    if not layers or any(
        type(one) not in (DynamicLayer, DynamicSlidingWindowLayer) for one in layers
    ):
        return Sharing(0, 0)
    windows = [one.sliding_window for one in layers if isinstance(one, DynamicSlidingWindowLayer)]
    if "local" in getattr(config, "attention_layers", ()):  # GPT-Neo keeps all and masks by place
        windows.append(config.window_size)
    return Sharing(_steady(config), min(windows, default=ENDLESS) if positions else 0)


def _steady(config: PreTrainedConfig) -> int:
    """Return up to how many tokens a token's key does not depend on how many there are.

    Beyond its limit "longrope" turns all positions otherwise, so keys of a prefix run by itself
    would not be those of the whole prompt.
    """
    rope = getattr(config, "rope_parameters", None) or {}
    kinds = [rope, *(one for one in rope.values() if isinstance(one, dict))]
    limits = [
        one.get("original_max_position_embeddings") or 0
        for one in kinds
        if one.get("rope_type") == "longrope"
    ]
    return min(limits, default=ENDLESS)


def widened(cache: Any, times: int) -> Any:
    """Return a copy of a cache with every row so many times."""
    wide = copy.deepcopy(cache)
    if times > 1:  # not every cache can be widened
        wide.batch_repeat_interleave(times)
    return wide
