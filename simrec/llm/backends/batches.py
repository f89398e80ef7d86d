"""Which prompts a model in this process runs together."""

from collections.abc import Sequence
from itertools import islice

from simrec.llm.protocol import LLMPrompt


def by_length(prompts: Sequence[LLMPrompt], size: int) -> list[list[int]]:
    """Return places of prompts in batches of alike length, so that little of a batch is padding.

    The longest come first, as they need the most memory. Once the first batches are done, the rest
    makes the batches that it would have made.
    """
    order = sorted(range(len(prompts)), key=lambda n: (-len(prompts[n].text), prompts[n].text))
    return [order[first : first + size] for first in range(0, len(order), size)]


def by_family(prompts: Sequence[LLMPrompt], size: int) -> list[list[int]]:
    """Return places of prompts in batches whose texts begin with the same half or more of each.

    Prompts that share so much with no other are batched by length. In the order of their texts the
    first takes with it, up to a full batch, those that share half of the longer text with it; then
    so does the first that is left. That depends on the two texts alone, and who comes first in a
    batch is never taken by another, so once any batches are done the rest makes those it would have
    made, and a batch that is batched again stays one.
    """
    texts = [prompt.text for prompt in prompts]
    order = sorted(range(len(texts)), key=texts.__getitem__)
    families: list[list[int]] = []
    taken: set[int] = set()
    for place, first in enumerate(order):
        if first in taken:
            continue
        text, family = texts[first], [first]
        for other in islice(order, place + 1, None):
            if len(family) == size or not _share(text, texts[other], len(text)):
                break  # what comes later in the order shares no more than this
            if other not in taken and _share(text, texts[other], len(texts[other])):
                family.append(other)
        taken.update(family)
        families.append(family)
    alone = [family[0] for family in families if len(family) == 1]
    lone = by_length([prompts[n] for n in alone], size)
    batches = [family for family in families if len(family) > 1]
    batches += [[alone[n] for n in batch] for batch in lone]
    return sorted(batches, key=lambda batch: -max(len(texts[n]) for n in batch))


def _share(one: str, other: str, length: int) -> bool:
    """Whether two texts begin alike for half of a length or more."""
    half = (length + 1) // 2
    return one[:half] == other[:half]
