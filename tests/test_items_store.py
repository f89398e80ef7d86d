"""The feature store: whole or resumable, hash-checked, standardised on training items only."""

import io
import sys
import wave
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from simrec.errors import SimrecError
from simrec.items.audio import DIM as AUDIO_DIM
from simrec.items.audio import LogMelEncoder, audio_vector, mel_filters, read_wave, resampled
from simrec.items.precomputed import Precomputed
from simrec.items.store import encode_features, open_store
from simrec.items.video import DIM as VIDEO_DIM
from simrec.items.video import FrameDifferenceEncoder, even_places, read_frames

IDS = [f"i{k}" for k in range(10)]


def _rows(n: int = 10, missing: tuple[int, ...] = ()) -> tuple[np.ndarray, list]:
    values = np.random.default_rng(3).normal(2.0, 3.0, (n, 2, 4)).astype(np.float32)
    return values, [None if k in missing else values[k] for k in range(n)]


def _wav(samples: np.ndarray, rate: int = 16_000, width: int = 2, channels: int = 1) -> bytes:
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(rate)
        file.writeframes(samples.tobytes())
    return buffer.getvalue()


def test_states_are_standardised_over_training_items_and_zero_where_absent(tmp_path: Path):
    values, contents = _rows(missing=(2, 9))
    train = np.arange(10) < 5
    store = encode_features(tmp_path / "s", Precomputed("p", values), contents, IDS, train=train)
    used = np.array([0, 1, 3, 4])
    states = store.states()
    assert states.shape == (10, 2, 4) and states.dtype == np.float32
    np.testing.assert_allclose(states[used].mean(axis=0), 0, atol=2e-3)  # float16 on disk
    np.testing.assert_allclose(states[used].std(axis=0), 1, atol=2e-3)
    assert not states[[2, 9]].any()
    assert store.present.tolist() == [k not in (2, 9) for k in range(10)]
    # 2 layers x 4 numbers x 2 bytes + 4 numbers x 4 bytes
    assert store.bytes_per_item == 32


class _Fragile(Precomputed):
    """Stops once, as a killed run does."""

    calls = 0
    stop_at: int | None = None

    def states(self, contents):
        self.calls += 1
        if self.calls == self.stop_at:
            raise KeyboardInterrupt
        return super().states(contents)


def test_a_killed_run_goes_on_and_ends_with_the_same_bytes(tmp_path: Path):
    values, contents = _rows(missing=(1,))
    whole = encode_features(tmp_path / "a", Precomputed("p", values), contents, IDS, chunk=3)
    fragile = _Fragile("p", values)
    fragile.stop_at = 3
    with pytest.raises(KeyboardInterrupt):
        encode_features(tmp_path / "b", fragile, contents, IDS, chunk=3)
    assert not (tmp_path / "b").exists()
    fragile.stop_at, fragile.calls = None, 0
    resumed = encode_features(tmp_path / "b", fragile, contents, IDS, chunk=3)
    assert fragile.calls == 2  # of four chunks two were done
    for name in ("hidden.npy", "final.npy", "present.npy"):
        assert (whole.folder / name).read_bytes() == (resumed.folder / name).read_bytes()


def test_a_torn_chunk_is_encoded_again(tmp_path: Path):
    values, contents = _rows()
    fragile = _Fragile("p", values)
    fragile.stop_at = 3
    with pytest.raises(KeyboardInterrupt):
        encode_features(tmp_path / "b", fragile, contents, IDS, chunk=3)
    part = tmp_path / ".b.part"
    hidden = np.load(part / "hidden.npy", mmap_mode="r+")
    hidden[0] = 7.0
    hidden.flush()
    fragile.stop_at, fragile.calls = None, 0
    store = encode_features(tmp_path / "b", fragile, contents, IDS, chunk=3)
    assert fragile.calls == 3
    np.testing.assert_array_equal(store.hidden, values.astype(np.float16))


def test_a_finished_store_is_opened_and_another_content_refused(tmp_path: Path):
    values, contents = _rows()
    encoder = _Fragile("p", values)
    encode_features(tmp_path / "s", encoder, contents, IDS)
    encode_features(tmp_path / "s", encoder, contents, IDS)
    assert encoder.calls == 1
    with pytest.raises(SimrecError, match=r"another contents .* delete the folder to encode again"):
        encode_features(tmp_path / "s", encoder, [*contents[:-1], None], IDS)
    with pytest.raises(SimrecError, match="made for other items; expected the same ids"):
        open_store(tmp_path / "s", IDS[::-1])


def test_a_damaged_store_is_refused(tmp_path: Path):
    values, contents = _rows()
    folder = encode_features(tmp_path / "s", Precomputed("p", values), contents, IDS).folder
    raw = bytearray((folder / "hidden.npy").read_bytes())
    raw[-1] ^= 1
    (folder / "hidden.npy").write_bytes(raw)
    with pytest.raises(SimrecError, match=r"^hidden.npy of the feature store .* is not what was"):
        open_store(folder, IDS)
    with pytest.raises(SimrecError, match="there is no feature store in"):
        open_store(tmp_path / "none", IDS)


def test_large_states_are_clipped_and_counted_and_nan_is_refused(tmp_path: Path):
    values, _ = _rows()
    values[4, 1, 2] = 1e6
    store = encode_features(tmp_path / "s", Precomputed("p", values), list(values), IDS)
    assert store.meta["clipped"] == 1 and store.hidden[4, 1, 2] == 65504
    values[0, 0, 0] = np.nan
    with pytest.raises(SimrecError, match="gave numbers that are not finite for items in rows 0"):
        encode_features(tmp_path / "t", Precomputed("p", values), list(values), IDS)
    with pytest.raises(SimrecError, match="no training item has the modality for 'p'"):
        encode_features(tmp_path / "u", Precomputed("p", values), [None] * 10, IDS)


