"""The few pieces of HTML the dashboard draws itself; every text in them is escaped here."""

import base64
from collections.abc import Iterable
from html import escape
from importlib.resources import files

from simrec.palette import colour_of

CSS = f"<style>{files('simrec.app').joinpath('style.css').read_text(encoding='utf-8')}</style>"


def icon() -> str:
    """Return the tab's picture as SVG: three bars that rise. Named icons come from the web."""
    bars = "".join(
        f'<rect x="{2 + 10 * place}" y="{30 - height}" width="8" height="{height}" rx="1" '
        f'fill="{colour_of(name)}"/>'
        for place, (name, height) in enumerate((("frozen", 12), ("ft", 20), ("ap", 28)))
    )
    return f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32">{bars}</svg>'


def dot(strategy: str) -> str:
    """Return a spot in the strategy's colour."""
    return f'<span class="sr-dot" style="background:{colour_of(strategy)}"></span>'


def named(strategy: str) -> str:
    """Return the strategy's spot and its name."""
    return f"{dot(strategy)}<span>{escape(strategy)}</span>"


def card(label: str, value: str, number: str, *notes: str) -> str:
    """Return a card; `value` is HTML (from `named`), the rest are texts."""
    lines = "".join(f'<div class="s">{escape(note)}</div>' for note in notes if note)
    return (
        f'<div class="sr-card"><div class="k">{escape(label)}</div><div class="v">{value}</div>'
        f'<div class="n">{escape(number)}</div>{lines}</div>'
    )


def grid(cards: Iterable[str], kind: str = "sr-grid") -> str:
    """Return cards side by side, as many as the width allows."""
    return f'<div class="{kind}">{"".join(cards)}</div>'


def note(line: str) -> str:
    """Return a sentence set off from the page; one that warns is marked."""
    return f'<div class="sr-note{" warn" if "Warning:" in line else ""}">{escape(line)}</div>'


def picture_uri(image: bytes | None) -> str:
    """Return a data address for PNG or JPEG bytes, "" for anything else."""
    if image is None:
        return ""
    for start, kind in ((b"\x89PNG", "png"), (b"\xff\xd8\xff", "jpeg")):
        if image.startswith(start):
            return f"data:image/{kind};base64,{base64.b64encode(image).decode()}"
    return ""


def item_card(
    title: str, image: bytes | None, *, meta: str = "", badge: str = "", kind: str = ""
) -> str:
    """Return an item as a card.

    Args:
        title: Shown as text.
        image: PNG or JPEG bytes; without one the first letters of the title stand in.
        meta: A line below the title.
        badge: A word in the corner.
        kind: "good", "bad" or "".
    """
    uri = picture_uri(image)
    initials = "".join(word[0] for word in title.split()[:2] if word[0].isalnum()).upper() or "?"
    cover = f'<img src="{uri}" alt="">' if uri else f"<span>{escape(initials)}</span>"
    mark = f'<div class="b">{escape(badge)}</div>' if badge else ""
    return (
        f'<div class="sr-item {kind}"><div class="c">{cover}</div>{mark}'
        f'<div class="t" title="{escape(title)}">{escape(title)}</div>'
        f'<div class="m">{escape(meta)}</div></div>'
    )


def meter(label: str, share: float, colour: str, text: str) -> str:
    """Return a bar filled to `share` (cut to 0..1) with its label and number."""
    width = 100 * min(max(share, 0.0), 1.0)
    return (
        f'<div style="font-size:.8rem;display:flex;justify-content:space-between">'
        f"<span>{escape(label)}</span><span>{escape(text)}</span></div>"
        f'<div class="sr-bar"><i style="width:{width:.1f}%;background:{colour}"></i></div>'
    )


def table(head: Iterable[str], rows: Iterable[Iterable[tuple[str, str]]]) -> str:
    """Return a table; a cell is (class, HTML), the head are texts.

    On a narrow screen every row becomes a block in which each number says what it is.
    """
    head = list(head)
    top = "".join(f"<th>{escape(h)}</th>" for h in head)
    body = "".join(
        "<tr>"
        + "".join(
            f'<td class="{kind}"><u>{escape(word)}</u>{html}</td>'  # the word: on narrow screens
            for word, (kind, html) in zip(head, row, strict=True)
        )
        + "</tr>"
        for row in rows
    )
    return f'<div class="sr-tbl"><table><tr>{top}</tr>{body}</table></div>'


def plain_table(head: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    """Return a table of texts and numbers; whole numbers get their thousands set off."""
    shown = [[f"{v:,}" if isinstance(v, int) else str(v) for v in row] for row in rows]
    return table(head, [[("", escape(text)) for text in row] for row in shown])


def cell(value: str, *notes: str) -> str:
    """Return a number with smaller lines below it."""
    return escape(value) + "".join(f"<small>{escape(n)}</small>" for n in notes if n)
