"""Self-selected ratings: propensities, weights, and people asked about random items."""

import dataclasses

import numpy as np
import pytest

from simrec.datasets.columns import event_columns, friend_pairs, split_dataset
from simrec.datasets.tidy import read_tidy
from simrec.envs.debias import debias_gain
from simrec.envs.load import WorldSpec, load_parts, make_table, source_of
from simrec.envs.propensity import bayes_propensity, inverse_weights, popularity_propensity
from simrec.errors import SimrecError
from simrec.interactions import InteractionLog, Part, Split, split_log


def test_a_propensity_is_activity_times_share():
    # user 0 has 3 events, user 1 has 1; item 0 has 3 of 4 events, item 1 has 1
    users, items = np.array([0, 0, 0, 1]), np.array([0, 0, 1, 0])
    chance = popularity_propensity(users, items, n_users=2, n_items=2)
    assert chance.tolist() == [1.0, 1.0, 0.75, 0.75]  # 3 * 3/4 is cut to 1
    flat = popularity_propensity(users, items, n_users=2, n_items=2, power=0.0)
    assert flat.tolist() == [1.0, 1.0, 1.0, 0.5]


def test_weights_are_inverse_cut_off_and_of_mean_one():
    assert inverse_weights(np.array([0.5, 0.25])) == pytest.approx([2 / 3, 4 / 3])
    weights = inverse_weights(np.r_[np.full(99, 0.5), 1e-9], largest=5.0)
    assert weights.mean() == pytest.approx(1.0)
    # the one rare event weighed all but nothing else; cut to 5 times the mean it is 5 of 5
    assert weights[-1] > 50 and weights[0] < 0.01
    even = inverse_weights(np.r_[np.full(99, 0.5), 0.01], largest=5.0)
    assert even[-1] / even[0] == pytest.approx(5.0 / (1 / 0.5 / np.mean([2.0] * 99 + [100.0])))


def selected(n_users=150, n_items=80, events=20):
    """People rate by choice, mostly what they like; the chance of each choice is known."""
    rng = np.random.default_rng(0)
    truth = np.clip(
        2.5 + rng.normal(0, 0.7, n_items) + rng.normal(0, 0.8, (n_users, n_items)), 1, 5
    ).round()
    chance = np.exp(0.9 * truth)
    chance *= events / chance.sum(axis=1, keepdims=True)
    chance = np.minimum(chance, 1.0)
    chosen = rng.random(truth.shape) < chance
    random = (rng.random(truth.shape) < 0.15) & ~chosen
    user, item = np.nonzero(chosen | random)
    log = InteractionLog(
        user.astype(np.int32),
        item.astype(np.int32),
        truth[user, item].astype(np.float32),
        None,
        "stars",
        tuple(map(str, range(n_users))),
        n_items,
    )
    part = np.where(random[user, item], Part.REALISM, Part.TRUTH).astype(np.int8)
    return log, Split(part, np.ones(n_users, dtype=bool)), chance[user, item]


def test_known_propensities_bring_users_closer_to_random_ratings():
    log, split, chance = selected()
    vectors = np.random.default_rng(1).normal(size=(log.n_items, 4)).astype(np.float32)
    gain = debias_gain(log, split, vectors, chance, like_at=3.0, seed=0, rank=2)
    assert gain.squared_error.low > 0
    assert gain.log_loss.low > 0
    assert gain.weighted.rmse < gain.plain.rmse
    assert gain.sentence().startswith("the weighted population is closer to the judging ratings")
    same = debias_gain(log, split, vectors, np.full(len(log), 0.3), like_at=3.0, seed=0, rank=2)
    assert same.sentence().startswith("no difference is resolved")
    assert same.squared_error.mean == pytest.approx(0.0, abs=1e-9)