@pytest.mark.parametrize(("width", "kind"), [(1, np.uint8), (2, "<i2"), (4, "<i4")])
def test_wav_samples_of_every_width_are_what_was_written(width: int, kind: str):
    # -1/2, 0, 1/2 in each format; 8-bit WAV is unsigned around 128
    half = 2 ** (8 * width - 2)
    numbers = np.array([-half, 0, half]) + (128 if width == 1 else 0)
    samples, rate = read_wave(_wav(numbers.astype(kind), rate=8_000, width=width))
    assert rate == 8_000
    np.testing.assert_allclose(samples, [-0.5, 0.0, 0.5])


def test_24_bits_and_two_channels():
    raw = np.frombuffer((1 << 22).to_bytes(3, "little") + (0).to_bytes(3, "little"), np.uint8)
    samples, _ = read_wave(_wav(raw, width=3, channels=2))
    np.testing.assert_allclose(samples, [0.25])  # mean of 1/2 and 0


def test_a_tone_is_loudest_in_the_band_that_holds_it():
    t = np.arange(16_000) / 16_000
    tone = (0.5 * np.sin(2 * np.pi * 1000 * t)).astype(np.float32)
    vector = audio_vector(tone, 16_000)
    assert vector.shape == (AUDIO_DIM,)
    band = mel_filters()[:, 32].argmax()  # bin 32 of 512 at 16 kHz is 1000 Hz
    assert vector[:40].argmax() == band
    slow = resampled(tone, 16_000, 8_000)
    assert len(slow) == 8_000 and audio_vector(slow, 8_000)[:40].argmax() == band


def test_bad_sounds_are_one_sentence():
    with pytest.raises(SimrecError, match=r"^a sound cannot be read .* convert it$"):
        read_wave(b"RIFFxxxx")
    with pytest.raises(SimrecError, match="holds no sample"):
        read_wave(_wav(np.zeros(0, "<i2")))


def _png(shade: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8), (shade, shade, shade)).save(buffer, "PNG")
    return buffer.getvalue()


def test_a_cut_from_black_to_white_by_hand():
    # eight frames of which the first half is black: 7 neighbouring pairs, one of which changes
    # every cell by 1
    encoder = FrameDifferenceEncoder()
    states, final = encoder.states([[_png(0)] * 4 + [_png(255)] * 4])
    assert states.shape == (1, 1, VIDEO_DIM) and final.shape == (1, VIDEO_DIM)
    np.testing.assert_allclose(final[0, 216:232], 1 / 7, atol=1e-6)
    np.testing.assert_allclose(final[0, 232:248], 1.0, atol=1e-6)
    assert final[0, 248] == pytest.approx(1 / 7)


def test_a_film_is_decoded_by_pyav_and_its_absence_is_one_sentence(monkeypatch):
    head = b"\0\0\0\x18ftypmp42"
    with monkeypatch.context() as bare:
        bare.setitem(sys.modules, "av", None)  # what Python does where a package is not there
        with pytest.raises(SimrecError, match=r"needs PyAV, which is not installed; pip install"):
            read_frames(head, 2)
    av = pytest.importorskip("av", reason="PyAV, extra 'video', is not installed")
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as film:
        stream = film.add_stream("mpeg4", rate=5)
        stream.width = stream.height = 32
        for grey in range(0, 250, 25):
            picture = Image.new("RGB", (32, 32), (grey, grey, grey))
            film.mux(stream.encode(av.VideoFrame.from_image(picture)))
        film.mux(stream.encode())
    got = [np.asarray(f).mean() for f in read_frames(buffer.getvalue(), 5)]
    assert got == pytest.approx([25, 75, 125, 175, 225], abs=3)
    with pytest.raises(SimrecError, match="a film cannot be decoded"):
        read_frames(buffer.getvalue()[:60], 2)


def test_an_animated_gif_gives_evenly_spaced_frames():
    shades = [0, 60, 120, 180]
    frames = [Image.new("L", (8, 8), shade) for shade in shades]
    buffer = io.BytesIO()
    frames[0].save(buffer, "GIF", save_all=True, append_images=frames[1:], duration=50)
    got = [np.asarray(f)[0, 0, 0] for f in read_frames(buffer.getvalue(), 2)]
    np.testing.assert_array_equal(even_places(4, 2), [1, 3])
    np.testing.assert_allclose(got, [60, 180], atol=2)
    with pytest.raises(SimrecError, match="a video cannot be read"):
        read_frames(b"no film", 2)


def test_sounds_and_films_go_through_the_store(tmp_path: Path):
    rng = np.random.default_rng(0)
    sounds = [_wav((rng.normal(size=2_000) * 3_000).astype("<i2")) for _ in range(3)] + [None]
    store = encode_features(tmp_path / "a", LogMelEncoder(), sounds, IDS[:4])
    assert store.states().shape == (4, 1, AUDIO_DIM) and not store.states()[3].any()
    films = [[_png(10), _png(20)], None, [_png(0)], [_png(90), _png(0)]]
    store = encode_features(tmp_path / "v", FrameDifferenceEncoder(), films, IDS[:4])
    assert store.present.tolist() == [True, False, True, True]
