"""Random language models that see (shaped as LLaVA, Gemma 3 and Qwen2-VL), saved to disk."""

import io
from pathlib import Path
from typing import Any

from tests.tiny_lm import save_tiny

MARKS = {  # what stands for a picture in a prompt
    "llava": "<image>",
    "gemma3": "<boi>",
    "qwen2vl": "<|vision_start|><|image_pad|><|vision_end|>",
}
NAMES = {"image_token": "<image>", "boi_token": "<boi>", "eoi_token": "<eoi>"}
QWEN_NAMES = {
    "image_token": "<|image_pad|>",
    "video_token": "<|video_pad|>",
    "vision_bos_token": "<|vision_start|>",
    "vision_eos_token": "<|vision_end|>",
}
TEMPLATE = (
    "{% for m in messages %}<|{{ m['role'] }}|>\n{% for c in m['content'] %}"
    "{% if c['type'] == 'image' %}MARK{% else %}{{ c['text'] }}{% endif %}{% endfor %}<|end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|assistant|>\n{% endif %}"
)
SHAPE = {"num_hidden_layers": 2, "num_attention_heads": 2, "initializer_range": 0.3}
EYE = SHAPE | {"hidden_size": 16, "intermediate_size": 32, "image_size": 16, "patch_size": 8}


def picture(colour: str, width: int = 20) -> bytes:
    """Return a PNG file of one colour."""
    from PIL import Image

    file = io.BytesIO()
    Image.new("RGB", (width, 30), colour).save(file, format="PNG")
    return file.getvalue()


RED, BLUE = picture("red"), picture("blue", 40)


def save_tiny_vlm(folder: Path, *, kind: str = "llava", context: int = 2048) -> Path:
    """Write a model of kind "llava", "gemma3" (four tokens a picture) or "qwen2vl" (by size)."""
    import torch
    from transformers import AutoTokenizer

    words = save_tiny(folder / "words", context=context)
    special = QWEN_NAMES if kind == "qwen2vl" else NAMES
    tokenizer = AutoTokenizer.from_pretrained(words, extra_special_tokens=special)
    end = tokenizer.eos_token_id
    text = SHAPE | {
        "vocab_size": len(tokenizer),
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_key_value_heads": 2,
        "max_position_embeddings": context,
        "eos_token_id": end,
        "pad_token_id": end,
        "bos_token_id": None,
    }
    make, look = {
        "llava": (_llava, _llava_processor),
        "gemma3": (_gemma3, _gemma3_processor),
        "qwen2vl": (_qwen2vl, _qwen2vl_processor),
    }[kind]
    with torch.random.fork_rng():
        torch.manual_seed(7)
        make(text, tokenizer).save_pretrained(folder)
    look(tokenizer, TEMPLATE.replace("MARK", MARKS[kind])).save_pretrained(folder)
    return folder


def _llava(text: dict[str, Any], tokenizer: Any) -> Any:
    from transformers import (
        CLIPVisionConfig,
        LlamaConfig,
        LlavaConfig,
        LlavaForConditionalGeneration,
    )

    config = LlavaConfig(
        vision_config=CLIPVisionConfig(**EYE),
        text_config=LlamaConfig(**text),
        image_token_id=tokenizer.image_token_id,
        vision_feature_layer=-1,
    )
    return LlavaForConditionalGeneration(config)


def _llava_processor(tokenizer: Any, template: str) -> Any:
    from transformers import CLIPImageProcessorPil, LlavaProcessor

    return LlavaProcessor(
        image_processor=CLIPImageProcessorPil(
            size={"shortest_edge": 16}, crop_size={"height": 16, "width": 16}
        ),
        tokenizer=tokenizer,
        patch_size=8,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=template,
    )


def _gemma3(text: dict[str, Any], tokenizer: Any) -> Any:
    from transformers import (
        Gemma3Config,
        Gemma3ForConditionalGeneration,
        Gemma3TextConfig,
        SiglipVisionConfig,
    )

    eye = {name: value for name, value in EYE.items() if name != "initializer_range"}
    config = Gemma3Config(
        vision_config=SiglipVisionConfig(**eye),
        text_config=Gemma3TextConfig(**text, head_dim=16, sliding_window=context_of(text)),
        mm_tokens_per_image=4,
        image_token_id=tokenizer.image_token_id,
        boi_token_id=tokenizer.boi_token_id,
        eoi_token_id=tokenizer.eoi_token_id,
        initializer_range=0.3,
    )
    model = Gemma3ForConditionalGeneration(config)
    projector = model.model.multi_modal_projector
    projector.mm_input_projection_weight.data.normal_()  # zeros before training: it would be blind
    return model


def context_of(text: dict[str, Any]) -> int:
    """Return the greatest number of tokens, so that every layer sees the whole prompt."""
    return int(text["max_position_embeddings"])


def _gemma3_processor(tokenizer: Any, template: str) -> Any:
    from transformers import Gemma3ImageProcessorPil, Gemma3Processor

    return Gemma3Processor(
        image_processor=Gemma3ImageProcessorPil(size={"height": 16, "width": 16}),
        tokenizer=tokenizer,
        image_seq_length=4,
        chat_template=template,
    )


def _qwen2vl(text: dict[str, Any], tokenizer: Any) -> Any:
    from transformers import Qwen2VLConfig, Qwen2VLForConditionalGeneration

    rope = {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [2, 3, 3]}
    config = Qwen2VLConfig(
        vision_config={
            "depth": 2,
            "embed_dim": 16,
            "hidden_size": text["hidden_size"],
            "num_heads": 2,
            "patch_size": 8,
            "initializer_range": 0.3,
        },
        text_config=text | {"rope_parameters": rope},
        image_token_id=tokenizer.image_token_id,
        video_token_id=tokenizer.video_token_id,
        vision_start_token_id=tokenizer.vision_bos_token_id,
        vision_end_token_id=tokenizer.vision_eos_token_id,
    )
    return Qwen2VLForConditionalGeneration(config)


def _qwen2vl_processor(tokenizer: Any, template: str) -> "_QwenFiles":
    return _QwenFiles(tokenizer, template)


class _QwenFiles:
    """Writes what a Qwen2-VL folder has: its own processor cannot be made without torchvision."""

    def __init__(self, tokenizer: Any, template: str) -> None:
        self.tokenizer = tokenizer
        self.tokenizer.chat_template = template

    def save_pretrained(self, folder: Path) -> None:
        """Write the tokenizer with its template, and the image processor."""
        from transformers import Qwen2VLImageProcessorPil

        self.tokenizer.save_pretrained(folder)
        Qwen2VLImageProcessorPil(
            patch_size=8, size={"shortest_edge": 16 * 16, "longest_edge": 48 * 48}
        ).save_pretrained(folder)
