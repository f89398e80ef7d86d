"""A language model as teacher: every question asked once, every answer kept, none paid twice."""

import hashlib
import json
from collections.abc import Callable, Sequence
from typing import Any

from simrec.catalogue import Catalogue
from simrec.errors import SimrecError
from simrec.llm.asked import Asked, exchange, portions, request_key
from simrec.llm.cache import AnswerCache
from simrec.llm.form import Ask, Form, schema_of
from simrec.llm.prompts import Prompt, render
from simrec.llm.protocol import LanguageModel, LLMPrompt, Reply
from simrec.llm.tally import Spent, Tally
from simrec.llm.templates import Template
from simrec.llm.transcript import Exchange
from simrec.preferences import ParseStatus, Preference, Question

LEAST_ANSWERED = 0.95  # a server that fails more often than this is no teacher


class LLMTeacher:
    """Puts questions to a language model in one form and reads what it says.

    The answers depend on model, prompts and options only: not on how often the work was stopped,
    who asked first or how many were asked at once.

    Attributes:
        tally: Of the latest call of `prefer`.
        replies: Replies of the latest call, one list for each question; None = not readable.
        spent: What the answers of the latest call cost when they were first given.
    """

    def __init__(
        self,
        model: LanguageModel,
        form: Form,
        template: Template,
        cache: AnswerCache,
        catalogue: Catalogue,
        *,
        domain: str = "",
        pictures: bool = False,
        tell: Callable[[Tally], None] | None = None,
    ) -> None:
        """Prepare; nothing is asked yet.

        Args:
            model: Asked only what the cache does not know; its name stands for everything about it
                that can change an answer.
            form: How to ask and how to read.
            template: Words of the prompt.
            cache: Where answers are kept.
            catalogue: What is asked about.
            domain: What the items are, in a few words.
            pictures: Show the covers of candidates.
            tell: Told the tally after every answer.
        """
        self.model = model
        self.form = form
        self.template = template
        self.cache = cache
        self.catalogue = catalogue
        self.domain = domain
        self.pictures = pictures
        self.tell = tell or (lambda tally: None)
        self.tally = Tally()
        self.replies: list[list[Reply | None]] = []
        self.spent = Spent()
        self._paid: set[str] = set()  # keys that `spent` counts
        self._lines: dict[int, str] = {}  # item -> its line in prompts

    @property
    def name(self) -> str:
        """Model and form, for example "gpt-4o-mini/list"."""
        return f"{self.model.name}/{self.form.name}"

    def prompts(self, question: Question) -> list[tuple[Ask, Prompt]]:
        """Return what a question will be asked with."""
        return [
            (
                ask,
                render(
                    question,
                    self.catalogue,
                    self.template,
                    shown=ask.shown,
                    domain=self.domain,
                    pictures=self.pictures,
                    lines=self._lines,
                ),
            )
            for ask in self.form.asks(len(question.candidates))
        ]

    def key(self, ask: Ask, prompt: Prompt) -> str:
        """Return the cache key of one request."""
        return request_key(self.model.name, ask, prompt)

    def kept(self, prompts: Sequence[tuple[Ask, Prompt]]) -> list[bool]:
        """Return which requests were answered before, also under the model's former name."""
        keys = [self.key(*pair) for pair in prompts]
        found = self.cache.find(keys)
        there = [key in found for key in keys]
        if not all(there) and (former := self._former_name()) is not None:
            old = [request_key(former, *pair) for pair in prompts]
            found = self.cache.find(old)
            there = [new or key in found for new, key in zip(there, old, strict=True)]
        return there

    def prefer(
        self,
        questions: Sequence[Question],
        heard: Callable[[list[Exchange]], None] = lambda exchanges: None,
    ) -> list[Preference]:
        """Answer every question, in order.

        A question is "retried" where a second try was needed, "unparseable" where no reply could
        be read, "unanswered" where none came; a candidate without a readable reply has score NaN.

        Args:
            questions: What is asked.
            heard: Told what was said word by word, in the order of the questions.

        Raises:
            SimrecError: The model cannot be used, the cache cannot be written, or too few requests
                were answered. Whatever was answered is kept.
        """
        asks = sum(len(self.form.asks(len(q.candidates))) for q in questions)
        self.tally, self.replies, self.spent = Tally(total=asks), [], Spent()
        self._paid = set()
        preferences: list[Preference] = []
        for some in portions(questions, self.form):
            asked = [[Asked(*pair) for pair in self.prompts(question)] for question in some]
            self._answer([one for many in asked for one in many])
            first = len(preferences)
            preferences += [
                self._read(question, many) for question, many in zip(some, asked, strict=True)
            ]
            heard(
                [
                    exchange(n, question, one)
                    for n, (question, many) in enumerate(zip(some, asked, strict=True), first)
                    for one in many
                ]
            )
        if self.tally.errors > (1.0 - LEAST_ANSWERED) * max(self.tally.total, 1):
            raise SimrecError(
                f"{self.tally.errors} of {self.tally.total} requests to {self.model.name} were "
                f"never answered; the others are kept, run again when it answers"
            )
        return preferences

    def _answer(self, asked: list[Asked]) -> None:
        """Fill in the tries of all: from the cache, else from the model, twice where needed."""
        self._try(asked)
        again = [
            one
            for one in asked
            if one.tries[-1].finish != "error" and one.tries[-1].attempts == 1 and not one.readable
        ]
        self._try(again)
        for one in asked:
            self.tally.failures += not one.readable
            self.tally.errors += one.tries[-1].finish == "error"
        self.tell(self.tally)

    def _try(self, asked: list[Asked]) -> None:
        """Add one reply to each: equal requests are sent once."""
        waiting: dict[str, list[Asked]] = {}
        for one in asked:
            waiting.setdefault(self.key(one.ask, one.next_prompt), []).append(one)
        found = self.cache.find(list(waiting))
        if len(found) < len(waiting):
            found |= self._kept_formerly([one for key, one in waiting.items() if key not in found])
        for key, reply in found.items():
            for one in waiting.pop(key):
                self._took(one, key, reply, hit=True)
        self.tell(self.tally)

        groups: dict[tuple[Any, ...], list[str]] = {}  # one call takes one set of options
        for key, ones in waiting.items():
            ask = ones[0].ask
            groups.setdefault((ask.max_tokens, ask.choices, ask.schema), []).append(key)
        for keys in groups.values():
            self._send(keys, waiting)

    def _former_name(self) -> str | None:
        former: str | None = getattr(self.model, "former_name", None)
        return former

    def _kept_formerly(self, waiting: list[list[Asked]]) -> dict[str, Reply]:
        """Return answers that were kept under the model's former name, if it has one."""
        former = self._former_name()
        if former is None:
            return {}
        keys = {
            request_key(former, ones[0].ask, ones[0].next_prompt): self.key(
                ones[0].ask, ones[0].next_prompt
            )
            for ones in waiting
        }
        found = {keys[key]: reply for key, reply in self.cache.find(list(keys)).items()}
        return self.cache.keep(self.model.name, found) if found else {}

    def _send(self, keys: list[str], waiting: dict[str, list[Asked]]) -> None:
        """Ask what the cache does not know; each reply is kept when it comes.

        Where a model runs batches, its numbers depend a little on who shares a batch. Such a model
        says beforehand which prompts it wants together, and each batch is kept as a whole, so that
        work which was stopped goes on with the very batches it would have had.
        """
        choose = getattr(self.model, "batches", None)
        choices = waiting[keys[0]][0].ask.choices
        batches = choose and choose(_said(keys, waiting), choices=choices)
        if batches is None:
            self._request(keys, waiting, together=False)
            return
        for batch in batches:
            self._request([keys[n] for n in batch], waiting, together=True)

    def _request(self, keys: list[str], waiting: dict[str, list[Asked]], *, together: bool) -> None:
        ask = waiting[keys[0]][0].ask
        prompts = _said(keys, waiting)
        came: dict[str, Reply] = {}

        def arrived(index: int, reply: Reply) -> None:
            self.tally.sent += reply.attempts
            self.tally.prompt_tokens += reply.prompt_tokens
            self.tally.completion_tokens += reply.completion_tokens
            came[keys[index]] = reply
            if not together:
                self._keep(came, waiting)

        self.model.complete_each(
            prompts, arrived, max_tokens=ask.max_tokens, choices=ask.choices, schema=schema_of(ask)
        )
        self._keep(came, waiting)

    def _keep(self, came: dict[str, Reply], waiting: dict[str, list[Asked]]) -> None:
        """Make replies durable and hand them on; one that never came is asked another time."""
        said = {key: reply for key, reply in came.items() if reply.finish != "error"}
        counts = came | (self.cache.keep(self.model.name, said) if said else {})
        came.clear()
        for key, reply in counts.items():
            for one in waiting[key]:
                self._took(one, key, reply, hit=False)
        self.tell(self.tally)

    def _took(self, one: Asked, key: str, reply: Reply, *, hit: bool) -> None:
        first = not one.tries
        if key not in self._paid:
            self._paid.add(key)
            self.spent.requests += reply.attempts
            self.spent.prompt_tokens += reply.prompt_tokens
            self.spent.completion_tokens += reply.completion_tokens
        one.tries.append(reply)
        one.readable = reply.valid and self.form.readable(one.ask, reply)
        one.cached &= hit
        self.tally.done += first
        self.tally.hits += first and hit

    def _read(self, question: Question, asked: list[Asked]) -> Preference:
        K = len(question.candidates)
        replies = [one.tries[-1] if one.readable else None for one in asked]
        self.replies.append(replies)
        judged = self.form.judge(K, replies)
        status: ParseStatus = "ok"
        if all(reply is None for reply in replies):
            gone = all(one.tries[-1].finish == "error" for one in asked)
            status = "unanswered" if gone else "unparseable"
        elif any(len(one.tries) > 1 or one.tries[-1].attempts > 1 for one in asked):
            status = "retried"
        texts = [one.tries[-1].text for one in asked]
        shas = [one.prompt.sha for one in asked]
        return Preference(
            question,
            judged.liked,
            judged.score,
            self.name,
            shas[0] if len(shas) == 1 else hashlib.sha256("".join(shas).encode()).hexdigest(),
            texts[0] if len(texts) == 1 else json.dumps(texts, ensure_ascii=False),
            status,
            cached=all(one.cached for one in asked),
        )


def _said(keys: list[str], waiting: dict[str, list[Asked]]) -> list[LLMPrompt]:
    """Return what a model is told under these keys."""
    prompts = [waiting[key][0].next_prompt for key in keys]
    return [LLMPrompt(prompt.text, prompt.images) for prompt in prompts]
