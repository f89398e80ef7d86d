"""Ways to damage a small data set on disk, and what is expected of its import."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from simrec.datasets.library import import_dataset
from simrec.errors import SimrecError

Damage = Callable[[Path], object]


def cell(file: str, column: str, row: int, value: object) -> Damage:
    def damage(folder: Path) -> None:
        frame = pd.read_parquet(folder / file)
        values = frame[column].tolist()
        values[row] = value
        frame[column] = values
        frame.to_parquet(folder / file)

    return damage


def column(file: str, name: str, values: list[object]) -> Damage:
    def damage(folder: Path) -> None:
        frame = pd.read_parquet(folder / file)
        frame[name] = values
        frame.to_parquet(folder / file)

    return damage


def drop(file: str, name: str) -> Damage:
    return lambda folder: (
        pd.read_parquet(folder / file).drop(columns=name).to_parquet(folder / file)
    )


def empty(file: str) -> Damage:
    return lambda folder: pd.read_parquet(folder / file).iloc[:0].to_parquet(folder / file)


def remove(file: str) -> Damage:
    return lambda folder: (folder / file).unlink()


def array(name: str, values: object) -> Damage:
    return lambda folder: np.save(folder / "features" / f"{name}.npy", np.asarray(values))


def images(ids: list[object], data: list[object]) -> Damage:
    return lambda folder: pd.DataFrame({"item_id": ids, "jpeg": data}).to_parquet(
        folder / "images.parquet"
    )


def cut(file: str) -> Damage:
    return lambda folder: (folder / file).write_bytes((folder / file).read_bytes()[:-40])


def text(file: str, content: str | bytes) -> Damage:
    data = content if isinstance(content, bytes) else content.encode()
    return lambda folder: (folder / file).write_bytes(data)


def line(file: str, number: int, content: str) -> Damage:
    def damage(folder: Path) -> None:
        lines = (folder / file).read_text(encoding="latin-1").split("\n")
        lines[number - 1] = content
        (folder / file).write_text("\n".join(lines), encoding="latin-1")

    return damage


def refuse(format: str, folder: Path, data_home: Path, expected: str, name: str = "new") -> None:
    with pytest.raises(SimrecError) as caught:
        import_dataset(format, folder, name)
    assert str(caught.value) == expected.replace("{folder}", str(folder))
    assert [p for p in data_home.rglob("*") if p.name != "data"] == []
