"""Small data sets on disk in each format, made up; shared by the tests of simrec.datasets."""

import io
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image


def picture(shade: int) -> bytes:
    """A grey JPEG of 8 by 8 pixels."""
    data = io.BytesIO()
    Image.new("L", (8, 8), shade).save(data, "JPEG")
    return data.getvalue()


def write_tidy_folder(folder: Path) -> Path:
    """Four films, three users, seven events, every optional part of the format."""
    (folder / "features").mkdir(parents=True)
    pd.DataFrame(
        {
            "item_id": [2, 0, 1, 3],  # not in order on purpose
            "title": ["Cube", "Alien", "Babe", "Dune"],
            "description": ["A maze.", "A ship. A beast.", None, "Sand."],
            "plot": ["People wake up.", "a ship.", "A pig herds sheep.", None],
            "genres": [["horror"], ["horror", "space"], ["farm"], ["space"]],
            "country": ["CA", "US", "US", None],
            "year": [1997.0, 1979.0, np.nan, 1979.0],
            "n_events": [2, 2, 2, 2],
            "score": [0.5, 0.5, 0.25, 0.25],
        }
    ).to_parquet(folder / "items.parquet")
    pd.DataFrame(
        {
            "user_id": [0, 0, 0, 1, 1, 2, 2],
            "item_id": [0, 1, 2, 3, 0, 1, 1],
            "rating": [5.0, 3.5, 1.0, 4.0, 2.0, 3.0, 4.0],
            "timestamp": [10, 20, 30, 10, 10, 5, 6],
        }
    ).to_parquet(folder / "interactions.parquet")
    pd.DataFrame({"user_id": [0, 1, 2, 3], "age": [20, 30, 40, 50]}).to_parquet(
        folder / "users.parquet"
    )
    pd.DataFrame({"item_id": [1, 3], "jpeg": [picture(10), picture(200)]}).to_parquet(
        folder / "images.parquet"
    )
    features = folder / "features"
    np.save(features / "clip_tone.npy", np.arange(8, dtype=np.float16).reshape(4, 2))
    np.save(features / "clip_mask.npy", np.array([True, False, True, True]))
    np.save(features / "colour.npy", np.ones((4, 3)))
    np.save(features / "user_onehot.npy", np.eye(3))
    pd.DataFrame({"user_id": [0], "item_id": [1], "llm_rating": [4.0]}).to_parquet(
        folder / "llm_ratings.parquet"
    )
    (folder / "README.md").write_text("Terms: made up, free to use.\n")
    return folder


def write_100k_folder(folder: Path) -> Path:
    """Three films and two users in the layout of MovieLens 100K, with three genres."""
    folder.mkdir(parents=True)
    (folder / "u.genre").write_text("unknown|0\nAction|1\nDrama|2\n\n", encoding="latin-1")
    (folder / "u.item").write_text(
        "1|Toy Story (1995)|01-Jan-1995||http://a|0|1|0\n"
        "10|Amélie (2001)|01-Jan-2001||http://b|0|0|1\n"
        "2|GoldenEye (1995)|01-Jan-1995||http://c|0|1|1\n",
        encoding="latin-1",
    )
    (folder / "u.data").write_text("7\t10\t5\t100\n7\t1\t3\t90\n3\t2\t1\t80\n")
    return folder


def write_latest_folder(folder: Path) -> Path:
    """The same shape in the layout of ml-latest-small."""
    folder.mkdir(parents=True)
    (folder / "movies.csv").write_text(
        'movieId,title,genres\n1,Toy Story (1995),Action|Comedy\n5,"Postman, The (1994)",Drama\n'
        "9,Heat (1995),(no genres listed)\n",
        encoding="utf-8",
    )
    (folder / "ratings.csv").write_text(
        "userId,movieId,rating,timestamp\n1,1,4.0,964982703\n1,5,0.5,964981247\n2,9,3.5,1\n"
    )
    return folder
