"""New items written by a language model that has read the catalogue; they enter the world cold.

The role of LLMPopcorn's creator (public code read for its protocol, written anew): examples are
retrieved, popular ones and a share of unpopular ones, and the model writes a new item beside them.
Nobody has met what it writes, so its popularity is zero and its row comes from its text alone.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simrec.catalogue import Catalogue
from simrec.errors import SimrecError
from simrec.items.text import TextEncoder
from simrec.items.written import written_items
from simrec.llm.protocol import LanguageModel, LLMPrompt
from simrec.randomness import generator

SCHEMA = {
    "type": "object",
    "properties": {
        "title": {"type": "string", "minLength": 1, "maxLength": 200},
        "description": {"type": "string", "maxLength": 1000},
    },
    "required": ["title", "description"],
    "additionalProperties": False,
}
UNPOPULAR = 0.1  # share of examples that few people met; LLMPopcorn's (read)


@dataclass(frozen=True)
class Supplied:
    """New items, row by row."""

    catalogue: Catalogue  # (n,) without pictures, attribute values or precomputed features
    vectors: NDArray[np.float32]  # (n, D) rows of the encoder, comparable with the catalogue's
    shown: tuple[tuple[int, ...], ...]  # (n,) catalogue rows that the model was shown
    refused: tuple[str, ...]  # why a reply was no item or not a new one


class CreatorLM:
    """A creator: retrieves examples, asks a language model, and encodes what it wrote."""

    def __init__(
        self,
        model: LanguageModel,
        catalogue: Catalogue,
        popularity: NDArray[np.int64],
        encoder: TextEncoder,
        *,
        examples: int = 10,
        domain: str = "items",
    ) -> None:
        """Encode the catalogue's titles and texts.

        Args:
            model: Writes.
            catalogue: What there is, I items.
            popularity: (I,) events of each item in the agent's part of the log.
            encoder: Of texts; one whose directions depend on the corpus encodes old and new items
                together in every call.
            examples: Items shown, at least 1.
            domain: What the items are, for the prompt.

        Raises:
            SimrecError: Popularity of another length, or no example.
        """
        if popularity.shape != (len(catalogue),) or examples < 1:
            raise SimrecError(
                f"the creator got popularity of shape {popularity.shape} and {examples} examples; "
                f"expected ({len(catalogue)},) and at least 1"
            )
        self.model, self.catalogue, self.encoder = model, catalogue, encoder
        self.popularity, self.examples, self.domain = popularity, examples, domain
        self._texts = [
            " ".join((a, b)).strip() for a, b in zip(catalogue.titles, catalogue.texts, strict=True)
        ]
        self._vectors = encoder.encode(self._texts)

    def retrieve(self, topic: int) -> tuple[int, ...]:
        """Return rows to show: of the items nearest to `topic`, the most popular, and a few others.

        The nearest five times `examples` are taken by cosine; a tenth of what is shown, at least
        one where there is room for two, are the least popular of them.
        """
        alike = self._vectors @ self._vectors[topic]
        near = np.argsort(-alike, kind="stable")[: 5 * self.examples]
        order = near[np.argsort(-self.popularity[near], kind="stable")]
        wanted = min(self.examples, len(order))
        few = max(1, round(UNPOPULAR * wanted)) if wanted > 1 else 0
        return tuple(int(r) for r in (*order[: wanted - few], *order[len(order) - few :]))

    def prompt(self, shown: Sequence[int]) -> LLMPrompt:
        """Return what the model is asked beside these examples."""
        lines = [
            f"- {self.catalogue.titles[r]} (met by {int(self.popularity[r])}): "
            f"{' '.join(self.catalogue.texts[r].split())[:200]}"
            for r in shown
        ]
        return LLMPrompt(
            f"You create {self.domain}. Here are some, with how many people met each:\n"
            + "\n".join(lines)
            + "\nInvent one new item that people who met the popular ones would want and that is "
            'not in the list. Reply with JSON only: {"title": "...", "description": "..."}'
        )

    def create(self, n: int, *, seed: int) -> Supplied:
        """Ask for n items, each about a random item's topic.

        Args:
            n: Requests; fewer items come back where replies are refused.
            seed: Draws the topics; ids are "new-SEED-NUMBER".

        Returns:
            What was written. A reply that is no valid JSON, or whose title the catalogue or an
            earlier reply has, is refused and said so.
        """
        topics = generator(seed, "creator").integers(len(self.catalogue), size=n)
        shown = [self.retrieve(int(topic)) for topic in topics]
        replies = self.model.complete(
            [self.prompt(rows) for rows in shown], max_tokens=400, schema=SCHEMA
        )
        taken = {" ".join(title.split()).casefold() for title in self.catalogue.titles}
        kept: list[tuple[str, str, str, tuple[int, ...]]] = []
        refused: list[str] = []
        for number, (reply, rows) in enumerate(zip(replies, shown, strict=True)):
            if not reply.valid:
                refused.append(f"reply {number}: {reply.reason}")
                continue
            written = json.loads(reply.text)
            title = " ".join(written["title"].split())
            if not title or title.casefold() in taken:
                refused.append(f"reply {number}: the title '{title}' is empty or taken")
                continue
            taken.add(title.casefold())
            kept.append((f"new-{seed}-{number}", title, written["description"], rows))
        return self._supplied(kept, refused)

    def _supplied(
        self, kept: list[tuple[str, str, str, tuple[int, ...]]], refused: list[str]
    ) -> Supplied:
        ids, titles, texts, shown = zip(*kept, strict=True) if kept else ((), (), (), ())
        catalogue = written_items(self.catalogue, ids, titles, texts)
        new = [f"{title} {text}".strip() for title, text in zip(titles, texts, strict=True)]
        vectors = self.encoder.encode([*self._texts, *new])[len(self.catalogue) :]
        return Supplied(catalogue, vectors, tuple(shown), tuple(refused))
