"""Transformer towers on tiny random models: every state pooled right, padding never seen."""

import io
import wave
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers as t
from PIL import Image
from tokenizers import Tokenizer, models, pre_tokenizers

from simrec.errors import SimrecError
from simrec.items.pooling import even_layers, pooled
from simrec.items.store import encode_features
from simrec.items.towers import TransformerTower

SMALL = {
    "hidden_size": 8,
    "intermediate_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
}
PICTURE = {"image_size": 16, "patch_size": 8}
MELS = {
    **{"spec_size": 32, "num_mel_bins": 16, "patch_size": 4, "patch_stride": [4, 4]},
    **{"window_size": 2, "depths": [1, 1], "num_attention_heads": [1, 2], "num_classes": 3},
    **{"patch_embeds_hidden_size": 8, "hidden_size": 16},
}
TEXTS = ["a b c", "c", "b a b a b a"]


def _tokenizer(folder: Path) -> None:
    words = ["[PAD]", "[UNK]", "a", "b", "c"]
    tokenizer = Tokenizer(
        models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="[UNK]")
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    names = {"pad_token": "[PAD]", "unk_token": "[UNK]"}
    t.PreTrainedTokenizerFast(tokenizer_object=tokenizer, **names).save_pretrained(folder)


def _picture(seed: int) -> bytes:
    pixels = np.random.default_rng(seed).integers(256, size=(20, 20, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def _sound(seed: int, n: int) -> bytes:
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setparams((1, 2, 16_000, n, "NONE", ""))
        numbers = np.random.default_rng(seed).normal(size=n) * 5_000
        file.writeframes(numbers.astype("<i2").tobytes())
    return buffer.getvalue()


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One folder a family, as save_pretrained writes it."""
    root = tmp_path_factory.mktemp("models")
    text = {**SMALL, "vocab_size": 5, "max_position_embeddings": 12}
    ends = {"bos_token_id": 2, "eos_token_id": 4, "pad_token_id": 0}
    two = {"text_config": {**text, **ends}, "vision_config": {**SMALL, **PICTURE}}
    video = {**SMALL, **PICTURE, "num_frames": 4, "tubelet_size": 2}
    made = {
        "bert": t.BertModel(t.BertConfig(**text)),
        "llama": t.LlamaModel(t.LlamaConfig(**text, **ends)),
        "clip": t.CLIPModel(t.CLIPConfig(**two)),
        "siglip": t.SiglipModel(t.SiglipConfig(**two)),
        "vit": t.ViTModel(t.ViTConfig(**SMALL, **PICTURE)),
        "ast": t.ASTModel(t.ASTConfig(**SMALL, patch_size=8, num_mel_bins=16, max_length=32)),
        "videomae": t.VideoMAEModel(t.VideoMAEConfig(**video)),
        "clap": t.ClapModel(t.ClapConfig(text_config=text, audio_config=MELS, projection_dim=8)),
    }
    side = {"height": 16, "width": 16}
    processors = {
        "clip": t.CLIPImageProcessor(size={"shortest_edge": 16}, crop_size=side),
        "siglip": t.SiglipImageProcessor(size=side),
        "vit": t.ViTImageProcessor(size=side),
        "ast": t.ASTFeatureExtractor(num_mel_bins=16, max_length=32),
        "videomae": t.VideoMAEImageProcessor(size={"shortest_edge": 16}, crop_size=side),
        "clap": t.ClapFeatureExtractor(
            **{"feature_size": 16, "sampling_rate": 16_000, "hop_length": 500, "max_length_s": 1},
            **{"frequency_max": 8_000, "fft_window_size": 512, "truncation": "rand_trunc"},
        ),
    }
    for name, model in made.items():
        model.eval().save_pretrained(root / name)
        if name in processors:
            processors[name].save_pretrained(root / name)
        if name in ("bert", "llama", "clip", "siglip"):
            _tokenizer(root / name)
    return {name: root / name for name in made}


def _direct(model, **inputs) -> list[np.ndarray]:
    with torch.inference_mode():
        out = model.eval()(**inputs, output_hidden_states=True)
    return [state.numpy() for state in (*out.hidden_states, out.last_hidden_state)]


def test_kept_layers_are_those_of_the_paper():
    assert even_layers(13, 7) == (0, 2, 4, 6, 8, 10, 12)
    assert even_layers(5, 1) == (4,)
    with pytest.raises(SimrecError, match="4 layers cannot be kept of 3"):
        even_layers(3, 4)


def test_pooling_rules_by_hand():
    states = torch.tensor([[[1.0], [3.0], [100.0]], [[2.0], [4.0], [9.0]]])
    mask = torch.tensor([[1, 1, 0], [1, 1, 1]])
    rules = {"first": [1, 2], "first_two": [2, 3], "mean": [2, 5], "last": [3, 9]}
    for rule, expected in rules.items():
        assert pooled(states, mask, rule).ravel().tolist() == expected
    assert pooled(states, mask, "final_place").ravel().tolist() == [100, 9]


@pytest.mark.parametrize("family", ["bert", "llama", "clip"])
def test_text_is_the_same_alone_and_padded_in_a_batch(folders: dict[str, Path], family: str):
    tower = TransformerTower(folders[family], "text")
    hidden, final = tower.states(TEXTS)
    assert hidden.shape == (3, 3, 8) and final.shape == (3, 8)
    for row, text in enumerate(TEXTS):
        alone, last = tower.states([text])
        np.testing.assert_allclose(hidden[row], alone[0], atol=1e-5)
        np.testing.assert_allclose(final[row], last[0], atol=1e-5)
    order, _ = tower.states(TEXTS[::-1])
    many = TransformerTower(folders[family], "text", batch=1, workers=2).states(TEXTS)
    for together, apart in zip((hidden, final), many, strict=True):
        np.testing.assert_allclose(apart, together, atol=1e-5)
    np.testing.assert_allclose(order[::-1], hidden, atol=1e-5)


def test_bert_is_the_masked_mean_and_llama_the_last_word(folders: dict[str, Path]):
    ids = torch.tensor([[2, 3, 4]])
    for family, cls, pool in (
        ("bert", t.BertModel, lambda s: s[0].mean(axis=0)),
        ("llama", t.LlamaModel, lambda s: s[0, -1]),
    ):
        states = _direct(cls.from_pretrained(folders[family]), input_ids=ids)
        hidden, final = TransformerTower(folders[family], "text").states(["a b c"])
        for layer in range(3):
            np.testing.assert_allclose(hidden[0, layer], pool(states[layer]), atol=1e-5)
        np.testing.assert_allclose(final[0], pool(states[-1]), atol=1e-5)


def test_siglip_text_is_what_its_own_head_reads(folders: dict[str, Path]):
    model = t.SiglipTextModel.from_pretrained(folders["siglip"]).eval()
    _, final = TransformerTower(folders["siglip"], "text").states(["a b c"])
    ids = torch.tensor([[2, 3, 4] + [0] * 9])  # padded to its 12 places, no mask
    with torch.inference_mode():
        output = model(input_ids=ids)
    np.testing.assert_allclose(final[0], output.last_hidden_state[0, -1].numpy(), atol=1e-5)


@pytest.mark.parametrize("family", ["vit", "clip", "siglip"])
def test_pictures_give_all_layers_and_the_normalised_output(folders: dict[str, Path], family: str):
    tower = TransformerTower(folders[family], "image")
    hidden, final = tower.states([_picture(0), _picture(1), _picture(0)])
    assert hidden.shape == (3, 3, 8)
    np.testing.assert_allclose(hidden[0], hidden[2], atol=1e-6)
    assert np.abs(hidden[0] - hidden[1]).max() > 1e-3
    # a final normalisation follows the last state of ViT and SigLIP, and not of CLIP's pictures
    assert np.allclose(final, hidden[:, -1], atol=1e-5) == (family == "clip")


def test_an_image_tower_sees_a_video_as_the_mean_of_its_frames(folders: dict[str, Path]):
    frames = [_picture(k) for k in range(4)]
    single, _ = TransformerTower(folders["vit"], "image").states(frames)
    clip, _ = TransformerTower(folders["vit"], "video", frames=4).states([frames])
    np.testing.assert_allclose(clip[0], single.mean(axis=0), atol=1e-5)


def test_sound_and_video_towers(folders: dict[str, Path]):
    sounds = [_sound(0, 4_000), _sound(1, 9_000)]
    tower = TransformerTower(folders["ast"], "audio", keep=2)
    hidden, final = tower.states(sounds)
    assert hidden.shape == (2, 2, 8) and np.isfinite(final).all()
    extractor = t.AutoFeatureExtractor.from_pretrained(folders["ast"])
    samples = np.frombuffer(sounds[0][44:], "<i2").astype(np.float32) / 2**15
    inputs = extractor([samples], sampling_rate=16_000, return_tensors="pt")["input_values"]
    states = _direct(t.ASTModel.from_pretrained(folders["ast"]), input_values=inputs)
    for kept, layer in enumerate((0, 2)):
        np.testing.assert_allclose(hidden[0, kept], states[layer][0, :2].mean(0), atol=1e-4)
    clips = [[_picture(k) for k in range(5)], [_picture(9)]]
    hidden, _ = TransformerTower(folders["videomae"], "video").states(clips)
    assert hidden.shape == (2, 3, 8)


def test_clap_gives_its_own_vector_and_a_long_sound_is_cut_at_its_beginning(
    folders: dict[str, Path],
):
    sounds = [_sound(0, 9_000), _sound(1, 30_000)]  # the second is longer than it takes
    hidden, final = TransformerTower(folders["clap"], "audio").states(sounds)
    assert hidden.shape == (2, 1, 16) and (hidden[:, 0] == final).all()
    again, _ = TransformerTower(folders["clap"], "audio").states(sounds[1:])
    np.testing.assert_array_equal(again[0], hidden[1])
    extractor = t.AutoFeatureExtractor.from_pretrained(folders["clap"])
    samples = np.frombuffer(sounds[1][44:], "<i2").astype(np.float32)[:16_000] / 2**15
    inputs = extractor([samples], sampling_rate=16_000, return_tensors="pt")
    model = t.ClapModel.from_pretrained(folders["clap"]).eval().audio_model
    with torch.inference_mode():
        direct = model(**inputs).pooler_output[0].numpy()
    np.testing.assert_allclose(final[1], direct, atol=1e-4)
    with pytest.raises(SimrecError, match="'clap_audio_model' models are pooled by 'pooler', not"):
        TransformerTower(folders["clap"], "audio", pooling="mean").states(sounds[:1])


def test_towers_fill_the_store(folders: dict[str, Path], tmp_path: Path):
    tower = TransformerTower(folders["bert"], "text", keep=2)
    store = encode_features(tmp_path / "s", tower, [*TEXTS, None], list("wxyz"), chunk=2)
    assert store.hidden.shape == (4, 2, 8) and store.meta["encoder"] == "transformers:bert"
    changed = TransformerTower(folders["bert"], "text", keep=3)
    with pytest.raises(SimrecError, match="features of another version"):
        encode_features(tmp_path / "s", changed, [*TEXTS, None], list("wxyz"))


def test_wrong_models_are_one_sentence(folders: dict[str, Path], tmp_path: Path):
    with pytest.raises(SimrecError, match=r"does not exist; expected a directory .* nothing is"):
        TransformerTower(tmp_path / "none", "text")
    with pytest.raises(SimrecError, match="'vit' models encode image, not text"):
        TransformerTower(folders["vit"], "text").states(["a"])
    with pytest.raises(SimrecError, match="there is no pooling rule 'median'"):
        TransformerTower(folders["bert"], "text", pooling="median").states(["a"])
