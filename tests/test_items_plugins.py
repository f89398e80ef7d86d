"""Small plug-ins: items written by a model, its judge, captions, explanations."""

import json
from pathlib import Path

import numpy as np
import pytest

from simrec.catalogue import Catalogue
from simrec.errors import SimrecError
from simrec.items.captions import write_captions
from simrec.items.contents import contents_of
from simrec.items.hashed_text import HashedTextEncoder
from simrec.items.supply import CreatorLM
from simrec.items.why import why
from simrec.llm.backends.scripted import ScriptedLM
from simrec.llm.judge import CHAIN, Example, judge_texts

TITLES = tuple(f"{kind} film {n}" for kind in ("Space", "Horse") for n in range(10))
CATALOGUE = Catalogue("films", TITLES, TITLES, ("A text.",) * 20, (b"p",) * 3 + (None,) * 17)


def creator(script, **options) -> CreatorLM:
    popularity = np.arange(20)[::-1].copy()
    model = ScriptedLM("creator", script)
    return CreatorLM(model, CATALOGUE, popularity, HashedTextEncoder(8), **options)


def test_examples_are_the_popular_ones_of_a_topic_and_one_that_few_met():
    shown = creator(lambda *x: "", examples=4).retrieve(0)
    near = [r for r in range(20) if TITLES[r].startswith("Space")]
    assert set(shown) <= set(range(20)) and len(shown) == 4
    counts = [19 - r for r in shown]
    assert counts[:3] == sorted(counts[:3], reverse=True) and counts[3] < min(counts[:3])
    assert shown[0] in near
    text = creator(lambda *x: "", examples=4).prompt(shown).text
    assert f"- {TITLES[shown[0]]} (met by {19 - shown[0]}): A text." in text


def test_written_items_are_rows_beside_the_catalogues_and_repeats_are_refused():
    replies = iter(
        [
            json.dumps({"title": "Space horse", "description": "Both."}),
            json.dumps({"title": "space  HORSE", "description": "Again."}),
            json.dumps({"title": "Horse film 3", "description": "Old."}),
            "not JSON",
            "not JSON",
        ]
    )
    made = creator(lambda *x: next(replies)).create(4, seed=7)
    assert made.catalogue.item_ids == ("new-7-0",) and made.catalogue.titles == ("Space horse",)
    assert made.catalogue.texts == ("Both.",) and made.catalogue.images == (None,)
    assert made.vectors.shape[0] == 1 and np.linalg.norm(made.vectors[0]) == pytest.approx(1)
    assert [r.split(":")[0] for r in made.refused] == ["reply 1", "reply 2", "reply 3"]
    assert len(made.shown[0]) == 10

    def same(prompt, choices, schema):
        return json.dumps({"title": f"Film of {len(prompt.text)}", "description": ""})

    a, b = (creator(same).create(3, seed=1) for _ in range(2))
    assert a.catalogue.fingerprint == b.catalogue.fingerprint and a.shown == b.shown
    with pytest.raises(SimrecError, match=r"popularity of shape \(3,\) and 10 examples"):
        CreatorLM(ScriptedLM("x", same), CATALOGUE, np.zeros(3), HashedTextEncoder(8))


def test_a_judge_asks_a_chain_and_scores_with_other_examples_each_round():
    asked = []

    def script(prompt, choices, schema):
        asked.append(prompt.text)
        return str(1 + prompt.text.count("good") % 5) if choices else "an answer"

    examples = [Example(f"example {n}", 1 + n % 5) for n in range(6)]
    texts = ["bad", "good", "good good good"]
    found = judge_texts(ScriptedLM("judge", script), texts, examples, shots=2, rounds=2)
    assert found.scores.tolist() == [[1, 1], [2, 2], [4, 4]]
    assert found.mean.tolist() == [1, 2, 4] and found.spread == 0.0
    assert found.agreement(np.array([1.0, 3.0, 9.0])) == pytest.approx(1.0)
    assert found.chain == (("an answer",) * 3,) * 3
    assert len(asked) == 3 * 3 + 2 * 3
    assert asked[3] == f"Text: bad\n{CHAIN[0]}\nan answer\nQuestion: {CHAIN[1]}"
    shots = [[line for line in asked[n].splitlines() if "example" in line] for n in (9, 12)]
    assert shots[0] != shots[1] and len(shots[0]) == len(shots[1]) == 2
    mute = judge_texts(ScriptedLM("m", lambda *x: "?"), ["a"], examples, rounds=1)
    assert np.isnan(mute.mean).all() and np.isnan(mute.spread)
    with pytest.raises(SimrecError, match=r"6 examples \(one scored 9\) for 3 shots"):
        judge_texts(ScriptedLM("m", script), ["a"], [*examples[:5], Example("x", 9)])


def test_captions_are_files_that_the_text_encoder_reads_and_a_second_run_asks_nothing(
    tmp_path: Path,
):
    asked = []

    def script(prompt, choices, schema):
        assert prompt.images == (b"p",)
        asked.append(1)
        return "A red  ship." if len(asked) != 2 else " "

    assert write_captions(ScriptedLM("sees", script), CATALOGUE, tmp_path) == (2, 1)
    assert contents_of(CATALOGUE, "text", tmp_path)[:3] == ["A red ship.", None, "A red ship."]
    assert write_captions(ScriptedLM("sees", script), CATALOGUE, tmp_path) == (1, 0)
    assert write_captions(ScriptedLM("sees", script), CATALOGUE, tmp_path) == (0, 0)
    assert len(asked) == 4
    blind = CATALOGUE.select(np.arange(5, 8))
    with pytest.raises(SimrecError, match="no item of catalogue 'films' has a picture"):
        write_captions(ScriptedLM("sees", script), blind, tmp_path)


def test_an_explanation_by_hand():
    # two orthogonal items, centred answers +1/2 and -1/2, penalty 1: taste (1/4, -1/4)
    vectors = np.array([[1, 0], [0, 1], [2, 0]], dtype=np.float32)
    found = why(vectors, [0, 1], [1.0, 0.0], 2)
    assert found.score == pytest.approx(0.5)
    assert found.nearest.tolist() == [0, 1] and found.cosine.tolist() == [1.0, 0.0]
    assert found.moved == pytest.approx([0.5, 0.0])  # without item 0 nothing points there
    assert found.nearness == pytest.approx([0.5, 0.0])
    assert np.isnan(found.agreement)


def test_leaving_a_group_out_is_the_refit_and_nearness_agrees_with_it():
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(60, 20)).astype(np.float32)
    past = np.arange(30)
    said = (rng.random(30) < 0.5).astype(float)
    groups = past % 10
    found = why(vectors, past, said, 45, groups=groups, ridge=5.0)
    kept = groups != 4
    x, y = vectors[past[kept]].astype(float), (said - said.mean())[kept]
    stacked = np.vstack([x, np.sqrt(5.0) * np.eye(20)])
    taste = np.linalg.lstsq(stacked, np.r_[y, np.zeros(20)], rcond=None)[0]
    assert found.score - vectors[45] @ taste == pytest.approx(found.moved[4])
    mean = np.mean(
        [why(vectors, past, said, i, groups=groups, ridge=5.0).agreement for i in range(30, 60)]
    )
    assert mean > 0.4  # near items are a guess at what mattered, and not all of it
    with pytest.raises(SimrecError, match="0 events, 0 answers, 0 group labels"):
        why(vectors, [], [], 3)
