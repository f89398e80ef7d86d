"""Random language models that see (the shapes of LLaVA and Gemma 3, tiny), saved to disk."""

from pathlib import Path
from typing import Any

from tests.tiny_lm import save_tiny

MARKS = {"llava": "<image>", "gemma3": "<boi>"}  # what stands for a picture in a prompt
TEMPLATE = (
    "{% for m in messages %}<|{{ m['role'] }}|>\n{% for c in m['content'] %}"
    "{% if c['type'] == 'image' %}MARK{% else %}{{ c['text'] }}{% endif %}{% endfor %}<|end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|assistant|>\n{% endif %}"
)
SHAPE = {"num_hidden_layers": 2, "num_attention_heads": 2, "initializer_range": 0.3}
EYE = SHAPE | {"hidden_size": 16, "intermediate_size": 32, "image_size": 16, "patch_size": 8}


def save_tiny_vlm(folder: Path, *, kind: str = "llava", context: int = 2048) -> Path:
    """Write a model of 16 x 16 pixels, of kind "llava" or "gemma3": a picture is four tokens."""
    import torch
    from transformers import AutoTokenizer

    words = save_tiny(folder / "words", context=context)
    special = {"image_token": "<image>", "boi_token": "<boi>", "eoi_token": "<eoi>"}
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
    make, look = {"llava": (_llava, _llava_processor), "gemma3": (_gemma3, _gemma3_processor)}[kind]
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
