"""The toy world: reproducible, readable, and with something to learn in it."""

import io

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from scipy.stats import norm

from simrec.datasets import toy
from simrec.datasets.dataset import Dataset
from simrec.datasets.toy import make_toy, toy_truth
from simrec.datasets.toy_text import TOPICS
from simrec.errors import SimrecError


@pytest.fixture(scope="module")
def world() -> Dataset:
    return make_toy(seed=0)


def topic_rows(dataset: Dataset) -> NDArray[np.int64]:
    return dataset.catalogue.attribute("topic").membership.argmax(axis=1)


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(world: Dataset) -> None:
    assert make_toy(seed=0).fingerprint == world.fingerprint
    assert make_toy(seed=1).fingerprint != world.fingerprint


def test_every_user_has_40_to_60_ratings_of_different_items_in_time_order(world: Dataset) -> None:
    log = world.log
    counts = np.bincount(log.user, minlength=log.n_users)
    assert (counts.min(), counts.max()) == (40, 60)
    assert len(np.unique(log.user.astype(np.int64) * log.n_items + log.item)) == len(log)
    assert log.time is not None
    same_user = np.diff(log.user) == 0
    assert (np.diff(log.user) >= 0).all() and (np.diff(log.time)[same_user] >= 0).all()
    assert set(np.unique(log.feedback)) == {1, 2, 3, 4, 5}


def test_time_does_not_follow_taste(world: Dataset) -> None:
    # Under a fair shuffle, first and second halves of the users' events have the same mean rating
    # up to a standard error of about 1.3 / sqrt(7500) * 2 = 0.02.
    log = world.log
    starts = np.searchsorted(log.user, np.arange(log.n_users))
    place = np.arange(len(log)) - starts[log.user]
    early = place < np.bincount(log.user)[log.user] / 2
    assert abs(log.feedback[early].mean() - log.feedback[~early].mean()) < 0.08


def test_taste_varies_about_three_times_as_much_as_quality() -> None:
    ratios = []
    for seed in range(3):
        truth = toy_truth(seed=seed)
        taste = truth.affinity @ truth.mix.T
        within = taste - taste.mean(axis=1, keepdims=True)  # what differs between a user's items
        ratios.append(within.var() / truth.quality.var())
    assert 2.5 < np.mean(ratios) < 3.5


def test_a_static_list_falls_short_and_quality_still_pays() -> None:
    # Probability of 4 stars or more: P(utility + noise > 3rd step), noise normal.
    for seed in range(3):
        truth = toy_truth(seed=seed)
        likes = norm.sf(toy._STEPS[2], loc=truth.utility, scale=toy._NOISE)
        taste = truth.affinity @ truth.mix.T
        random = likes.mean()
        static = np.sort(likes.mean(axis=0))[-20:].mean()
        oracle = np.sort(likes, axis=1)[:, -20:].mean()
        by_taste = np.take_along_axis(likes, np.argsort(-taste, axis=1)[:, :20], axis=1).mean()
        assert (static - random) / (oracle - random) < 0.7
        assert (by_taste - random) / (oracle - random) < 0.95  # taste alone misses something


def test_no_visible_part_tells_quality(world: Dataset) -> None:
    # Least squares of quality on topic and sound over the 240 items: 12 + 16 columns explain
    # 27/239 = 11 % by chance alone; 28 % would be far beyond it.
    quality = toy_truth(seed=0).quality
    seen = np.hstack(
        [world.catalogue.attribute("topic").membership, world.catalogue.features["sound"].values]
    ).astype(np.float64)
    fit = seen @ np.linalg.lstsq(seen, quality, rcond=None)[0]
    assert 1 - (quality - fit).var() / quality.var() < 0.28


def test_popular_items_and_own_taste_are_met_more_often(world: Dataset) -> None:
    truth = toy_truth(seed=0)
    counts = np.bincount(world.log.item, minlength=world.log.n_items)
    assert np.corrcoef(counts, truth.quality)[0, 1] > 0.3
    taste = truth.affinity @ truth.mix.T
    assert taste[world.log.user, world.log.item].mean() > taste.mean() + 0.2


def test_words_tell_the_topic_often_but_not_always(world: Dataset) -> None:
    # Nearest neighbour by shared words, weighted by rarity; guessing gives 1 in 12.
    catalogue = world.catalogue
    docs = [
        f"{title} {text}".lower().replace(".", " ").split()
        for title, text in zip(catalogue.titles, catalogue.texts, strict=True)
    ]
    column = {word: i for i, word in enumerate(sorted({word for doc in docs for word in doc}))}
    bags = np.zeros((len(docs), len(column)))
    for row, doc in enumerate(docs):
        bags[row, [column[word] for word in doc]] = 1
    bags *= np.log(len(docs) / bags.sum(axis=0))
    bags /= np.linalg.norm(bags, axis=1, keepdims=True)
    near = np.argsort(-(bags @ bags.T - 2 * np.eye(len(docs))), axis=1)[:, :10]
    topics = topic_rows(world)
    assert 0.5 < (topics[near] == topics[:, None]).mean() < 0.95


def test_titles_are_text_and_some_are_only_hooks(world: Dataset) -> None:
    assert all(title.strip() == title and title for title in world.catalogue.titles)
    words = {
        topic.name: {w for group in (topic.actions, topic.objects) for w in group}
        for topic in TOPICS
    }
    names = [TOPICS[row].name for row in topic_rows(world)]
    told = [
        any(word.lower() in title.lower() for word in words[name])
        for name, title in zip(names, world.catalogue.titles, strict=True)
    ]
    assert 0.7 < np.mean(told) < 0.9  # one in five is a hook


def test_covers_are_pictures_of_48_pixels_in_their_topics_colours(world: Dataset) -> None:
    means = []
    for data in world.catalogue.images:
        assert data is not None
        with Image.open(io.BytesIO(data)) as picture:
            assert picture.size == (48, 48) and picture.format == "PNG"
            means.append(np.asarray(picture, dtype=np.float64).mean(axis=(0, 1)))
    colours = np.array(means)
    topics = topic_rows(world)
    centres = np.array([colours[topics == g].mean(axis=0) for g in range(len(TOPICS))])
    guess = ((colours[:, None] - centres) ** 2).sum(axis=2).argmin(axis=1)
    assert 0.4 < (guess == topics).mean() < 1.0


def test_sound_tells_topics_and_is_missing_for_some(world: Dataset) -> None:
    sound = world.catalogue.features["sound"]
    assert sound.values.shape == (240, 16)
    assert 0.75 < sound.present.mean() < 0.95
    assert not sound.values[~sound.present].any()
    heard, topics = sound.values[sound.present], topic_rows(world)[sound.present]
    scaled = (heard - heard.mean(axis=0)) / heard.std(axis=0)
    far = ((scaled[:, None] - scaled) ** 2).sum(axis=2) + 1e9 * np.eye(len(scaled))
    assert 0.4 < (topics[far.argmin(axis=1)] == topics).mean() < 0.95


def test_a_smaller_world_has_fewer_events_than_items(world: Dataset) -> None:
    small = make_toy(seed=0, n_items=24, n_users=5)
    assert np.bincount(small.log.user).tolist() == [24] * 5
    assert small.folder is None and world.folder is None


@pytest.mark.parametrize(("items", "users"), [(11, 600), (240, 1)])
def test_a_world_too_small_is_refused(items: int, users: int) -> None:
    with pytest.raises(SimrecError) as caught:
        make_toy(seed=0, n_items=items, n_users=users)
    assert str(caught.value) == (
        f"the toy world got n_items={items} and n_users={users}; expected at least 12 items and 2 "
        "users; raise them"
    )
