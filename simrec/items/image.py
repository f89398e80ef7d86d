"""Image vectors without any weights: colours, edges and their rough places."""

import io
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from simrec.errors import SimrecError

NAME = "colour-edge-1"  # raise the number whenever a value could change
SIDE = 64  # pixels; every picture is squeezed to SIDE x SIDE before it is measured
GRID = 4  # cells along one side
HUES, SATURATIONS, VALUES = 8, 3, 3
ORIENTATIONS = 6
DIM = HUES * SATURATIONS * VALUES + GRID * GRID * (ORIENTATIONS + 3)


def _cells(plane: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean of a (SIDE, SIDE, C) plane in each grid cell as (GRID * GRID * C,)."""
    step = SIDE // GRID
    blocks = plane.reshape(GRID, step, GRID, step, -1)
    return np.asarray(blocks.mean(axis=(1, 3)).ravel())


def image_vector(picture: Image.Image) -> NDArray[np.float32]:
    """Measure one picture.

    Args:
        picture: Any mode and size; transparency is dropped.

    Returns:
        (DIM,) float32: 72 shares of pixels by hue, saturation and value (their sum is 1; hue varies
        slowest); 6 mean edge strengths by orientation from 0 to 180 degrees for each of 4 x 4
        cells; mean red, green and blue in [0, 1] for each cell.
    """
    rgb = picture.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BOX)
    hsv = np.asarray(rgb.convert("HSV"), dtype=np.int64)
    hue, saturation, value = np.moveaxis(hsv * (HUES, SATURATIONS, VALUES) // 256, -1, 0)
    colour = (hue * SATURATIONS + saturation) * VALUES + value
    shares = np.bincount(colour.ravel(), minlength=HUES * SATURATIONS * VALUES) / SIDE**2
    pixels = np.asarray(rgb, dtype=np.float64) / 255.0
    down, right = np.gradient(pixels.mean(axis=2))
    strength = np.hypot(down, right)
    angle = np.arctan2(down, right) % np.pi  # an edge has an orientation, not a direction
    bins = np.minimum((angle * (ORIENTATIONS / np.pi)).astype(np.int64), ORIENTATIONS - 1)
    edges = strength[..., None] * (bins[..., None] == np.arange(ORIENTATIONS))
    return np.concatenate([shares, _cells(edges), _cells(pixels)]).astype(np.float32)


def image_features(
    images: Sequence[bytes | None], names: Sequence[str]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Measure all pictures of a catalogue.

    Args:
        images: JPEG or PNG bytes of each item, None where there is none.
        names: Item ids, for the error sentence.

    Returns:
        values (I, DIM), zero rows where there is no picture, and present (I,).

    Raises:
        SimrecError: Some bytes are not a picture.
    """
    values = np.zeros((len(images), DIM), dtype=np.float32)
    present = np.array([image is not None for image in images], dtype=np.bool_)
    for row, image in enumerate(images):
        if image is None:
            continue
        try:
            with Image.open(io.BytesIO(image)) as picture:
                picture.draft("RGB", (2 * SIDE, 2 * SIDE))  # JPEG only: decode no more than needed
                values[row] = image_vector(picture)
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
            raise SimrecError(
                f"the image of item '{names[row]}' cannot be read ({error}); expected JPEG or PNG "
                f"bytes, replace or remove it"
            ) from error
    return values, present
