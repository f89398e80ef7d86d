"""What to ask a teacher, asking it, and the control that destroys what it said."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from simrec.errors import SimrecError
from simrec.interactions import InteractionLog
from simrec.llm.candidates import HALVES, NOTHING, Candidates, PolicySample, State
from simrec.preferences import Preference, PreferenceSet, Question, Teacher

LEAST_EVENTS = 3  # a state drawn from inside a history shows at least this many


def make_questions(
    log_agent_part: InteractionLog,
    users: NDArray[np.int64],
    *,
    like_at: float,
    log_popularity: NDArray[np.float32],
    per_user: int,
    K: int = 10,
    history: int = 10,
    rng: np.random.Generator,
    candidates_for: Callable[[int], NDArray[np.int64]] | None = None,
    sources: Mapping[str, float] = HALVES,
    vectors: NDArray[np.float32] | None = None,
    policy: PolicySample | None = None,
    asked_before: Iterable[Question] = (),
) -> list[Question]:
    """Draw user states and candidates.

    The states of a user are their whole agent part and `per_user` - 1 prefixes of it that end at a
    random event. Without `candidates_for`, each state gets one question whose candidates are drawn
    from `sources`, none of them met in the prefix. With it, everything it
    names for the user, less the agent part, is asked exactly once, in chunks dealt to the states in
    turn; a user's last chunk may hold fewer than K candidates.

    Args:
        log_agent_part: Events of Part.AGENT only.
        users: (n,) rows of the teacher users; those without an event are passed over.
        like_at: Feedback of at least this much counts as liked.
        log_popularity: (I,) log(1 + events in the agent's part).
        per_user: Greatest number of states of a user, at least 1.
        K: Candidates of a question.
        history: Most recent events shown.
        rng: Draws states, candidates and their order.
        candidates_for: Items a teacher can judge for a user, for example RecordedTeacher.judged.
        sources: Where candidates come from, with the share of each; see Candidates.
        vectors: (I, D) item vectors, for the source "neighbours".
        policy: Draws items, for the source "policy".
        asked_before: No candidate of a user in one of these is drawn for that user again.

    Returns:
        Questions grouped by user, in the order of `users`.

    Raises:
        SimrecError: per_user, K or history below 1, or a source that cannot be used.
    """
    for name, number in (("per_user", per_user), ("K", K), ("history", history)):
        if number < 1:
            raise SimrecError(f"{name} is {number}; expected 1 or more")
    log = log_agent_part
    rows = np.arange(len(log))
    time = np.zeros(len(log), dtype=np.int64) if log.time is None else log.time
    order = np.lexsort((rows, time, log.user))
    ends = np.searchsorted(log.user[order], np.arange(log.n_users + 1))
    drawn = Candidates(sources, log_popularity=log_popularity, vectors=vectors, policy=policy)
    barred: dict[int, NDArray[np.int64]] = defaultdict(lambda: NOTHING)
    for question in asked_before:
        barred[question.user] = np.union1d(barred[question.user], question.candidates)
    questions: list[Question] = []
    for user in users.tolist():
        events = order[ends[user] : ends[user + 1]]
        if len(events) == 0:
            continue
        items = log.item[events].astype(np.int64)
        liked = (log.feedback[events] >= like_at).astype(np.float32)
        cuts = [len(events), *_cuts(len(events), per_user - 1, rng)]
        if candidates_for is None:
            states = [(cut, State(items[:cut], liked[:cut], items[cut:])) for cut in cuts]
            asked = [(cut, *drawn.draw(state, K, rng, barred[user])) for cut, state in states]
        else:
            pool = rng.permutation(np.setdiff1d(candidates_for(user), items))
            chunks = [pool[first : first + K] for first in range(0, len(pool), K)]
            asked = [
                (cuts[n % len(cuts)], chunk, ("recorded",) * len(chunk))
                for n, chunk in enumerate(chunks)
            ]
        for cut, candidates, named in asked:
            if not len(candidates):
                continue  # everything there is was met or asked
            start = max(cut - history, 0)
            shown = slice(start, cut)
            questions.append(Question(user, items[shown], liked[shown], candidates, named))
    return questions


def _cuts(n: int, count: int, rng: np.random.Generator) -> list[int]:
    """Return up to `count` different prefix lengths in [LEAST_EVENTS, n), drawn at random."""
    possible = np.arange(LEAST_EVENTS, n)
    return sorted(rng.permutation(possible)[:count].tolist(), reverse=True)


def elicit(
    teacher: Teacher,
    questions: Sequence[Question],
    *,
    progress: Callable[[int, int], None] | None = None,
    batch: int | None = None,
) -> PreferenceSet:
    """Ask every question.

    Args:
        teacher: Who answers.
        questions: What is asked.
        progress: Told (answered, total) after every batch.
        batch: Questions put at once; None puts all at once, which a teacher that calibrates itself
            on what it is asked (SimilarityTeacher) needs.

    Returns:
        The answers, in the order of the questions.

    Raises:
        SimrecError: The teacher gave another number of answers than it was asked questions.
    """
    answers: list[Preference] = []
    size = max(batch or len(questions), 1)
    for first in range(0, len(questions), size):
        asked = questions[first : first + size]
        given = teacher.prefer(asked)
        if len(given) != len(asked):
            raise SimrecError(
                f"teacher '{teacher.name}' gave {len(given)} answers to {len(asked)} questions; "
                f"expected one for each, in order"
            )
        answers += given
        if progress is not None:
            progress(len(answers), len(questions))
    return PreferenceSet(tuple(answers))


def shuffle_labels(preferences: PreferenceSet, rng: np.random.Generator) -> PreferenceSet:
    """Deal all answers (score with its like) anew among all answered (question, candidate) pairs.

    The control of every claim about a teacher: users, histories, candidates, scores and the share
    of likes stay, only who said what of whom is destroyed. Pairs with score NaN stay unanswered.
    The model's name gains "+shuffled".
    """
    score, liked = flat_labels(preferences)
    answered = np.flatnonzero(np.isfinite(score))
    dealt = rng.permutation(answered)
    score[answered], liked[answered] = score[dealt], liked[dealt]
    return with_labels(preferences, score, liked, "+shuffled")


def flat_labels(preferences: PreferenceSet) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Return scores and likes of all (question, candidate) pairs, both (n,), in order."""
    score = np.concatenate([*(a.score for a in preferences), np.zeros(0, dtype=np.float32)])
    liked = np.concatenate([*(a.liked for a in preferences), np.zeros(0, dtype=np.bool_)])
    return score, liked


def with_labels(
    preferences: PreferenceSet,
    score: NDArray[np.float32],
    liked: NDArray[np.bool_],
    name: str,
) -> PreferenceSet:
    """Return the same questions with other answers, as `flat_labels` orders them.

    Args:
        preferences: The answers given.
        score: (n,) of every pair.
        liked: (n,) of every pair.
        name: What the model's name gains, since these are not its words any more.
    """
    ends = np.cumsum([len(a.score) for a in preferences])
    return PreferenceSet(
        tuple(
            replace(
                answer,
                score=score[end - len(answer.score) : end],
                liked=liked[end - len(answer.score) : end],
                model=f"{answer.model}{name}",
                raw="",
            )
            for answer, end in zip(preferences, ends.tolist(), strict=True)
        )
    )
