"""Kept answers: durable, shared by processes, checked, moved, and plain about a full disk."""

import multiprocessing
import resource
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from simrec.errors import SimrecError
from simrec.llm.cache import AnswerCache, answer_key, answers_path
from simrec.llm.protocol import Reply

ROOT = Path(__file__).resolve().parents[1]


def reply(text: str) -> Reply:
    return Reply(text, "yes", {"yes": -0.1, "no": -2.5}, 12, 1, "stop", True, "", 1)


def test_an_answer_comes_back_as_it_was(tmp_path: Path):
    with AnswerCache(tmp_path / "a.sqlite") as cache:
        assert cache.find(["k"]) == {}
        cache.keep("m", {"k": reply("é\u2028\x00")})
    with AnswerCache(tmp_path / "a.sqlite") as cache:
        assert cache.find(["k", "absent", "k"]) == {"k": reply("é\u2028\x00")}
        assert len(cache) == 1


def test_the_key_depends_on_model_prompt_options_and_schema():
    key = answer_key("m", "p", {"max_tokens": 4, "choices": None}, None)
    assert key == answer_key("m", "p", {"choices": None, "max_tokens": 4}, None)
    others = [
        answer_key("n", "p", {"max_tokens": 4, "choices": None}, None),
        answer_key("m", "q", {"max_tokens": 4, "choices": None}, None),
        answer_key("m", "p", {"max_tokens": 5, "choices": None}, None),
        answer_key("m", "p", {"max_tokens": 4, "choices": ["yes", "no"]}, None),
        answer_key("m", "p", {"max_tokens": 4, "choices": None}, "{}"),
    ]
    assert len({key, *others}) == 6


def test_the_first_answer_counts(tmp_path: Path):
    with AnswerCache(tmp_path / "a.sqlite") as one, AnswerCache(tmp_path / "a.sqlite") as two:
        assert one.keep("m", {"k": reply("first")})["k"].text == "first"
        assert two.keep("m", {"k": reply("second")})["k"].text == "first"
        assert one.find(["k"])["k"].text == "first"


def test_more_keys_than_one_query_takes(tmp_path: Path):
    with AnswerCache(tmp_path / "a.sqlite") as cache:
        for n in range(1203):
            cache.keep("m", {str(n): reply(str(n))})
        found = cache.find([str(n) for n in range(2000)])
    assert {k: r.text for k, r in found.items()} == {str(n): str(n) for n in range(1203)}


def test_a_corrupt_row_is_counted_left_out_and_replaced(tmp_path: Path):
    path = tmp_path / "a.sqlite"
    with AnswerCache(path) as cache:
        for key in ("a", "b", "c"):
            cache.keep("m", {key: reply(key)})
    with sqlite3.connect(path) as db:
        db.execute("UPDATE answers_1 SET reply = replace(reply, 'yes', 'no') WHERE key = 'b'")
        db.execute("UPDATE answers_1 SET reply = NULL WHERE key = 'c'")
    with AnswerCache(path) as cache:
        assert set(cache.find(["a", "b", "c"])) == {"a"}
        assert cache.corrupt == 2
        assert cache.keep("m", {"b": reply("anew")})["b"].text == "anew"
        assert cache.find(["b"])["b"].text == "anew"
        assert cache.export(tmp_path / "out.sqlite") == 2
        assert cache.corrupt == 3  # "c" once more


def test_answers_move_between_machines(tmp_path: Path):
    with AnswerCache(tmp_path / "here.sqlite") as here:
        here.keep("m", {"a": reply("a")})
        here.keep("m", {"b": reply("b here")})
        here.remember_model("transformers:x", "transformers:x-123")
        assert here.export(tmp_path / "moved.sqlite") == 2
    with AnswerCache(tmp_path / "there.sqlite") as there:
        there.keep("m", {"b": reply("b there")})
        assert there.take_in(tmp_path / "moved.sqlite") == (1, 0)
        assert there.take_in(tmp_path / "moved.sqlite") == (0, 0)
        assert {k: r.text for k, r in there.find(["a", "b"]).items()} == {"a": "a", "b": "b there"}
        assert there.model_name("transformers:x") == "transformers:x-123"
        assert there.model_name("transformers:y") is None


