"""Pictures in words: captions by a language model that sees, to be encoded as text.

IISAN-Versa (TKDE; abstract read) and LIRDRec use captions of a vision-language model as text.
Each caption is a file named by its item, so a killed run goes on at the first item without one.
"""

from collections.abc import Callable
from pathlib import Path

from simrec.catalogue import Catalogue
from simrec.errors import SimrecError
from simrec.files import atomic_file
from simrec.llm.protocol import LanguageModel, LLMPrompt, Reply

ASKED = (
    "Describe this picture of an item in one or two plain sentences: what it shows and its mood."
)


def write_captions(
    model: LanguageModel,
    catalogue: Catalogue,
    folder: Path,
    *,
    max_tokens: int = 80,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[int, int]:
    """Write ITEM.txt for every item that has a picture and no caption yet.

    Args:
        model: One that takes images.
        catalogue: Whose pictures are told.
        folder: Where the files go; `contents_of` reads it as texts.
        max_tokens: Of a caption.
        progress: Called with captions done and to be done.

    Returns:
        Captions written now, and replies that were empty or not valid, which leave no file.

    Raises:
        SimrecError: No item has a picture, or the model takes none.
    """
    seen = [(row, image) for row, image in enumerate(catalogue.images) if image is not None]
    if not seen:
        raise SimrecError(
            f"no item of catalogue '{catalogue.name}' has a picture; expected some to describe; "
            f"use another data set"
        )
    folder.mkdir(parents=True, exist_ok=True)
    todo = [(row, image) for row, image in seen if not _file(folder, catalogue, row).is_file()]
    prompts = [LLMPrompt(ASKED, (image,)) for _, image in todo]
    written = refused = 0

    def keep(number: int, reply: Reply) -> None:
        nonlocal written, refused
        text = " ".join(reply.text.split())
        if reply.valid and text:
            with atomic_file(_file(folder, catalogue, todo[number][0])) as temporary:
                temporary.write_text(text, encoding="utf-8")
            written += 1
        else:
            refused += 1
        if progress is not None:
            progress(written + refused, len(todo))

    model.complete_each(prompts, keep, max_tokens=max_tokens)
    return written, refused


def _file(folder: Path, catalogue: Catalogue, row: int) -> Path:
    return folder / f"{catalogue.item_ids[row]}.txt"
