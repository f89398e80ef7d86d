"""Cover pictures and sound statistics of the toy world, made from arithmetic alone."""

import struct
import zlib

import numpy as np
from numpy.typing import NDArray

SIDE = 48  # pixels
_RATE = 8000  # samples a second
_SAMPLES = 2048  # about a quarter of a second
SOUND_WIDTH = 16


def draw_cover(topic: int, n_topics: int, rng: np.random.Generator) -> bytes:
    """Draw a cover: a shape on a ground, whose colour and form follow the topic, under noise.

    Args:
        topic: Row of the topic.
        n_topics: How many topics share the colour circle.
        rng: Draws place, size, shade and noise.

    Returns:
        A PNG of SIDE by SIDE pixels.
    """
    hue = (topic + rng.normal(0.0, 0.5)) / n_topics
    ground = _colour(hue, 0.45 + 0.15 * rng.random())
    ink = _colour(hue + 0.5, 0.85)
    y, x = np.mgrid[0:SIDE, 0:SIDE].astype(np.float64)
    dx, dy = x - rng.uniform(18, 30), y - rng.uniform(18, 30)
    radius = rng.uniform(8, 16)
    shapes = (
        dx**2 + dy**2 < radius**2,  # disc
        np.maximum(np.abs(dx), np.abs(dy)) < radius,  # square
        np.abs(dx) + np.abs(dy) < radius,  # diamond
        np.abs(dy) < radius / 2,  # band
    )
    pixels = np.where(shapes[topic % len(shapes)][..., None], ink, ground)
    pixels = pixels + rng.normal(0.0, 0.12, (SIDE, SIDE, 3))
    return _png(np.clip(np.round(pixels * 255), 0, 255).astype(np.uint8))


def sound_features(topics: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.float32]:
    """Return log energies in 16 bands of a short synthetic tone for each item.

    The fundamental and the number of overtones follow the topic; loudness, detuning and hiss do
    not. Rounded to 3 decimals, so that the last bits of a Fourier transform do not matter.

    Args:
        topics: (I,) the topic of each item.
        rng: Draws detuning, loudness and hiss.

    Returns:
        (I, 16) in units of log(1 + energy).
    """
    n = len(topics)
    time = np.arange(_SAMPLES) / _RATE
    pitch = 110.0 * 2.0 ** ((topics * 5 % 12) / 4 + rng.normal(0.0, 0.25, n))
    wave = rng.normal(0.0, 0.3, (n, _SAMPLES))
    loudness = rng.uniform(0.4, 1.0, n)
    for overtone in range(1, 5):
        strength = loudness * (overtone <= 1 + topics % 4) / overtone
        wave += strength[:, None] * np.sin(2 * np.pi * overtone * pitch[:, None] * time)
    energy = np.abs(np.fft.rfft(wave, axis=1)[:, 1:]) ** 2 / _SAMPLES
    edges = np.unique(np.geomspace(8, energy.shape[1], SOUND_WIDTH + 1).astype(np.int64))
    edges[0] = 0
    bands = np.add.reduceat(energy, edges[:-1], axis=1)
    return np.round(np.log1p(bands), 3).astype(np.float32)


def _colour(hue: float, value: float) -> NDArray[np.float64]:
    """Return a colour (3,) in [0, 1] on a circle of hues (a cosine for each channel)."""
    phase = 2 * np.pi * (hue + np.array([0.0, 1 / 3, 2 / 3]))
    return value * (0.6 + 0.4 * np.cos(phase))


def _png(pixels: NDArray[np.uint8]) -> bytes:
    """Encode (S, S, 3) as PNG with one stored block: the same bytes under every zlib version."""
    side = len(pixels)
    # every line starts with filter type 0
    lines = np.concatenate(
        [np.zeros((side, 1), dtype=np.uint8), pixels.reshape(side, -1)], axis=1
    ).tobytes()
    stored = struct.pack("<BHH", 1, len(lines), len(lines) ^ 0xFFFF) + lines
    packed = b"\x78\x01" + stored + struct.pack(">I", zlib.adler32(lines))
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", packed), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )
