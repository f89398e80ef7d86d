"""What asking will cost, before anything is asked."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from simrec.errors import SimrecError
from simrec.llm.ask import LLMTeacher
from simrec.llm.deferred import DeferredModel
from simrec.preferences import Question

BYTES_A_TOKEN = 4  # of English text, roughly; other scripts have more tokens for their bytes
FRAME = 8  # tokens a chat format puts around a message
SAMPLE = 200  # prompts whose tokens are counted


@dataclass(frozen=True)
class Estimate:
    """How much there is to ask."""

    questions: int
    asks: int  # requests, second tries and the order-swap sample not counted
    kept: int  # of these, already in the cache
    prompt_tokens: int  # of those that must be sent
    most_completion_tokens: int  # if every reply is as long as it may be
    counted_by: str  # how tokens were counted


def token_counter(model: str) -> tuple[Callable[[str], int], str]:
    """Return a function from a text to its number of tokens, and how it counts.

    Args:
        model: As in a study; the tokenizer of a local folder is used, else bytes are counted.
    """
    kind, _, folder = model.partition(":")
    if kind in ("transformers", "vllm") and (Path(folder) / "tokenizer_config.json").is_file():
        from transformers import AutoTokenizer

        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        return lambda text: len(tokenizer.encode(text)) + FRAME, "counted by the model's tokenizer"
    about = f"estimated, {BYTES_A_TOKEN} bytes a token"
    return lambda text: -(-len(text.encode()) // BYTES_A_TOKEN) + FRAME, about


def estimate(teacher: LLMTeacher, questions: Sequence[Question], *, model: str) -> Estimate:
    """Estimate what `teacher.prefer(questions)` would send.

    Args:
        teacher: Whose prompts are counted. Where a local model never answered, the cache is not
            searched, as all its weights would have to be read to learn its name.
        questions: What it would be asked.
        model: As in the study, for its tokenizer.
    """
    known = _has_a_name(teacher, model)
    count, how = token_counter(model)
    asks = kept = longest = 0
    open_texts: list[str] = []
    for question in questions:
        prompts = teacher.prompts(question)
        there = teacher.kept(prompts) if known else [False] * len(prompts)
        asks += len(prompts)
        kept += sum(there)
        for n, (ask, prompt) in enumerate(prompts):
            if not there[n]:
                longest += ask.max_tokens
                open_texts.append(prompt.text)
    some = np.unique(np.linspace(0, max(len(open_texts) - 1, 0), SAMPLE).astype(np.int64))
    mean = float(np.mean([count(open_texts[n]) for n in some])) if open_texts else 0.0
    if len(open_texts) > SAMPLE:
        how += f" over {len(some)} prompts"
    tokens = round(mean * len(open_texts))
    return Estimate(len(questions), asks, kept, tokens, longest, how)


def _has_a_name(teacher: LLMTeacher, model: str) -> bool:
    """Whether the name its answers are kept under can be told at once."""
    if not isinstance(teacher.model, DeferredModel) or teacher.model.has_answered:
        return True
    if not model.startswith("openai:"):
        return False
    try:
        return bool(teacher.model.name)
    except SimrecError:  # its client is not installed here
        return False


def money(
    prompt_tokens: int,
    completion_tokens: int,
    price_in: float | None,
    price_out: float | None,
) -> float | None:
    """Return the price of tokens, None where no price is known.

    Args:
        prompt_tokens: Tokens sent.
        completion_tokens: Tokens received.
        price_in: Of a million tokens sent, in any currency.
        price_out: Of a million tokens received.
    """
    if price_in is None or price_out is None:
        return None
    return (prompt_tokens * price_in + completion_tokens * price_out) / 1e6
