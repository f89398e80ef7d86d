"""Sound vectors without any weights: statistics of a log-mel spectrogram."""

import io
import wave
from collections.abc import Sequence
from math import gcd

import numpy as np
from numpy.typing import NDArray
from scipy.signal import resample_poly

from simrec.errors import SimrecError

RATE = 16_000  # samples a second
WINDOW, HOP, FFT, MELS = 400, 160, 512, 40
DIM = 3 * MELS


def read_wave(content: bytes) -> tuple[NDArray[np.float32], int]:
    """Read a PCM WAV file.

    Args:
        content: The file's bytes; 8, 16, 24 or 32 bits, any number of channels.

    Returns:
        Samples (n,) in [-1, 1], channels averaged, and samples a second.

    Raises:
        SimrecError: The bytes are not such a file, or hold no sample.
    """
    try:
        with wave.open(io.BytesIO(content)) as file:
            width, channels, rate = file.getsampwidth(), file.getnchannels(), file.getframerate()
            data = file.readframes(file.getnframes())
    except (wave.Error, EOFError) as error:
        raise SimrecError(
            f"a sound cannot be read ({error or 'it ends too early'}); expected the bytes of a "
            f"PCM WAV file; convert it"
        ) from error
    data = data[: len(data) // (width * channels) * width * channels]
    if not data:
        raise SimrecError("a sound holds no sample; expected a WAV file with sound; remove it")
    if width == 1:  # the only unsigned one
        samples = np.frombuffer(data, np.uint8).astype(np.float32) / 128.0 - 1.0
    else:
        raw = np.frombuffer(data, np.uint8).reshape(-1, width)
        wide = np.zeros((len(raw), 4), dtype=np.uint8)
        wide[:, 4 - width :] = raw  # into the high bytes, so that the sign comes out right
        samples = wide.view("<i4").ravel().astype(np.float32) / np.float32(2**31)
    return samples.reshape(-1, channels).mean(axis=1), rate


def resampled(samples: NDArray[np.float32], rate: int, wanted: int) -> NDArray[np.float32]:
    """Return samples (n,) at another rate, low-passed."""
    if rate == wanted:
        return samples
    step = gcd(rate, wanted)
    return np.asarray(resample_poly(samples, wanted // step, rate // step), dtype=np.float32)


def mel_filters() -> NDArray[np.float64]:
    """Return (MELS, FFT / 2 + 1) triangles, evenly spaced in 2595 log10(1 + f / 700).

    The mel formula is O'Shaughnessy's (1987; reconstructed).
    """
    top = 2595.0 * np.log10(1.0 + RATE / 2 / 700.0)
    edges = 700.0 * (10.0 ** (np.linspace(0.0, top, MELS + 2) / 2595.0) - 1.0)
    bins = np.arange(FFT // 2 + 1) * RATE / FFT
    low, middle, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    rise, fall = (bins - low) / (middle - low), (high - bins) / (high - middle)
    return np.maximum(0.0, np.minimum(rise, fall))


def audio_vector(samples: NDArray[np.float32], rate: int) -> NDArray[np.float32]:
    """Measure one sound.

    Args:
        samples: (n,) in [-1, 1].
        rate: Samples a second.

    Returns:
        (DIM,): of each mel band, mean, spread and mean absolute change of its log energy.
    """
    x = resampled(samples, rate, RATE).astype(np.float64)
    x = np.pad(x, (0, max(WINDOW - len(x), 0)))
    frames = np.lib.stride_tricks.sliding_window_view(x, WINDOW)[::HOP]
    power = np.abs(np.fft.rfft(frames * np.hanning(WINDOW), FFT)) ** 2
    log_mel = np.log(power @ mel_filters().T + 1e-6)
    change = np.abs(np.diff(log_mel, axis=0)).mean(axis=0) if len(log_mel) > 1 else np.zeros(MELS)
    return np.concatenate([log_mel.mean(axis=0), log_mel.std(axis=0), change]).astype(np.float32)


class LogMelEncoder:
    """Log-mel statistics of WAV bytes as one state."""

    name = "log-mel"
    version = "log-mel-1"  # raise the number whenever a value could change

    def states(self, contents: Sequence[bytes]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return (B, 1, DIM) states and (B, DIM) final vectors, the same numbers."""
        values = np.stack([audio_vector(*read_wave(content)) for content in contents])
        return values[:, None], values
