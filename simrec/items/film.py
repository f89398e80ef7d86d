"""Frames of MP4, WebM and Matroska films, decoded by PyAV (extra "video")."""

import io
from typing import TYPE_CHECKING

from simrec.errors import SimrecError

if TYPE_CHECKING:
    from PIL import Image


def read_film(content: bytes, wanted: int) -> "list[Image.Image]":
    """Return evenly spaced frames of a film.

    The film is decoded twice, once to count frames, because containers may say nothing or lie.

    Args:
        content: The file's bytes.
        wanted: Number of frames returned; few ones are repeated.

    Raises:
        SimrecError: PyAV is not installed, or the film cannot be decoded.
    """
    try:
        import av
    except ImportError as error:
        raise SimrecError(
            "an MP4, WebM or Matroska film needs PyAV, which is not installed; "
            "pip install 'simrec[video]' or give GIFs or folders of frames"
        ) from error
    from simrec.items.video import even_places

    try:
        with av.open(io.BytesIO(content)) as film:
            count = sum(1 for _ in film.decode(video=0))
        if not count:
            raise SimrecError("a film has no frame; expected at least one; remove it")
        places = even_places(count, wanted).tolist()
        last = max(places)
        found = {}
        with av.open(io.BytesIO(content)) as film:
            for number, frame in enumerate(film.decode(video=0)):
                if number in places:
                    found[number] = frame.to_image()
                if number >= last:
                    break
    except (av.error.FFmpegError, IndexError, ValueError) as error:
        raise SimrecError(
            f"a film cannot be decoded ({error}); expected an MP4, WebM or Matroska file with "
            f"pictures; convert it"
        ) from error
    return [found[place] for place in places]
