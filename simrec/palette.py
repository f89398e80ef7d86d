"""One colour for each strategy and control, wherever it is drawn.

The hues are those of Okabe and Ito (2008), which stay apart under the common colour blindnesses;
black is replaced by grey so that every line is seen on light and on dark.
"""

import zlib

STRATEGY_COLOURS: dict[str, str] = {
    "scratch": "#777777",
    "frozen": "#56B4E9",
    "ft": "#E69F00",
    "ap": "#009E73",
    "random": "#B5B5B5",
    "popular": "#B8A000",
    "static": "#A6761D",
    "greedy-reward": "#CC79A7",
    "oracle": "#8C6BB1",
}

_SPARE = ("#D55E00", "#0072B2", "#66A61E", "#C51B7D")


def colour_of(strategy: str) -> str:
    """Return the strategy's colour as #RRGGBB; a name not listed always gets the same spare one.

    A control by shuffled labels or a random pi_0 has the colour of the strategy it controls, and is
    dashed.
    """
    name = strategy.removesuffix("-shuffled").removesuffix("-random")
    return STRATEGY_COLOURS.get(name) or _SPARE[zlib.crc32(name.encode()) % len(_SPARE)]


def is_dashed(strategy: str) -> bool:
    """Return whether the strategy's line is dashed."""
    return strategy.endswith(("-shuffled", "-random"))
