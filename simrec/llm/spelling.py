"""How one choice may be written: what a check lets pass, a score has to count."""


def plain(text: str) -> str:
    """Return what of a reply counts: no spaces, quotes or final full stop around it, no case."""
    return text.strip().strip("\"'`").removesuffix(".").strip("\"'`").casefold()


def spellings(choice: str) -> tuple[str, ...]:
    """Return a choice as it was offered and, if that differs, with its first letter's case changed.

    Asked for yes or no, many models begin their reply with a capital: then "yes" alone has little
    probability, and what it has tells little.
    """
    return tuple(dict.fromkeys((choice, choice[:1].swapcase() + choice[1:])))