def _fill(path: Path, first: int) -> None:
    with AnswerCache(path) as cache:
        for n in range(first, first + 200):
            cache.keep("m", {str(n): reply(str(n))})


def test_several_processes_write_at_once_and_nothing_is_lost(tmp_path: Path):
    path = tmp_path / "a.sqlite"
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=_fill, args=(path, first)) for first in (0, 100, 200, 300)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0, 0, 0, 0]
    with AnswerCache(path) as cache:
        found = cache.find([str(n) for n in range(500)])
        assert cache.corrupt == 0
    assert {k: r.text for k, r in found.items()} == {str(n): str(n) for n in range(500)}


def test_an_answer_outlives_a_kill_right_after_it(tmp_path: Path):
    code = (
        "import os, signal, sys; from pathlib import Path\n"
        "from simrec.llm.cache import AnswerCache; from simrec.llm.protocol import Reply\n"
        "AnswerCache(Path(sys.argv[1])).keep('m', {'k': Reply('x', None, None, 1, 1, 'stop')})\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    path = tmp_path / "a.sqlite"
    end = subprocess.run([sys.executable, "-c", code, str(path)], cwd=ROOT, check=False)
    assert end.returncode == -signal.SIGKILL
    with AnswerCache(path) as cache:
        assert cache.find(["k"])["k"].text == "x"


def test_a_full_disk_is_one_sentence_and_costs_no_earlier_answer(tmp_path: Path):
    path = tmp_path / "a.sqlite"
    with AnswerCache(path) as cache:
        cache.keep("m", {"early": reply("early")})
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    kept = 0
    try:
        with AnswerCache(path) as cache:
            resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, limit[1]))
            with pytest.raises(SimrecError) as error:
                for kept in range(1000):
                    cache.keep("m", {str(kept): reply("x" * 1000)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
        signal.signal(signal.SIGXFSZ, handler)
    assert str(error.value).startswith(f"cannot write the answers in {path} (")
    assert str(error.value).endswith(
        "; make room or set SIMREC_HOME to a folder that can be written, then run again: answers "
        "kept so far are not asked for twice"
    )
    assert kept > 10
    with AnswerCache(path) as cache:
        assert set(cache.find(["early", *map(str, range(kept))])) == {
            "early",
            *map(str, range(kept)),
        }


def test_a_place_that_cannot_be_written_is_one_sentence(tmp_path: Path):
    (tmp_path / "file").write_text("")
    path = tmp_path / "file" / "a.sqlite"
    with pytest.raises(SimrecError, match=r"^cannot open the answers in .*set SIMREC_HOME to a"):
        AnswerCache(path)


def test_a_file_that_is_no_cache_is_one_sentence(tmp_path: Path):
    path = tmp_path / "a.sqlite"
    path.write_bytes(b"these are not the answers you seek " * 100)
    with pytest.raises(SimrecError) as error:
        AnswerCache(path)
    assert str(error.value) == (
        f"cannot open the answers in {path} (file is not a database); move the file away and run "
        "again, or import an exported copy"
    )
    with AnswerCache(tmp_path / "good.sqlite") as cache:
        with pytest.raises(SimrecError, match=r"^cannot import the answers in .*not a database"):
            cache.take_in(path)
        with pytest.raises(SimrecError, match=r"^there is no file .*absent to import; expected"):
            cache.take_in(tmp_path / "absent")
        sqlite3.connect(tmp_path / "empty.sqlite").execute("CREATE TABLE t (x)").connection.close()
        with pytest.raises(SimrecError, match=r"^.*empty.sqlite holds no answers of version 1; "):
            cache.take_in(tmp_path / "empty.sqlite")


def test_answers_are_in_the_data_home(data_home: Path):
    assert answers_path() == data_home / "answers.sqlite"
