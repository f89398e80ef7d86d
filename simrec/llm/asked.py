"""One request on its way: what it says, how it is known, what is told of it."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from simrec.llm.cache import answer_key
from simrec.llm.form import Ask, Form
from simrec.llm.prompts import Prompt
from simrec.llm.protocol import Reply
from simrec.llm.transcript import Exchange
from simrec.preferences import Question

AT_ONCE = 4096  # asks looked up and handed to the model together


@dataclass
class Asked:
    """One ask on its way: two tries at most."""

    ask: Ask
    prompt: Prompt
    tries: list[Reply] = field(default_factory=list)
    cached: bool = True
    readable: bool = False  # whether the last try says what was asked

    @property
    def next_prompt(self) -> Prompt:
        """What to ask now: the second try says that the first was not readable."""
        return self.prompt.again() if self.tries else self.prompt


def exchange(number: int, question: Question, one: Asked) -> Exchange:
    """Return what was said, for people to read.

    Args:
        number: Of the question.
        question: Whose request it is.
        one: The request with its tries.
    """
    reply = one.tries[-1]
    said = reply.text if one.ask.choices is None else json.dumps(reply.choice)
    return Exchange(
        number,
        question.user,
        one.prompt.text,
        reply.text,
        one.readable,
        said if one.readable else "",
        one.cached,
        sum(each.prompt_tokens for each in one.tries),
        sum(each.completion_tokens for each in one.tries),
    )


def request_key(model: str, ask: Ask, prompt: Prompt) -> str:
    """Return the cache key of a request to a model of this name."""
    options = {"max_tokens": ask.max_tokens, "choices": ask.choices}
    return answer_key(model, prompt.sha, options, ask.schema)


def portions(questions: Sequence[Question], form: Form) -> Iterator[list[Question]]:
    """Yield questions in portions of about AT_ONCE asks, so that prompts fit in memory."""
    some: list[Question] = []
    asks = 0
    for question in questions:
        some.append(question)
        asks += len(form.asks(len(question.candidates)))
        if asks >= AT_ONCE:
            yield some
            some, asks = [], 0
    if some:
        yield some
