"""A random language model that sees (LLaVA's shape, tiny), with processor, saved to disk."""

from pathlib import Path

from tests.tiny_lm import save_tiny

TEMPLATE = (
    "{% for m in messages %}<|{{ m['role'] }}|>\n{% for c in m['content'] %}"
    "{% if c['type'] == 'image' %}<image>{% else %}{{ c['text'] }}{% endif %}{% endfor %}<|end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|assistant|>\n{% endif %}"
)


def save_tiny_vlm(folder: Path, *, context: int = 2048) -> Path:
    """Write a model of 16 x 16 pixels: a picture is four tokens."""
    import torch
    from transformers import (
        AutoTokenizer,
        CLIPImageProcessorPil,
        CLIPVisionConfig,
        LlamaConfig,
        LlavaConfig,
        LlavaForConditionalGeneration,
        LlavaProcessor,
    )

    tokenizer = AutoTokenizer.from_pretrained(save_tiny(folder / "words", context=context))
    tokenizer.add_special_tokens({"additional_special_tokens": ["<image>"]})
    image, end = tokenizer.convert_tokens_to_ids("<image>"), tokenizer.eos_token_id
    shape = {"num_hidden_layers": 2, "num_attention_heads": 2, "initializer_range": 0.3}
    config = LlavaConfig(
        vision_config=CLIPVisionConfig(
            hidden_size=16, intermediate_size=32, image_size=16, patch_size=8, **shape
        ),
        text_config=LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=32,
            intermediate_size=64,
            num_key_value_heads=2,
            max_position_embeddings=context,
            eos_token_id=end,
            pad_token_id=end,
            bos_token_id=None,
            **shape,
        ),
        image_token_id=image,
        vision_feature_layer=-1,
    )
    with torch.random.fork_rng():
        torch.manual_seed(7)
        LlavaForConditionalGeneration(config).save_pretrained(folder)
    LlavaProcessor(
        image_processor=CLIPImageProcessorPil(
            size={"shortest_edge": 16}, crop_size={"height": 16, "width": 16}
        ),
        tokenizer=tokenizer,
        patch_size=8,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=TEMPLATE,
    ).save_pretrained(folder)
    return folder
