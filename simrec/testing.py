"""Checks that a part of yours keeps its protocol: run them in your own tests."""

import json
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from simrec.llm.protocol import LanguageModel, LLMPrompt, Reply
from simrec.preferences import Question, Teacher

if TYPE_CHECKING:
    from simrec.agents.learners import LearnerName
    from simrec.agents.strategy import Strategy

_PROMPTS = (
    "Which is a colour?",
    "A person liked films about space, robots and other worlds, again and again. What is next?",
    "One more?",
)
_CHOICES = ("yes", "no", "10", "1")
_SCHEMA = {
    "type": "object",
    "properties": {"rating": {"type": "integer", "minimum": 1, "maximum": 5}},
    "required": ["rating"],
    "additionalProperties": False,
}


def check_language_model(model: LanguageModel, *, max_tokens: int = 24) -> None:
    """Check that a language model keeps the protocol.

    It need not be a good model: random weights pass. What is asked of it is that every prompt gets
    one reply in its place, that a reply called valid is a choice or obeys the schema and that one
    that is not says why, that tokens are counted, and that the same prompt gets the same text.

    Args:
        model: The model to check.
        max_tokens: Longest reply.

    Raises:
        AssertionError: The protocol is broken; the message says where.
    """
    prompts = [LLMPrompt(text) for text in _PROMPTS]
    assert isinstance(model, LanguageModel), "name, complete and complete_each are expected"
    assert model.name and model.name == model.name, "the name must be there and stay the same"
    assert model.complete([], max_tokens=max_tokens) == [], "no prompts, no replies"

    free = model.complete(prompts, max_tokens=max_tokens)
    _check_replies(free, len(prompts), max_tokens)
    for reply in free:
        assert reply.valid and reply.choice is None, "free text is valid and no choice"
    again = model.complete(prompts, max_tokens=max_tokens)
    assert [r.text for r in again] == [r.text for r in free], "equal prompts, equal texts"

    chosen = model.complete(prompts, max_tokens=max_tokens, choices=_CHOICES)
    _check_replies(chosen, len(prompts), max_tokens)
    for reply in chosen:
        assert reply.valid == (reply.choice in _CHOICES), f"{reply} is valid without a choice"
        for choice, score in (reply.logprobs or {}).items():
            assert choice in _CHOICES, f"log-probability of '{choice}', which was not offered"
            assert math.isfinite(score) and score <= 1e-4, f"log-probability {score}"
        mass = sum(math.exp(s) for s in (reply.logprobs or {}).values())
        assert mass <= 1 + 1e-3, f"the choices' probabilities sum to {mass}"

    formed = model.complete(prompts, max_tokens=max_tokens, schema=_SCHEMA)
    _check_replies(formed, len(prompts), max_tokens)
    for reply in formed:
        assert reply.choice is None, "JSON is no choice"
        if reply.valid:
            value = json.loads(reply.text)
            assert set(value) == {"rating"} and value["rating"] in range(1, 6), reply.text

    arrived: list[int] = []
    model.complete_each(
        prompts, lambda n, _: arrived.append(n), max_tokens=max_tokens, choices=_CHOICES
    )
    assert sorted(arrived) == list(range(len(prompts))), f"replies arrived for {arrived}"


def _check_replies(replies: list[Reply], n: int, max_tokens: int) -> None:
    assert len(replies) == n, f"{len(replies)} replies to {n} prompts"
    for reply in replies:
        assert isinstance(reply, Reply), f"{type(reply).__name__} is no Reply"
        assert bool(reply.reason) != reply.valid, (
            "a reason is there exactly if a reply is not valid"
        )
        assert reply.attempts >= 1 and reply.prompt_tokens >= 0, "counts cannot be negative"
        assert 0 <= reply.completion_tokens <= (max_tokens + 1) * reply.attempts, (
            f"{reply.completion_tokens} tokens written, {max_tokens} allowed"
        )