def test_on_coat_the_weighted_users_are_closer_to_ratings_of_random_coats(shared_data, data_home):
    from simrec.datasets.library import import_dataset

    import_dataset("tidy", shared_data / "coat", "coat")
    spec = WorldSpec("coat", like_at=3.0, shrinkage=4.0, debias=True)
    source = load_parts(spec)
    judging = source.split.part == Part.REALISM
    assert judging.sum() == 4640 and (~judging).sum() == 6960
    gain = debias_gain(
        source.dataset.log,
        source.split,
        make_table(spec, source).fused,
        source.propensity,
        like_at=3.0,
        seed=0,
        shrinkage=4.0,
    )
    assert gain.squared_error.low > 0.03
    assert gain.log_loss.low > 0


def coat_like(folder, shared=None):
    import pandas as pd

    folder.mkdir()
    pd.DataFrame({"item_id": [0, 1, 2], "title": ["a", "b", "c"]}).to_parquet(
        folder / "items.parquet"
    )
    log = pd.DataFrame(
        {
            "user_id": [5, 5, 5, 7, 7, 7],
            "item_id": [0, 1, 2, 0, 1, 2],
            "rating": [5.0, 4.0, 3.0, 2.0, 1.0, 2.5],
            "split": ["train_mnar", "test_mar", "train_mnar"] * 2,
            "propensity": [0.5, 0.1, 0.2, 1.0, 0.3, 0.4],
        }
    )
    log.to_parquet(folder / "interactions.parquet")
    friends = pd.DataFrame({"user_id": [5, 7, 9], "friends": [[7, 9], [5], []]})
    friends.to_parquet(folder / "users.parquet")
    return folder


def test_splits_and_propensities_are_read_and_follow_a_filter(tmp_path):
    data = read_tidy(coat_like(tmp_path / "set"), name="set")
    found = event_columns(data)
    assert found.judging.tolist() == [False, True, False] * 2
    assert found.propensity == pytest.approx([0.5, 0.1, 0.2, 1.0, 0.3, 0.4])
    some = dataclasses.replace(data, log=data.log.select(np.array([1, 5])), rows=np.array([1, 5]))
    assert event_columns(some).judging.tolist() == [True, False]
    assert event_columns(some).propensity == pytest.approx([0.1, 0.4])
    split = split_dataset(data, seed=0, history=1)
    assert (split.part == Part.REALISM).tolist() == [False, True, False] * 2
    assert set(split.part[[0, 2]]) == {Part.AGENT, Part.TRUTH}


def test_without_a_split_column_the_log_is_split_as_ever(toy_data):
    ours = split_dataset(toy_data, seed=3, history=6)
    theirs = split_log(toy_data.log, seed=3, history=6)
    assert (ours.part == theirs.part).all() and (ours.online == theirs.online).all()


@pytest.fixture
def toy_data():
    from simrec.datasets.toy import make_toy

    return make_toy(seed=0, n_items=24, n_users=10)


def test_friends_are_rows_of_the_log_and_strangers_are_left_out(tmp_path, toy_data):
    data = read_tidy(coat_like(tmp_path / "set"), name="set")
    assert friend_pairs(data).tolist() == [[0, 1], [0, 2], [1, 0]]
    assert data.log.user_ids == ("5", "7", "9")
    fewer = data.filtered(min_item_events=1, min_user_events=1)  # user 9 has no event
    assert friend_pairs(fewer).tolist() == [[0, 1], [1, 0]]
    assert friend_pairs(toy_data).shape == (0, 2)


def test_friends_who_are_no_numbers_are_refused(tmp_path):
    import pandas as pd

    data = read_tidy(coat_like(tmp_path / "set"), name="set")
    friends = pd.DataFrame({"user_id": [5, 7, 9], "friends": [["7"], ["5"], []]})
    friends.to_parquet(tmp_path / "set" / "users.parquet")
    with pytest.raises(SimrecError, match=r"^users.parquet: friends holds '7' in row 0; expected "):
        friend_pairs(data)


