"""Stopped work goes on with the same numbers, even where they depend on the model's batches."""

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from simrec.llm.backends import language_model
from simrec.llm.backends.batches import by_family, by_length
from simrec.llm.cache import AnswerCache
from simrec.llm.protocol import Completes, LLMPrompt, Reply
from tests.asking import question, teacher
from tests.tiny_lm import save_tiny

TITLES = tuple(f"{'word ' * (1 + n % 9)}{n}" for n in range(40))
QUESTIONS = [
    question([(n + 7 * k) % 40 for k in range(4)], history=[n % 40, 3 * n % 40]) for n in range(6)
]
QUESTIONS.append(question([3], history=range(9, 29)))  # shares its beginning with nobody


class Neighbours(Completes):
    """A model whose chance of yes depends on how many prompts share the batch, and on which."""

    name = "neighbours"

    def __init__(self, stop_after: int) -> None:
        self.left = stop_after
        self.ran: list[list[str]] = []

    def batches(self, prompts, *, choices=None):
        return by_family(prompts, 5)

    def complete_each(self, prompts, on_reply, *, max_tokens, choices=None, schema=None):
        share = sum(map(len, (p.text for p in prompts))) / 1e4
        for n in reversed(range(len(prompts))):
            if not self.left:
                raise KeyboardInterrupt
            self.left -= 1
            logs = {"yes": -share, "no": -len(prompts[n].text) / 1e3}
            on_reply(n, Reply("yes", "yes", logs, 1, 1, "stop"))
        self.ran.append([p.text for p in prompts])


@pytest.mark.parametrize("stop_after", [0, 1, 4, 5, 6, 12, 23])
def test_batches_are_the_same_whenever_work_was_stopped(stop_after: int, tmp_path: Path):
    model = Neighbours(99)
    want = teacher(model, tmp_path / "a.sqlite", form="yesno", titles=TITLES).prefer(QUESTIONS)
    assert sorted(map(len, model.ran)) == [1, 4, 5, 5, 5, 5]  # families, cut, and one alone
    halted = Neighbours(stop_after)
    with pytest.raises(KeyboardInterrupt):
        teacher(halted, tmp_path / "b", form="yesno", titles=TITLES).prefer(QUESTIONS)
    with AnswerCache(tmp_path / "b") as cache:
        assert len(cache) == sum(map(len, halted.ran))  # whole batches
    last = Neighbours(99)
    again = teacher(last, tmp_path / "b", form="yesno", titles=TITLES).prefer(QUESTIONS)
    assert halted.ran + last.ran == model.ran
    for a, b in zip(want, again, strict=True):
        assert a.score.tobytes() == b.score.tobytes()


def stories(luck: np.random.Generator, count: int) -> list[LLMPrompt]:
    """Return texts that share beginnings of all lengths, some of them several times."""
    texts = [""]
    for _ in range(count):
        old = texts[luck.integers(len(texts))]
        kept = old[: luck.integers(len(old) + 1)]
        texts.append(kept + "ab"[luck.integers(2)] * int(luck.integers(9)))
    return [LLMPrompt(text) for text in texts]


@pytest.mark.parametrize("together", [by_family, by_length])
@pytest.mark.parametrize("seed", range(30))
def test_once_any_batches_are_done_the_rest_makes_those_it_would_have_made(together, seed: int):
    luck = np.random.default_rng(seed)
    prompts = stories(luck, 60)
    size = int(luck.integers(1, 9))
    batches = together(prompts, size)
    assert sorted(n for batch in batches for n in batch) == list(range(61))
    rest = [batch for batch in batches if luck.random() < 0.5]
    left = sorted(n for batch in rest for n in batch)
    again = together([prompts[n] for n in left], size)
    assert [[left[n] for n in batch] for batch in again] == rest
    for batch in batches:
        assert len(batch) <= size
        some = [prompts[n] for n in batch]
        assert together(some, size) == [list(range(len(some)))]  # a batch stays one
        if together is by_family and len({prompt.text[:1] for prompt in some}) > 1:
            assert not any(_share(a, b) for a, b in combinations(some, 2))  # nobody has a family


def _share(one: LLMPrompt, other: LLMPrompt) -> bool:
    """Whether two texts begin with the same half of the longer."""
    half = (max(len(one.text), len(other.text)) + 1) // 2
    return one.text[:half] == other.text[:half]


def test_families_run_together_and_who_has_none_with_who_is_as_long():
    texts = ["one" * 9 + "a", "two" * 9 + "b", "one" * 9 + "cc", "x" * 5, "y" * 50, "z" * 6]
    texts += ["two" * 9 + "d", "one" * 9 + "e"]
    prompts = [LLMPrompt(text) for text in texts]
    assert by_family(prompts, 2) == [[4, 7], [0, 2], [1, 6], [5, 3]]
    assert by_family(prompts, 16) == [[4, 5, 3], [0, 2, 7], [1, 6]]
    half, less = "n" * 10, "n" * 9
    assert by_family([LLMPrompt(half + "p" * 10), LLMPrompt(half + "q" * 10)], 4) == [[0, 1]]
    lone = [LLMPrompt(less + "p" * 10), LLMPrompt("m" * 21), LLMPrompt(less + "q" * 11)]
    assert by_family(lone, 1) == [[1], [2], [0]]  # 9 of 19 or 20 letters
    assert by_family(lone, 2) == [[1, 2], [0]]


def test_a_real_model_stopped_between_batches_gives_the_same_bytes(tmp_path: Path):
    folder = save_tiny(tmp_path / "model", context=2048)
    model = language_model(f"transformers:{folder}", batch_size=4)
    want = teacher(model, tmp_path / "a", form="yesno", titles=TITLES).prefer(QUESTIONS)

    def stop(tally) -> None:
        if tally.done >= 8:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        halted = teacher(model, tmp_path / "b", form="yesno", titles=TITLES, tell=stop)
        halted.prefer(QUESTIONS)
    again = teacher(model, tmp_path / "b", form="yesno", titles=TITLES)
    for a, b in zip(want, again.prefer(QUESTIONS), strict=True):
        assert a.score.tobytes() == b.score.tobytes()
    assert again.tally.hits == 9  # one alone, and two batches
    assert len(np.unique(np.concatenate([a.score for a in want]))) > 12  # the scores do differ
