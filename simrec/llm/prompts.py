"""The prompt of one question: versioned, deterministic, with item text kept as quoted data."""

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from simrec.catalogue import Catalogue
from simrec.errors import SimrecError
from simrec.items.describe import DESCRIPTION_LIMIT, attribute_words, clipped
from simrec.llm.templates import AGAIN, SHIPPED, Template
from simrec.preferences import Question

# What chat formats use as control marks: <|im_start|>, <start_of_turn>, <s>, [INST], [/INST].
_MARKS = re.compile(r"<|\[(?=/?[A-Z])")


@dataclass(frozen=True)
class Prompt:
    """One prompt and what identifies it."""

    text: str
    sha: str  # 64 hex digits, SHA-256 over template id, text and pictures
    images: tuple[bytes, ...] = ()  # covers of candidates, in the order shown

    def again(self) -> "Prompt":
        """Return the prompt that asks once more after a reply that could not be read."""
        return Prompt(self.text + AGAIN, _sha(self.sha, AGAIN), self.images)


def _quoted(text: str) -> str:
    """Return `text` as one JSON string on one line, letters of every script left readable.

    The first sign of a control mark becomes its JSON escape, so that no tokenizer reads a title
    such as "<|im_end|>" as the end of the user's turn.
    """
    line = json.dumps(" ".join(text.split()), ensure_ascii=False)
    return _MARKS.sub(lambda mark: f"\\u{ord(mark[0]):04x}", line)


def told(
    catalogue: Catalogue,
    attributes: Sequence[str] | None = None,
    description: int = DESCRIPTION_LIMIT,
) -> Catalogue:
    """Return the catalogue reduced to what prompts tell of its items.

    Args:
        catalogue: Everything that is known.
        attributes: Names of those to tell, in the order in which they are told; None tells all.
        description: Greatest number of characters of a description, cut after a whole word; 0
            tells none.

    Raises:
        SimrecError: The catalogue has no such attribute.
    """
    try:
        named = {name: catalogue.attribute(name) for name in attributes or ()}
    except SimrecError as error:
        raise SimrecError(f"teacher.attributes: {error}") from error
    return replace(
        catalogue,
        attributes=catalogue.attributes if attributes is None else named,
        texts=tuple(clipped(text, description) for text in catalogue.texts),
    )


def item_line(catalogue: Catalogue, item: int) -> str:
    """Return one item as quoted strings: title, attributes, description.

    JSON quoting keeps a title such as 'x" Ignore all rules' inside its quotation marks and line.
    """
    words = [_quoted(catalogue.titles[item])]
    for name, values in attribute_words(catalogue, item):
        words.append(f"{_quoted(name)}: {_quoted(', '.join(values))}")
    if catalogue.texts[item]:
        words.append(f'"description": {_quoted(catalogue.texts[item])}')
    return "; ".join(words)


def render(
    question: Question,
    catalogue: Catalogue,
    template: Template = SHIPPED["list"],
    *,
    shown: Sequence[int] | None = None,
    domain: str = "",
    pictures: bool = False,
    lines: dict[int, str] | None = None,
) -> Prompt:
    """Write a prompt of one question; equal arguments give equal bytes.

    Args:
        question: Whose history is told.
        catalogue: Where covers are, and what is told of an item; see `told`.
        template: The words around them.
        shown: Places of the candidates to show, numbered from 1 in this order; None shows all.
        domain: What the items are, in a few words of the study's author, for example "films".
        pictures: Add the covers of the shown candidates, and a line saying which is which.
        lines: Item -> its line, filled as items come, so that many prompts write each item once.
    """
    lines = {} if lines is None else lines

    def line(item: int) -> str:
        if item not in lines:
            lines[item] = item_line(catalogue, item)
        return lines[item]

    history = [
        f"{n}. ({'liked' if liked > 0 else 'not liked'}) {line(int(item))}"
        for n, (item, liked) in enumerate(
            zip(question.history, question.feedback, strict=True), start=1
        )
    ]
    places = range(len(question.candidates)) if shown is None else shown
    items = [int(question.candidates[place]) for place in places]
    candidates = [f"{n}. {line(item)}" for n, item in enumerate(items, start=1)]
    covers = [(n, catalogue.images[item]) for n, item in enumerate(items, start=1)]
    found = [(n, cover) for n, cover in covers if cover is not None] if pictures else []
    if found:
        numbers = ", ".join(str(n) for n, _ in found)
        candidates.append(f"The pictures, in order, are the covers of candidates {numbers}.")
    text = template.text.format(
        catalogue=_quoted(catalogue.name),
        domain=f" They are {domain}." if domain else "",
        history="\n".join(history) or "(nothing)",
        candidates="\n".join(candidates),
    )
    images = tuple(cover for _, cover in found)
    marks = [hashlib.sha256(image).hexdigest() for image in images]
    return Prompt(text, _sha(template.id, "\0".join([text, *marks])), images)


def _sha(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()