def test_a_matrix_of_propensities_is_read_by_ids_and_follows_a_filter(tmp_path):
    import pandas as pd

    folder = coat_like(tmp_path / "set")
    log = pd.read_parquet(folder / "interactions.parquet").drop(columns=["propensity", "split"])
    log.to_parquet(folder / "interactions.parquet")
    (folder / "features").mkdir()
    path = folder / "features" / "propensity_user_by_item.npy"
    np.save(path, np.array([[0.1, 0.2, 0.3], [0.4, 0.5, 0.6], [0.7, 0.8, 0.9]]))
    data = read_tidy(folder, name="set").filtered(min_item_events=1, min_user_events=2)
    assert data.log.n_users == 2  # users 5 and 7: the third row is of user 9, who did nothing
    assert event_columns(data).propensity == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5, 0.6])
    np.save(path, np.full((2, 3), 0.5))
    with pytest.raises(SimrecError, match=r"has shape \(2, 3\); expected \(3, 3\), users by items"):
        split_dataset(data, seed=0, history=1)
    path.write_bytes(b"no numbers")
    with pytest.raises(SimrecError, match=r"^propensity_user_by_item.npy cannot be read \("):
        split_dataset(data, seed=0, history=1)


def test_a_propensity_of_zero_is_refused(tmp_path):
    import pandas as pd

    folder = coat_like(tmp_path / "set")
    log = pd.read_parquet(folder / "interactions.parquet")
    log["propensity"] = 0.0
    log.to_parquet(folder / "interactions.parquet")
    with pytest.raises(SimrecError, match=r"^the data set 'set' has a propensity of 0; expected "):
        event_columns(read_tidy(folder, name="set"))


def test_chances_estimated_from_ratings_are_bayes_rule():
    # 4 of 10 pairs were chosen: three 5s and a 1; random ratings are 1, 1 and 5, each counted once
    # more: P(1) = 3/5, P(5) = 2/5; P(O|1) = (1/10) / (3/5), P(O|5) = (3/10) / (2/5)
    chance = bayes_propensity(np.array([5.0, 5, 5, 1]), np.array([1.0, 1, 5]), n_pairs=10)
    assert chance == pytest.approx([3 / 4, 3 / 4, 3 / 4, 1 / 6])


def test_ratings_that_tell_the_shares_are_judged_by_nobody(tmp_path):
    import pandas as pd

    folder = coat_like(tmp_path / "set")
    log = pd.DataFrame({"user_id": np.repeat([5, 7], 30), "item_id": np.tile(np.arange(30), 2)})
    log["rating"] = np.tile([1.0, 5.0, 3.0], 20)
    log["split"] = np.where(log["item_id"] < 20, "train_mnar", "test_mar")
    log.to_parquet(folder / "interactions.parquet")
    pd.DataFrame({"item_id": range(30), "title": [f"coat {n}" for n in range(30)]}).to_parquet(
        folder / "items.parquet"
    )
    data = read_tidy(folder, name="set")
    split = split_dataset(data, seed=0, history=2)
    found = source_of(data, split, debias="bayes", seed=0)
    told = found.split.part == -1
    assert told.sum() == 1 and (split.part[told] == Part.REALISM).all()
    assert (found.split.part[~told] == split.part[~told]).all()
    truth = split.part == Part.TRUTH
    assert (found.propensity[~truth] == 1).all() and (found.propensity[truth] < 1).all()
    chosen = dataclasses.replace(data, folder=None)
    with pytest.raises(SimrecError, match=r"^debias is 'bayes', but all events of 'set' were chos"):
        source_of(chosen, split, debias="bayes", seed=0)


def test_on_coat_chances_from_ratings_help_too(shared_data, data_home):
    from simrec.datasets.library import import_dataset

    import_dataset("tidy", shared_data / "coat", "coat")
    spec = WorldSpec("coat", like_at=3.0, debias="bayes")
    source = load_parts(spec)
    assert (source.split.part == Part.REALISM).sum() == 4640 - 232
    gain = debias_gain(
        source.dataset.log,
        source.split,
        make_table(spec, source).fused,
        source.propensity,
        like_at=3.0,
        seed=0,
        shrinkage=4.0,
    )
    assert gain.squared_error.low > 0.03
