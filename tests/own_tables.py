"""A small folder as people have it, by hand; shared by the tests of `--format table`."""

from pathlib import Path

from tests.damaged_data import Damage, text

LOG = """user_id,item_id,rating,timestamp
ann,sku-9,4,1700000000
bob,sku-10,3.5,1700000060
ann,sku-10,1,1700000120
"""
ITEMS = """item_id,title,description,genres,year,price
sku-10,Teapot,Holds two.,Tea|Iron,1990,3.5
sku-9,Lamp,,Light,,2.5
007,Cup,"White,
with a handle.",Tea|Light,1990,1.25
"""


def write_own(folder: Path, log: str = LOG, items: str = ITEMS) -> Path:
    """Three events of two users, three items, as two CSV files."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "interactions.csv").write_text(log, encoding="utf-8")
    (folder / "items.csv").write_text(items, encoding="utf-8")
    return folder


def beside(file: str, content: str | bytes) -> Damage:
    """A further file in the folder."""

    def damage(folder: Path) -> None:
        (folder / file).parent.mkdir(exist_ok=True)
        text(file, content)(folder)

    return damage


def both(*damages: Damage) -> Damage:
    """Several changes of the folder."""

    def damage(folder: Path) -> None:
        for one in damages:
            one(folder)

    return damage
