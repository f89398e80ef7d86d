"""The best-known strategies in plain words, for those who meet them for the first time."""

_MEANINGS = {
    "scratch": "starts knowing nothing and learns from real users only",
    "frozen": "pretrained on the teacher's preferences, then never learns again",
    "ft": "pretrained on the teacher's preferences, then keeps learning from real users",
    "ap": "a new policy led by the pretrained one for as long as that clearly helps",
    "ap-ann": "a new policy led by the pretrained one less and less as time goes by",
    "greedy-reward": "shows what the teacher's learned reward likes best; never learns again",
    "popular": "shows everybody the items with most events in the log",
    "random": "shows items at random: the yardstick 0",
    "static": "shows everybody the best fixed list; it knows what users truly like",
    "oracle": "knows every user's taste: the yardstick 1",
}
_SHUFFLED = "a control whose teacher's answers were dealt out at random: as {}"


def meaning(strategy: str) -> str:
    """Return what a strategy does in a few words, "" for one that is not listed."""
    if strategy.endswith("-shuffled"):
        return _SHUFFLED.format(strategy.removesuffix("-shuffled"))
    return _MEANINGS.get(strategy, "")
