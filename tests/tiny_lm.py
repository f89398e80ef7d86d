"""A random two-layer language model with a tokenizer trained on the spot, saved to disk."""

from pathlib import Path

CORPUS = [
    "Which of the candidates would this person like? yes no like pass 1 2 3 10",
    'Reply with JSON only, for example {"rating": 5} or {"liked": [2, 5]}.',
    "A person liked films about space, robots and other worlds, again and again.",
]
TEMPLATE = (
    "{% for m in messages %}<|{{ m['role'] }}|>\n{{ m['content'] }}<|end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>\n{% endif %}"
)


def save_tiny(folder: Path, *, kind: str = "llama", chat: bool = True, context: int = 512) -> Path:
    """Write a model of kind "llama", "qwen2" or "gpt2" (the last with absolute positions)."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import (
        GPT2Config,
        GPT2LMHeadModel,
        LlamaConfig,
        LlamaForCausalLM,
        PreTrainedTokenizerFast,
        Qwen2Config,
        Qwen2ForCausalLM,
    )

    bare = Tokenizer(models.BPE())
    bare.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bare.decoder = decoders.ByteLevel()
    bare.train_from_iterator(
        CORPUS,
        trainers.BpeTrainer(
            vocab_size=320,
            special_tokens=["<|end|>", "<|user|>", "<|assistant|>"],
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=bare, eos_token="<|end|>")
    tokenizer.model_max_length = context
    if chat:
        tokenizer.chat_template = TEMPLATE
    end = tokenizer.eos_token_id
    shape = {"vocab_size": len(tokenizer), "eos_token_id": end, "bos_token_id": None}
    llama = shape | {
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
        "max_position_embeddings": context,
        "pad_token_id": end,
        "initializer_range": 0.3,  # far from uniform, so that choices differ
    }
    with torch.random.fork_rng():
        torch.manual_seed(7)
        if kind == "gpt2":
            size = {"n_embd": 32, "n_layer": 2, "n_head": 2, "n_positions": context}
            model = GPT2LMHeadModel(GPT2Config(**shape, **size, initializer_range=0.3))
        elif kind == "qwen2":
            model = Qwen2ForCausalLM(Qwen2Config(**llama))
        else:
            model = LlamaForCausalLM(LlamaConfig(**llama))
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
