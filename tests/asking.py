"""What tests of asking share: a small catalogue, questions, and models that answer by rule."""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from simrec.catalogue import Catalogue
from simrec.llm.ask import LLMTeacher
from simrec.llm.backends.scripted import Script, ScriptedLM
from simrec.llm.cache import AnswerCache
from simrec.llm.forms import make_form
from simrec.llm.protocol import LanguageModel, LLMPrompt
from simrec.llm.templates import SHIPPED
from simrec.preferences import Question

TITLES = ("Alien", "Brazil", "Casablanca", "Dune", "Eraserhead", "Fargo")


def catalogue(titles: Sequence[str] = TITLES) -> Catalogue:
    """Return films without texts."""
    n = len(titles)
    return Catalogue("films", tuple(map(str, range(n))), tuple(titles), ("",) * n, (None,) * n)


def question(candidates: Sequence[int], history: Sequence[int] = (0,), user: int = 0) -> Question:
    """Return a question whose history was liked."""
    return Question(
        user,
        np.array(history, dtype=np.int64),
        np.ones(len(history), dtype=np.float32),
        np.array(candidates, dtype=np.int64),
        ("random",) * len(candidates),
    )


class Counting:
    """A rule, and the prompts it was asked, in order."""

    def __init__(self, rule: Script) -> None:
        self.rule = rule
        self.seen: list[str] = []

    def __call__(self, prompt: LLMPrompt, choices, schema) -> str:
        """Answer by the rule."""
        self.seen.append(prompt.text)
        return self.rule(prompt, choices, schema)


def numbered(text: str) -> dict[int, str]:
    """Return number -> quoted title of the candidates in a prompt."""
    part = re.split(r"Candidates?:\n", text)[-1]
    return {int(n): title for n, title in re.findall(r'^(\d+)\. ("[^\n]*")', part, re.MULTILINE)}


def likes(*titles: str) -> Script:
    """Return a rule for lists that names the candidates with these titles."""

    def rule(prompt: LLMPrompt, choices: object, schema: object) -> str:
        named = [n for n, line in numbered(prompt.text).items() if any(t in line for t in titles)]
        return f'{{"liked": {named}}}'

    return rule


def teacher(
    model: LanguageModel | Script,
    cache: AnswerCache | Path,
    form: str = "list",
    titles: Sequence[str] = TITLES,
    **more: object,
) -> LLMTeacher:
    """Return a teacher; a rule becomes a scripted model called "rule"."""
    cache = AnswerCache(cache) if isinstance(cache, Path) else cache
    model = model if isinstance(model, LanguageModel) else ScriptedLM("rule", model)
    ways = make_form(form, like_at=4.0, like_share=0.3)
    return LLMTeacher(model, ways, SHIPPED[form], cache, catalogue(titles), **more)  # type: ignore[arg-type]


CALLS: list[str] = []  # prompts that `polite` was asked
STOPPED: list[str] = []  # with a word in it, `polite` may not be asked


def polite(prompt: LLMPrompt, choices: Sequence[str] | None, schema: object) -> str:
    """Answer any form by the length of the prompt; as a model: scripted:tests.asking:polite."""
    assert not STOPPED, "a model was asked that must not be"
    CALLS.append(prompt.text)
    if choices:
        return choices[len(prompt.text) % len(choices)]
    return f'{{"liked": [{1 + len(prompt.text) % 2}]}}'
