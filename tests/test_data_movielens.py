"""Both layouts of MovieLens, from small made-up files and from a stand-in for the real 100K."""

from pathlib import Path

import pandas as pd

from simrec.datasets.movielens import read_movielens
from simrec.datasets.tidy import read_tidy
from tests.data_folders import write_100k_folder, write_latest_folder


def test_the_100k_layout_is_read(tmp_path: Path) -> None:
    dataset = read_movielens(write_100k_folder(tmp_path / "ml"), name="ml")
    catalogue, log = dataset.catalogue, dataset.log
    # ids 1, 2, 10 in numeric order, not "1", "10", "2"
    assert catalogue.item_ids == ("1", "2", "10")
    assert catalogue.titles == ("Toy Story (1995)", "GoldenEye (1995)", "Amélie (2001)")
    assert catalogue.attribute("genres").vocabulary == ("Action", "Drama")
    assert catalogue.attribute("genres").membership.tolist() == [[1, 0], [1, 1], [0, 1]]
    assert log.user_ids == ("3", "7")
    assert log.user.tolist() == [1, 1, 0]
    assert log.item.tolist() == [2, 0, 1]
    assert log.feedback.tolist() == [5, 3, 1]
    assert log.time is not None and log.time.tolist() == [100, 90, 80]
    assert log.unit == "stars"
    assert dataset.folder == tmp_path / "ml"


def test_the_latest_small_layout_is_read(tmp_path: Path) -> None:
    dataset = read_movielens(write_latest_folder(tmp_path / "ml"), name="ml")
    catalogue = dataset.catalogue
    assert catalogue.item_ids == ("1", "5", "9")
    assert catalogue.titles[1] == "Postman, The (1994)"  # a comma inside quotes
    assert catalogue.attribute("genres").vocabulary == ("Action", "Comedy", "Drama")
    assert not catalogue.attribute("genres").membership[2].any()  # "(no genres listed)"
    assert dataset.log.feedback.tolist() == [4.0, 0.5, 3.5]
    assert dataset.log.user_ids == ("1", "2")


def test_the_whole_100k_set_written_in_its_old_layout_is_read_back(
    shared_data: Path, tmp_path: Path
) -> None:
    tidy = read_tidy(shared_data / "ml100k_mm", name="ml")
    genres = tidy.catalogue.attribute("genres")
    log = tidy.log
    assert log.time is not None
    (tmp_path / "u.genre").write_text(
        "".join(f"{name}|{g}\n" for g, name in enumerate(genres.vocabulary)), encoding="latin-1"
    )
    films = zip(tidy.catalogue.titles, genres.membership.astype(int), strict=True)
    (tmp_path / "u.item").write_text(
        "".join(
            f"{i + 1}|{title}|||http://x|{'|'.join(map(str, flags))}\n"
            for i, (title, flags) in enumerate(films)
        ),
        encoding="latin-1",
    )
    pd.DataFrame(
        {0: log.user + 1, 1: log.item + 1, 2: log.feedback.astype(int), 3: log.time}
    ).to_csv(tmp_path / "u.data", sep="\t", header=False, index=False)
    old = read_movielens(tmp_path, name="ml")
    assert old.catalogue.titles == tidy.catalogue.titles
    assert (old.catalogue.attribute("genres").membership == genres.membership).all()
    assert (old.log.user == log.user).all() and (old.log.item == log.item).all()
    assert (old.log.feedback == log.feedback).all() and (old.log.time == log.time).all()
