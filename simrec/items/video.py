"""Video vectors without any weights: mean picture statistics and frame differences."""

import io
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from simrec.errors import SimrecError
from simrec.items.image import DIM as IMAGE_DIM
from simrec.items.image import image_vector

GRID, SIDE = 4, 64
FRAMES = 8
DIM = IMAGE_DIM + 2 * GRID * GRID + 1

Clip = bytes | Sequence[bytes]  # a film's file (GIF, WebP, PNG, MP4, ...); or a picture a frame


def even_places(n: int, wanted: int) -> NDArray[np.int64]:
    """Return `wanted` places spread evenly over 0..n-1, middles of equal parts, repeated if few."""
    return ((np.arange(wanted) + 0.5) * n / wanted).astype(np.int64)


def is_film(content: bytes) -> bool:
    """Return whether bytes are an MP4 or QuickTime ("ftyp") or a WebM or Matroska (EBML) file."""
    return content[4:8] == b"ftyp" or content[:4] == b"\x1a\x45\xdf\xa3"


def read_frames(clip: Clip, wanted: int) -> list[Image.Image]:
    """Return evenly spaced frames.

    Args:
        clip: Bytes of an animated GIF, WebP or PNG, or of an MP4, WebM or Matroska film (extra
            "video"), or a sequence of single pictures' bytes.
        wanted: Number of frames returned.

    Raises:
        SimrecError: There is no frame, some bytes are no picture, or PyAV is needed and absent.
    """
    if isinstance(clip, bytes) and is_film(clip):
        from simrec.items.film import read_film  # PyAV, only where a film needs it

        return read_film(clip, wanted)
    try:
        if isinstance(clip, bytes):
            with Image.open(io.BytesIO(clip)) as film:
                frames = []
                for place in even_places(getattr(film, "n_frames", 1), wanted):
                    film.seek(int(place))
                    frames.append(film.convert("RGB"))
                return frames
        if not clip:
            raise SimrecError("a video has no frame; expected at least one; remove it")
        pictures = []
        for place in even_places(len(clip), wanted):
            with Image.open(io.BytesIO(clip[place])) as picture:
                pictures.append(picture.convert("RGB"))
        return pictures
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        raise SimrecError(
            f"a video cannot be read ({error}); expected an animated GIF, WebP or PNG, or a folder "
            f"of JPEG or PNG frames; convert it"
        ) from error


def video_vector(frames: Sequence[Image.Image]) -> NDArray[np.float32]:
    """Measure one video.

    Args:
        frames: Pictures in order, any sizes.

    Returns:
        (DIM,): mean of the frames' picture vectors (216); mean and greatest absolute change of
        grey between neighbouring frames for each of 4 x 4 cells, in [0, 1]; and the share of
        neighbouring pairs whose mean change is above 0.1 (cuts).
    """
    look = np.mean([image_vector(frame) for frame in frames], axis=0)
    size = (SIDE, SIDE)
    grey = [
        np.asarray(f.convert("L").resize(size, Image.Resampling.BOX), np.float64) / 255
        for f in frames
    ]
    step = SIDE // GRID
    changes = [
        np.abs(b - a).reshape(GRID, step, GRID, step).mean(axis=(1, 3)).ravel()
        for a, b in pairwise(grey)
    ] or [np.zeros(GRID * GRID)]
    cuts = float(np.mean([change.mean() > 0.1 for change in changes]))
    motion = [np.mean(changes, axis=0), np.max(changes, axis=0), [cuts]]
    return np.concatenate([look, *motion]).astype(np.float32)


class FrameDifferenceEncoder:
    """Picture statistics and frame differences as one state."""

    name = "frame-difference"
    version = "frame-difference-1"  # raise the number whenever a value could change

    def states(self, contents: Sequence[Clip]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return (B, 1, DIM) states and (B, DIM) final vectors, the same numbers."""
        values = np.stack([video_vector(read_frames(clip, FRAMES)) for clip in contents])
        return values[:, None], values
