"""Which column of somebody's table is what: by common names, or as the user says."""

import re
from collections.abc import Mapping, Sequence

from simrec.datasets.table_files import Source
from simrec.datasets.tidy_items import TEXT_COLUMNS
from simrec.errors import SimrecError, nearest

# Names without case, blanks and punctuation: "User ID", "user_id" and "userId" are one.
_COMMON = {
    "user": (
        *("user", "userid", "uid", "customer", "customerid", "client", "clientid", "visitor"),
        *("visitorid", "member", "memberid", "account", "accountid", "buyer", "buyerid"),
        *("reviewer", "reviewerid", "person", "personid"),
    ),
    "item": (
        *("item", "itemid", "sku", "product", "productid", "article", "articleid", "asin"),
        *("movie", "movieid", "film", "filmid", "video", "videoid", "track", "trackid", "song"),
        *("songid", "book", "bookid", "isbn"),
    ),
    "feedback": (
        *("rating", "ratings", "stars", "feedback", "score", "count", "counts", "plays"),
        *("playcount", "quantity"),
    ),
    "time": (
        *("timestamp", "time", "date", "datetime", "when", "ts", "unixtime", "createdat"),
        *("eventtime", "reviewtime"),
    ),
    "title": (
        *("title", "name", "itemtitle", "itemname", "producttitle", "productname"),
        *("movietitle", "videotitle", "booktitle"),
    ),
    "text": tuple(name.replace("_", "") for name in TEXT_COLUMNS),
}
_OPTIONAL = ("feedback", "time", "text")

Wanted = Mapping[str, Sequence[str]]  # the names the user gave, by role


def parse_columns(options: Sequence[str]) -> Wanted:
    """Read `ROLE=NAME` as the command line has it; a role may come several times.

    Raises:
        SimrecError: There is no such role, or a name is missing where one is needed.
    """
    wanted: dict[str, list[str]] = {}
    for option in options:
        role, sign, name = option.partition("=")
        if not sign:
            raise SimrecError(
                f"--column {option} has no '='; expected ROLE=NAME; for example "
                "--column user=customer"
            )
        if role not in _COMMON:
            raise SimrecError(f"a column is never '{role}'; {nearest(role, _COMMON)}")
        if not name and role not in _OPTIONAL:
            raise SimrecError(
                f"--column {option} names no column; expected a name, since every data set has "
                f"the {role}; only {', '.join(_OPTIONAL)} may be left out so"
            )
        wanted.setdefault(role, []).append(name)
    return wanted


def refuse_unknown(wanted: Wanted, log: Source, catalogue: Source) -> None:
    """Raise SimrecError where the user gave a name that no table has."""
    for role, names in wanted.items():
        if role == "item":
            columns, where = {*log.columns, *catalogue.columns}, f"{log.name} or {catalogue.name}"
        else:
            source = log if role in ("user", "feedback", "time") else catalogue
            columns, where = set(source.columns), source.name
        for name in names:
            if name and name not in columns:
                raise SimrecError(
                    f"--column {role}={name}: there is no column '{name}' in {where}; "
                    f"{nearest(name, columns)}"
                )


def choose(role: str, source: Source, wanted: Wanted, *, also: Sequence[str] = ()) -> str | None:
    """Return the column that plays a role, or None where there is none and none is needed.

    Args:
        role: "user", "item", "feedback", "time" or "title".
        source: The table.
        wanted: What the user said; of several names, the one that this table has.
        also: Further common names in this table.

    Raises:
        SimrecError: There is none where one is needed, or there are several.
    """
    given = wanted.get(role, ())
    found = [name for name in source.columns if name in given]
    if not found and "" not in given:
        found = [n for n in source.columns if _plain(n) in (*_COMMON[role], *also)]
    if len(found) > 1:
        raise SimrecError(
            f"{source.name} has {' and '.join(found)}, and each may be the {role}; expected one; "
            f"say which: --column {role}={found[0]}"
            + (f" (or --column {role}= for none)" if role in _OPTIONAL else "")
        )
    if not found and role not in _OPTIONAL:
        raise SimrecError(
            f"{source.name} has no column that is known as the {role}; it has "
            f"{', '.join(source.columns)}; say which it is: --column {role}=NAME"
        )
    return found[0] if found else None


def choose_texts(source: Source, wanted: Wanted) -> list[str]:
    """Return the columns of the catalogue that describe an item, in the order they are joined."""
    if "text" in wanted:
        return [name for name in dict.fromkeys(wanted["text"]) if name]
    named = {_plain(name): name for name in source.columns}
    return [named[plain] for plain in _COMMON["text"] if plain in named]


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.casefold())
