"""Pictures of a session: the slate just shown, what was clicked, and the user's mood."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from PIL import Image, ImageDraw

WIDTH, HEIGHT, MARGIN, COVER = 640, 360, 16, 150
_PAPER, _INK, _FAINT = (250, 249, 246), (30, 30, 34), (190, 190, 194)
_CLICK, _BAD = (0, 120, 90), (200, 70, 40)


@dataclass(frozen=True)
class Scene:
    """What a frame shows."""

    user: int
    step: int
    horizon: int
    patience: int
    streak: int  # bad steps in a row
    clicks: float  # in the session
    items: Sequence[int]  # (k,) the slate just shown; empty at the start
    clicked: Sequence[bool]  # (k,)
    titles: Sequence[str] | None  # (I,)
    covers: Sequence[bytes | None] | None  # (I,) encoded pictures


def line(scene: Scene) -> str:
    """Return the scene as a line of text."""
    head = f"user {scene.user}, step {scene.step}"
    if not scene.items:
        return f"{head}: nothing shown yet"
    shown = []
    for item, clicked in zip(scene.items, scene.clicked, strict=True):
        title = f" {scene.titles[item]}" if scene.titles is not None else ""
        shown.append(f"{item}{title}{' (clicked)' if clicked else ''}")
    return f"{head}: {'; '.join(shown)}"


def frame(scene: Scene) -> NDArray[np.uint8]:
    """Return a picture (360, 640, 3) of the scene, values 0 to 255.

    Items without a cover get a plain tile whose colour depends on the item's number only. At most
    eight items are drawn.
    """
    from PIL import Image, ImageDraw

    image = Image.new("RGB", (WIDTH, HEIGHT), _PAPER)
    draw = ImageDraw.Draw(image)
    draw.text((MARGIN, MARGIN), f"user {scene.user}", fill=_INK, font_size=20)
    steps = f"step {scene.step} of {scene.horizon}, {scene.clicks:g} clicks"
    draw.text((WIDTH - MARGIN, MARGIN), steps, fill=_INK, font_size=20, anchor="ra")
    shown = list(zip(scene.items, scene.clicked, strict=True))[:8]
    columns = max(1, min(4, len(shown)))
    side = COVER if len(shown) <= 4 else COVER // 2 + 15
    room = (WIDTH - 2 * MARGIN) // columns
    for place, (item, clicked) in enumerate(shown):
        left = MARGIN + place % columns * room + (room - side) // 2
        top = 60 + place // columns * (side + 34)
        image.paste(_tile(item, scene.covers, side), (left, top))
        if clicked:
            draw.rectangle((left - 4, top - 4, left + side + 3, top + side + 3), None, _CLICK, 4)
        title = scene.titles[item] if scene.titles is not None else f"item {item}"
        colour = _CLICK if clicked else _INK
        short = title if len(title) <= 22 else title[:21] + "\u2026"
        draw.text((left + side // 2, top + side + 8), short, fill=colour, font_size=13, anchor="ma")
    if not shown:
        middle = (WIDTH // 2, HEIGHT // 2)
        draw.text(middle, "nothing shown yet", fill=_FAINT, font_size=20, anchor="mm")
    _mood(draw, scene)
    return np.asarray(image, dtype=np.uint8)


def _tile(item: int, covers: Sequence[bytes | None] | None, side: int) -> "Image.Image":
    from PIL import Image

    picture = covers[item] if covers is not None else None
    if picture is None:
        colour = tuple(int(90 + 120 * ((item * step) % 97) / 96) for step in (31, 57, 83))
        return Image.new("RGB", (side, side), colour)
    return Image.open(io.BytesIO(picture)).convert("RGB").resize((side, side))


def _mood(draw: "ImageDraw.ImageDraw", scene: Scene) -> None:
    """Draw how much patience is left: one box a bad step that the user still bears."""
    top = HEIGHT - 40
    draw.text((MARGIN, top + 2), "patience", fill=_INK, font_size=14)
    size = min(20, (WIDTH - 140) // scene.patience)
    for place in range(scene.patience):
        used = place >= scene.patience - scene.streak
        left = 100 + place * size
        draw.rectangle((left, top, left + size - 4, top + 16), _BAD if used else _CLICK)
