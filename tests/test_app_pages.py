"""Every other page, run headless over a study made on the toy world."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("streamlit", reason="the dashboard's extra is not installed")
from streamlit.testing.v1 import AppTest

from simrec.app import teaching
from simrec.app.item_codes import code_table, code_tree, item_codes
from simrec.app.item_map import Items, plane
from simrec.preferences import Preference, PreferenceSet, Question
from tests.run_folders import RECORD, write_study
from tests.test_app import HOSTILE, words
from tests.toy_study import make_toy_study

Open = Callable[..., AppTest]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    make_toy_study(folder)
    return folder


def show(page: str, root: Path, *, read_only: bool = False, **query: str) -> AppTest:
    code = (
        f"from pathlib import Path\nfrom simrec.app.views.{page} import page\n"
        f"page(Path({str(root)!r}), {read_only})"
    )
    test = AppTest.from_string(code, default_timeout=300)
    for name, value in query.items():
        test.query_params[name] = value
    test.run()
    assert not test.exception
    return test


@pytest.mark.parametrize("page", ["session", "live", "items", "teacher", "users", "runs"])
def test_every_page_says_plainly_that_there_is_nothing_yet(page: str, tmp_path: Path) -> None:
    assert f"There are no runs under {tmp_path} yet." in words(show(page, tmp_path))


@pytest.mark.parametrize("page", ["session", "live", "items", "teacher", "users"])
def test_a_study_without_its_stages_says_what_is_missing(page: str, tmp_path: Path) -> None:
    write_study(tmp_path, seeds=1)
    said = words(show(page, tmp_path))
    assert "run the study again" in said


def test_a_session_is_played_step_by_step(root: Path) -> None:
    page = show("session", root, a="frozen", b="scratch")
    said = words(page)
    assert "chance" in said
    assert "patience used up" in said
    assert "Left after" in said or "Stayed to the end" in said
    page.slider(key="step").set_value(1).run()
    assert "after 1 recommendation<" in words(page)
    page.button[0].click().run()
    assert page.session_state["playing"]


def test_items_show_neighbours_and_what_is_missing(root: Path) -> None:
    page = show("items", root, space="sound")
    assert "cosine" in words(page)
    rows = re.findall(r"<td class=\"\"><u>modality</u>(\w+)</td>(.*?)</tr>", words(page))
    table = {name: re.findall(r"</u>([\d,.]+)</td>", cells) for name, cells in rows}
    assert set(table) == {"text", "attributes", "image", "sound"}
    assert int(table["sound"][2]) > 0 == int(table["image"][2])
    assert int(table["sound"][1]) + int(table["sound"][2]) == 240


def test_neighbours_by_hand() -> None:
    vectors = np.array([[1, 0], [2, 0.1], [0, 1], [-1, 0]], dtype=np.float32)
    present = np.array([[True], [True], [False], [True]])
    items = Items(vectors, {"text": vectors}, present, np.zeros(4, dtype=np.float32))
    assert [i for i, _ in items.neighbours(0, "all", 3)] == [1, 2, 3]
    assert [i for i, _ in items.neighbours(0, "text", 3)] == [1, 3]
    assert items.neighbours(0, "all", 3)[2][1] == pytest.approx(-1.0)
    assert items.neighbours(2, "text", 3) == []


def test_a_plane_keeps_what_two_numbers_can_tell() -> None:
    flat = np.random.default_rng(0).normal(size=(30, 2)) @ np.ones((2, 5)).cumsum(1)
    points, share = plane(flat.astype(np.float32))
    assert points.shape == (30, 2)
    assert share == pytest.approx(1.0)
    assert plane(np.ones((4, 3), dtype=np.float32))[1] == 0.0


def test_the_teacher_is_shown_with_a_question_and_its_answer(root: Path) -> None:
    said = words(show("teacher", root, question="2"))
    assert "similarity:hashed" in said
    assert "would like" in said
    assert "This teacher reads no prompt and writes no reply" in said
    page = show("teacher", root)
    assert page.code[-2].value.startswith("You judge what one person would like")
    assert page.code[-1].value == "No text was written."
    assert "stand-in" in said


def test_what_was_asked_and_replied_is_shown_word_by_word_where_it_was_kept(
    tmp_path: Path,
) -> None:
    write_study(tmp_path, seeds=1)
    stages = tmp_path / "tiny" / "stages"
    stages.mkdir()
    PreferenceSet((_answer([True]), _answer([False]))).save(stages / "preferences-seed-0-x.parquet")
    said = {"user": 0, "valid": True, "parsed": "[1]", "cached": True, "completion_tokens": 5}
    rows = [
        {"question_id": n, "prompt": f"Ask {n} {HOSTILE}", "reply": f"Say {n}", "prompt_tokens": 70}
        for n in (0, 1, 1)
    ]
    frame = pd.DataFrame([row | said for row in rows])
    frame.to_parquet(stages / "questions-seed-0-x.parquet")
    page = show("teacher", tmp_path, question="2")
    asked = f"Ask 1 {HOSTILE}"
    assert [code.value for code in page.code] == [asked, "Say 1", asked, "Say 1"]
    assert "Reply, 5 tokens, from the cache" in words(page)
    (stages / "questions-seed-0-x.parquet").write_text("cut short")
    assert "questions-seed-0-x.parquet cannot be read" in words(show("teacher", tmp_path))


def test_codes_are_a_tree_with_every_item_once(root: Path) -> None:
    vectors = np.array([[9, 0], [9, 1], [-9, 0], [-9, 1]], dtype=np.float32)
    topics = np.array(["a", "a", "b", "c"], dtype=object)
    codes = np.array([[0, 0], [0, 1], [1, 0], [1, 0]])
    table = code_table(codes, topics, ["w", "x", HOSTILE, "z"])
    assert table[table["level"] == 0]["items"].tolist() == [2, 2]
    assert table[table["level"] == 2]["parent"].tolist() == ["0.0", "0.1", "1.0", "1.0"]
    assert table.set_index("id").loc["1", "share"] == 0.5
    numbers = code_table(codes, np.array([1.0, 2.0, np.nan, 4.0]), ["w", "x", "y", "z"])
    assert numbers.set_index("id").loc[["0", "1"], "value"].tolist() == [1.5, 4.0]
    figure = code_tree(table, {"a": "#000000"}, "topic", 2)
    assert not [label for label in figure.data[0].labels if "<img" in label]
    assert item_codes(vectors).shape == (4, 2)
    assert "tree of codes" in show("items", root).subheader[0].value


def _answer(liked: list[bool], raw: str = "") -> Preference:
    places = np.arange(len(liked))
    question = Question(0, np.array([3]), np.array([1.0]), places, ("random",) * len(liked))
    return Preference(question, np.array(liked), np.ones(len(liked)), HOSTILE, "", raw)


def test_likes_by_place_by_hand() -> None:
    found = teaching.by_place([_answer([True, False]), _answer([True, False, True])])
    assert found["shown"].tolist() == [2, 2, 1]
    assert found["share"].tolist() == [1.0, 0.0, 1.0]
    assert teaching.by_place([_answer([True]), _answer([False])])["error"][0] == pytest.approx(
        np.sqrt(0.5 * 0.5 / 2)
    )


def test_costs_are_sums_told_in_words_and_what_was_not_measured_is_left_out() -> None:
    assert teaching.costs({"questions": 1200, "answered": 1100}, None) == [
        ("questions answered", "1,100 of 1,200")
    ]
    tokens = {"requests": 300, "prompt_tokens": 190_000, "completion_tokens": 300}
    again = {"requests": 20, "prompt_tokens": 10_000, "completion_tokens": 20}
    swap = {"agreement": 0.56, "kappa": 0.076, "pairs": 200, "questions": 20}
    llm = {"spent": tokens, "swap_spent": again, "unreadable": 3, "swap": swap}
    told = dict(teaching.costs(llm, (7, 300)))
    assert (told["requests"], told["tokens sent"], told["tokens received"]) == (
        "320", "200,000", "320",
    )  # fmt: skip
    assert told["replies from the cache when last asked"] == "7 of 300"
    assert told["answers that stay when the candidates are reversed"].startswith("56% of 200")


def test_a_hostile_reply_is_text(tmp_path: Path) -> None:
    write_study(tmp_path, seeds=1)
    stages = tmp_path / "tiny" / "stages"
    stages.mkdir()
    PreferenceSet((_answer([True, False], HOSTILE),)).save(stages / "preferences-seed-0-x.parquet")
    page = show("teacher", tmp_path)
    assert page.code[-1].value == HOSTILE
    assert "<img" not in words(page)
    assert not [block for block in page.markdown if "bold" in block.value]


def test_users_show_realism_bounds_and_segments(root: Path) -> None:
    page = show("users", root)
    said = words(page)
    assert "ratings of real people" in said
    assert "<u>predictor</u>simulated users</td>" in said
    page.segmented_control(key="by").set_value("generosity").run()
    assert not page.exception


def test_live_serves_and_adapts(root: Path) -> None:
    page = show("live", root, policy="popular")
    assert "nothing shown yet" in words(page)
    page.button[1].click().run()  # one step
    assert "1 item shown" in words(page)


def test_live_lets_a_person_answer(root: Path) -> None:
    page = show("live", root, mode="I am the user", policy="popular")
    takes = [button for button in page.button if button.label == "This one"]
    assert len(takes) == 6
    takes[2].click().run()
    assert "1 of 6 items shown" in words(page)


def test_runs_lists_studies_and_hides_what_writes_when_read_only(root: Path) -> None:
    page = show("runs", root)
    row = dict(re.findall(r"<u>([\w ()]+)</u>([^<]*)</td>", words(page)))
    assert (row["study"], row["state"], row["runs"]) == ("tiny", "complete", "6 of 6")
    assert row["env steps a run"] == "2,000"
    assert {"Resume", "Delete", "Start"} <= {button.label for button in page.button}
    assert not show("runs", root, read_only=True).button


def test_a_study_with_a_mistake_cannot_be_started(root: Path) -> None:
    page = show("runs", root)
    page.text_area[0].set_value("study: a\nworl: {}").run()
    assert "the study: unknown key 'worl'; did you mean 'world'?" in words(page).replace(
        "&#x27;", "'"
    )
    assert "Start" not in {button.label for button in page.button}


def test_settings_of_two_studies_are_compared(tmp_path: Path) -> None:
    write_study(tmp_path, base=replace(RECORD, study="one", config={"a": {"b": 1}}), seeds=1)
    write_study(tmp_path, base=replace(RECORD, study="two", config={"a": {"b": 2}}), seeds=1)
    page = show("runs", tmp_path, read_only=True)
    table = page.dataframe[-1].value
    assert table.to_dict("records") == [{"setting": "a.b", "one": "1", "two": "2"}]
