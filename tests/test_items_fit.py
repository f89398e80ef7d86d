"""Learning item vectors: above popularity and shuffled rows, repeatable, honest when hidden."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from simrec.datasets.dataset import Dataset
from simrec.datasets.library import open_dataset
from simrec.errors import SimrecError
from simrec.items.fit import fit_items, places_of
from simrec.items.fit_settings import FitSettings
from simrec.items.hashed_text import HashedTextEncoder
from simrec.items.next_item import drop_modality, log_chances, next_item_loss
from simrec.items.ranking import hit_rate
from simrec.items.retention import retention, retention_curve
from simrec.items.sequences import leave_one_out
from tests.item_worlds import planted, popularity_places

QUICK = FitSettings(width=32, epochs=10)


def _hits(fitted, states, present, task) -> float:
    return hit_rate(places_of(fitted, states, present, task.test))


def test_the_corrected_softmax_by_hand():
    # width 4: products 2, 4, 6 are halved to 1, 2, 3; chances 1/2, 1/4, 1/4; the target is column
    # 0, column 2 is in the user's own sequence and no negative: -log softmax of (1 + log 2, 2 +
    # log 4)
    states = torch.tensor([[2.0, 0.0, 0.0, 0.0]])
    table = torch.tensor([[1.0], [2.0], [3.0]]) * torch.tensor([1.0, 5.0, 5.0, 5.0])
    chance = torch.log(torch.tensor([0.5, 0.25, 0.25]))
    own = torch.tensor([[True, False, True]])
    loss = next_item_loss(states, table, chance, torch.tensor([0]), own)
    a, b = 2 * np.exp(1), 4 * np.exp(2)
    assert loss.item() == pytest.approx(-np.log(a / (a + b)), rel=1e-5)


def test_the_chance_of_being_a_candidate_by_hand():
    # three draws, shares 1/2 and 1/10: 1 - 1/8 and 1 - 0.729; what is alone is surely drawn
    found = log_chances(torch.tensor([0.5, 0.1, 1.0], dtype=torch.float64), 3).exp()
    assert found.tolist() == pytest.approx([0.875, 0.271, 1.0])
    # a rare item's chance is its share times the draws: the usual correction, but for a constant
    rare = log_chances(torch.tensor([1e-7, 3e-7], dtype=torch.float64), 1000)
    assert (rare[1] - rare[0]).item() == pytest.approx(np.log(3), abs=1e-3)


def test_the_last_modality_of_an_item_is_never_dropped():
    present = torch.tensor([[True, True], [True, False], [False, True], [True, True]])
    kept = drop_modality(present, torch.tensor([0, 0, 0, -1]))
    assert kept.tolist() == [[False, True], [True, False], [False, True], [True, True]]


@pytest.mark.parametrize("adapter", ["iisan", "crossan", "moe"])
def test_adapters_beat_popularity_and_shuffled_rows(adapter: str):
    states, present, log = planted()
    task = leave_one_out(log, history=8)
    settings = replace(QUICK, adapter=adapter)
    learnt = _hits(fit_items(states, present, task, settings), states, present, task)
    order = np.random.default_rng(1).permutation(len(present))
    mixed = {m: v[order] for m, v in states.items()}
    shuffled = _hits(fit_items(mixed, present, task, settings), mixed, present, task)
    popular = hit_rate(popularity_places(task.counts, task.test.seen, task.test.target))
    assert learnt > popular + 0.1 and learnt > shuffled + 0.1


def test_modality_dropout_raises_what_is_kept_without_the_main_modality():
    states, present, log = planted(correlated=True)
    task = leave_one_out(log, history=8)
    kept = {}
    for rate in (0.0, 0.5):
        found = [
            retention(fit_items(states, present, task, s), states, present, task)["text"]
            for s in (replace(QUICK, modality_dropout=rate, seed=seed) for seed in (0, 1))
        ]
        kept[rate] = float(np.mean(found))
    assert kept[0.5] > kept[0.0] + 0.05


def test_fits_repeat_bit_by_bit_and_leave_torchs_luck_alone():
    states, present, log = planted(60, 40, 8)
    task = leave_one_out(log, history=5)
    settings = FitSettings(width=8, epochs=2, tower_weight=0.1, align="gram")
    before = torch.random.get_rng_state()
    first = fit_items(states, present, task, settings)
    second = fit_items(states, present, task, settings)
    assert torch.equal(before, torch.random.get_rng_state())
    a, b = (f.vectors(states, present)[0] for f in (first, second))
    assert a.tobytes() == b.tobytes()
    assert len(first.curve) == 2 and first.best == int(np.argmax(first.curve))
    other = fit_items(states, present, task, replace(settings, seed=1))
    assert other.vectors(states, present)[0].tobytes() != a.tobytes()


def test_the_kept_epoch_is_the_best_one():
    states, present, log = planted(60, 40, 8)
    task = leave_one_out(log, history=5)
    settings = FitSettings(width=8, epochs=6, patience=6, learning_rate=0.02)
    fitted = fit_items(states, present, task, settings)
    again = fit_items(states, present, task, replace(settings, epochs=fitted.best + 1))
    assert again.curve == fitted.curve[: fitted.best + 1]
    for a, b in zip(fitted.vectors(states, present), again.vectors(states, present), strict=True):
        np.testing.assert_array_equal(a, b)


def test_hidden_content_never_reaches_the_vectors():
    states, present, log = planted(60, 40, 8)
    present[::3, 0] = False
    poisoned = {"text": states["text"].copy(), "image": states["image"]}
    poisoned["text"][::3] = np.nan
    task = leave_one_out(log, history=5)
    settings = FitSettings(width=8, epochs=1)
    a = fit_items(states, present, task, settings).vectors(states, present)[0]
    b = fit_items(poisoned, present, task, settings).vectors(poisoned, present)[0]
    assert np.isfinite(b).all() and a.tobytes() == b.tobytes()


def test_a_curve_starts_near_the_full_score_and_ends_at_the_whole_modality_gone():
    states, present, log = planted(300, 120, 8)
    task = leave_one_out(log, history=6)
    fitted = fit_items(states, present, task, replace(QUICK, epochs=6))
    full = _hits(fitted, states, present, task)
    curve = retention_curve(fitted, states, present, task, "text", rates=(0.0, 0.5, 1.0))
    assert curve[0.0] == full and curve[1.0] < curve[0.0]
    kept = retention(fitted, states, present, task)
    assert curve[1.0] == pytest.approx(kept["text"] * full)


def test_wrong_settings_are_one_sentence():
    states, present, log = planted(60, 40, 8)
    task = leave_one_out(log, history=5)
    with pytest.raises(SimrecError, match="there is no alignment 'gran'; did you mean 'gram'"):
        fit_items(states, present, task, FitSettings(align="gran"))
    wild = {"text": np.full_like(states["text"], np.inf), "image": states["image"]}
    with pytest.raises(SimrecError, match="is not finite in epoch 0"):
        fit_items(wild, present, task, FitSettings(width=8, epochs=1))


def test_real_titles_beat_popularity_and_shuffled_titles(shared_data: Path):
    whole = open_dataset(None, shared_data / "amazon_scientific")
    dense = whole.filtered(min_item_events=5, min_user_events=5)
    few = Dataset(dense.catalogue, dense.log.select(dense.log.user < 1500), None)
    data = few.filtered(min_item_events=2, min_user_events=5)
    titles = HashedTextEncoder(64).encode(data.catalogue.titles)
    states = {"text": ((titles - titles.mean(0)) / titles.std(0))[:, None]}
    present = np.ones((len(titles), 1), dtype=bool)
    task = leave_one_out(data.log, history=8)
    settings = FitSettings(width=32, epochs=8)
    learnt = _hits(fit_items(states, present, task, settings), states, present, task)
    order = np.random.default_rng(1).permutation(len(titles))
    mixed = {"text": states["text"][order]}
    shuffled = _hits(fit_items(mixed, present, task, settings), mixed, present, task)
    popular = hit_rate(popularity_places(task.counts, task.test.seen, task.test.target))
    assert learnt > popular and learnt > shuffled