def check_teacher(teacher: Teacher, questions: Sequence[Question]) -> None:
    """Check that a teacher keeps the protocol.

    It need not know anything: a model with random weights passes. What is asked of it is one answer
    to each question in its place, a judgement or NaN for every candidate, no like without a
    judgement, a status that says when there is none, and the same answers in any order of asking.

    Args:
        teacher: The teacher to check.
        questions: At least two that differ; they may be ones it cannot answer.

    Raises:
        AssertionError: The protocol is broken; the message says where.
    """
    assert teacher.name and teacher.name == teacher.name, "the name must be there and stay the same"
    assert teacher.prefer([]) == [], "no questions, no answers"
    asked = [q.candidates.tobytes() + q.history.tobytes() for q in questions]
    answers = teacher.prefer(questions)
    assert len(answers) == len(questions), f"{len(answers)} answers to {len(questions)} questions"
    for n, (question, answer) in enumerate(zip(questions, answers, strict=True)):
        K = len(question.candidates)
        assert answer.question is question, f"answer {n} is to another question"
        assert answer.model == teacher.name, f"answer {n} is by '{answer.model}'"
        assert answer.score.shape == answer.liked.shape == (K,), f"answer {n} misses a candidate"
        kinds = str(answer.score.dtype), str(answer.liked.dtype)
        assert kinds == ("float32", "bool"), f"answer {n} is of kinds {kinds}"
        known = answer.score == answer.score
        assert not (answer.liked & ~known).any(), f"answer {n} likes what it did not judge"
        silent = answer.status in ("unparseable", "unanswered")
        assert silent != known.any(), (
            f"answer {n} is '{answer.status}' with {int(known.sum())} candidates judged"
        )
    now = [q.candidates.tobytes() + q.history.tobytes() for q in questions]
    assert now == asked, "a question was changed"
    for first, again in zip(answers, teacher.prefer(questions[::-1])[::-1], strict=True):
        same = first.score.tobytes() == again.score.tobytes()
        assert same and (first.liked == again.liked).all(), "asked in another order, it differs"


def check_strategy(
    strategy: "Strategy", *, learner: "LearnerName" = "kac", env_steps: int = 640
) -> None:
    """Check that an online strategy keeps the protocol on a learner.

    It need not be good. What is asked of it is that it serves users until the budget is spent,
    that the same luck serves the same sessions twice, and that pi_0 is left as it was.

    Args:
        strategy: Function of (pretrained policy, online setting), as `@strategy` registers.
        learner: What it is to run on: "kac" or "a2c".
        env_steps: Length of the run.

    Raises:
        AssertionError: The protocol is broken; the message says where.
        SimrecError: The strategy refuses this learner.
    """
    import numpy as np
    import torch

    from simrec.agents.learners import LearnerSpec
    from simrec.agents.policy import ItemPolicy
    from simrec.agents.strategy import Deployment, Online
    from simrec.bench_heads import kinds_world
    from simrec.deploy import Recorder, deploy
    from simrec.envs.sb3 import SB3VecEnv
    from simrec.envs.vector import RecommendVectorEnv

    world, vectors = kinds_world(60, 0)
    policy: dict[str, Any] = {
        "item_vectors": vectors,
        "table_fingerprint": "testing",
        "width": 8,
        "free_vectors": True,
        "free_decay": 0.0,
    }
    sessions = []
    for _ in range(2):
        env = SB3VecEnv(RecommendVectorEnv(world, 16))
        env.seed(1)
        recorder = Recorder(env, env_steps)
        pretrained = ItemPolicy(env.observation_space, env.action_space, lambda _: 1e-3, **policy)
        before = {name: value.clone() for name, value in pretrained.state_dict().items()}
        online = Online(LearnerSpec(learner, policy), recorder, luck=2)
        deployment = strategy(pretrained, online)
        assert isinstance(deployment, Deployment), f"{type(deployment).__name__} is no Deployment"
        sessions.append(deploy(deployment, recorder).episodes)
        assert recorder.env_steps >= env_steps, f"{recorder.env_steps} of {env_steps} steps served"
        for name, value in pretrained.state_dict().items():
            assert torch.equal(value, before[name]), f"pi_0 was changed: {name}"
    first, second = (served.to_numpy(dtype=np.float64) for served in sessions)
    assert np.array_equal(first, second), (
        "equal luck, other sessions: take all luck from `online.luck`"
    )
