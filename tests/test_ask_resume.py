"""Stopped work goes on with the same numbers, even where they depend on the model's batches."""

from pathlib import Path

import numpy as np
import pytest

from simrec.llm.backends import language_model
from simrec.llm.cache import AnswerCache
from simrec.llm.protocol import Completes, Reply
from tests.asking import question, teacher
from tests.tiny_lm import save_tiny

TITLES = tuple(f"{'word ' * (1 + n % 9)}{n}" for n in range(40))
QUESTIONS = [
    question([(n + 7 * k) % 40 for k in range(4)], history=[n % 40, 3 * n % 40]) for n in range(6)
]


class Neighbours(Completes):
    """A model whose chance of yes depends on how many prompts share the batch, and on which."""

    name = "neighbours"
    batch_size = 5

    def __init__(self, stop_after: int) -> None:
        self.left = stop_after
        self.calls = 0

    def complete_each(self, prompts, on_reply, *, max_tokens, choices=None, schema=None):
        assert len(prompts) <= self.batch_size
        self.calls += 1
        share = sum(map(len, (p.text for p in prompts))) / 1e4
        for n in reversed(range(len(prompts))):
            if not self.left:
                raise KeyboardInterrupt
            self.left -= 1
            logs = {"yes": -share, "no": -len(prompts[n].text) / 1e3}
            on_reply(n, Reply("yes", "yes", logs, 1, 1, "stop"))


@pytest.mark.parametrize("stop_after", [0, 1, 4, 5, 6, 12, 23])
def test_batches_are_the_same_whenever_work_was_stopped(stop_after: int, tmp_path: Path):
    calm = teacher(Neighbours(99), tmp_path / "a.sqlite", form="yesno", titles=TITLES)
    want = calm.prefer(QUESTIONS)
    with pytest.raises(KeyboardInterrupt):
        stopped = teacher(Neighbours(stop_after), tmp_path / "b", form="yesno", titles=TITLES)
        stopped.prefer(QUESTIONS)
    with AnswerCache(tmp_path / "b") as cache:
        assert len(cache) == stop_after // 5 * 5  # whole batches
    model = Neighbours(99)
    again = teacher(model, tmp_path / "b", form="yesno", titles=TITLES).prefer(QUESTIONS)
    assert model.calls == 5 - stop_after // 5  # 24 prompts in batches of 5
    for a, b in zip(want, again, strict=True):
        assert a.score.tobytes() == b.score.tobytes()


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
    assert again.tally.hits == 8
    assert len(np.unique([a.score for a in want])) > 12  # the scores do differ
