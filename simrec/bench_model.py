"""What a model in this process costs through simrec beside the plain way, in one run."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from simrec.bench import Ratio, compare_times
from simrec.llm.protocol import LLMPrompt

BATCH = 16  # prompts of the comparison with `generate`
WRITTEN = 32  # tokens written for each of them
HISTORY = 20  # items that a person of the other comparison met
CANDIDATES = 10  # prompts of it, one for each


def in_process(weights: Path, device: str, rounds: int) -> Ratio:
    """Time free text through TransformersLM against tokenizer, `generate` and decoding."""
    import torch

    from simrec.llm.backends.causal import load_causal
    from simrec.llm.backends.transformers_lm import TransformersLM

    prompts = [f"A person liked item {n}. " + "Which one is next? " * 8 for n in range(BATCH)]
    mine = TransformersLM(weights, device=device, batch_size=BATCH)
    causal = load_causal(weights, device, mine.numbers)
    tokenizer, model = causal.tokenizer, causal.model
    tokenizer.padding_side, tokenizer.pad_token = "left", tokenizer.eos_token

    def bare(n: int) -> None:
        chats: list[Any] = [f"{p}\n" for p in prompts]
        chat = tokenizer.chat_template is not None
        if chat:
            users = [[{"role": "user", "content": p}] for p in prompts]
            chats = [
                tokenizer.apply_chat_template(u, add_generation_prompt=True, tokenize=False)
                for u in users
            ]
        with torch.inference_mode():
            ids = tokenizer(
                chats, return_tensors="pt", padding=True, add_special_tokens=not chat
            ).to(device)
            out = model.generate(**ids, max_new_tokens=WRITTEN, do_sample=False)
        tokenizer.batch_decode(out[:, ids["input_ids"].shape[1] :], skip_special_tokens=True)

    asked = [LLMPrompt(p) for p in prompts]
    return compare_times(
        lambda n: mine.complete(asked, max_tokens=WRITTEN),
        bare,
        rounds=rounds,
        work=f"a batch of {BATCH} prompts, {WRITTEN} tokens written for each, on {device}",
        cpu=clock(device),
    )


def shared(weights: Path, device: str, rounds: int) -> Ratio:
    """Time yes or no of one person's candidates together, against each prompt on its own."""
    from simrec.llm.backends.transformers_lm import TransformersLM

    told = "".join(f"{n}. liked item {n * n}, which is about much\n" for n in range(HISTORY))
    asked = [
        LLMPrompt(f"A person met:\n{told}Candidate: item {n}. Yes or no?")
        for n in range(CANDIDATES)
    ]
    together = TransformersLM(weights, device=device, batch_size=CANDIDATES)
    alone = TransformersLM(weights, device=device, batch_size=1)
    choices = ("yes", "no")
    return compare_times(
        lambda n: together.complete(asked, max_tokens=4, choices=choices),
        lambda n: alone.complete(asked, max_tokens=4, choices=choices),
        rounds=rounds,
        work=f"yes or no of {CANDIDATES} candidates after {HISTORY} items, together against each "
        f"on its own, on {device}",
        cpu=clock(device),
    )


def clock(device: str) -> Callable[[], float]:
    """Return what counts seconds: the processor, or the wall where a card works beside it."""
    return time.process_time if device == "cpu" else time.perf_counter


def random_model(folder: Path) -> Path:
    """Write a random model of four layers whose tokens are bytes."""
    import torch
    from transformers import ByT5Tokenizer, LlamaConfig, LlamaForCausalLM

    tokenizer = ByT5Tokenizer()
    tokenizer.chat_template = "{% for m in messages %}{{ m['content'] }}\n{% endfor %}"
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=256,
        intermediate_size=688,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=4,
        max_position_embeddings=1024,
        eos_token_id=tokenizer.eos_token_id,
        bos_token_id=None,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
