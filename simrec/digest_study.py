"""One file for a study: every record and digest, and the comparison of all seeds.

A thousand runs open from it without one of them being read. It is a cache: it holds what reading
and comparing the runs would give, is believed only while every file of every run has the size and
the time it had, and may be deleted at any time.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from simrec.compare import Comparison, Standing
from simrec.digest import digest_from, digest_text
from simrec.files import atomic_file
from simrec.leaders import Leader
from simrec.overview import Overview
from simrec.records import RunRecord, find_runs
from simrec.statistics import Interval

FILE = ".overview.json"
VERSION = 1


@dataclass(frozen=True)
class Kept:
    """What a study's file holds."""

    overview: Overview
    standings: Mapping[str, Standing]  # over all seeds; the pairs are left out
    leaders: Mapping[str, Leader | None]  # by measure, over all seeds


def study_key(folder: Path) -> str:
    """Return a fingerprint of the names, sizes and times of all files of a study's runs."""
    found = hashlib.blake2b(f"{VERSION}".encode(), digest_size=16)
    for run in find_runs(folder):
        try:
            entries = sorted(os.scandir(run), key=lambda entry: entry.name)
        except OSError:
            entries = []
        found.update(str(run.relative_to(folder)).encode())
        for entry in entries:
            size = entry.stat()
            found.update(f"\0{entry.name}\0{size.st_size}\0{size.st_mtime_ns}".encode())
    return found.hexdigest()


def read_kept(folder: Path, key: str) -> Kept | None:
    """Return what the study's file holds, or None where it is absent or of other runs.

    Args:
        folder: The study.
        key: From `study_key`.
    """
    try:
        content = json.loads((folder / FILE).read_text(encoding="utf-8"))
        if content["key"] != key:
            return None
        configs = content["configs"]
        records, digests = {}, {}
        for run in content["runs"]:
            place = folder / run["folder"]
            records[place] = RunRecord(**{**run["record"], "config": configs[run["config"]]})
            digest = digest_from(run["digest"])
            if digest is None:
                return None
            digests[place] = digest
        return Kept(
            Overview(folder, records, digests, tuple(content["broken"])),
            {name: _standing(name, held) for name, held in content["standings"].items()},
            {measure: _leader(held) for measure, held in content["leaders"].items()},
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError):
        return None


def write_kept(
    found: Overview, comparison: Comparison, leaders: Mapping[str, Leader | None], key: str
) -> None:
    """Write the study's file, whole or not at all.

    Args:
        found: The study.
        comparison: Over all its seeds.
        leaders: Measure -> who leads by it.
        key: From `study_key`, taken before the runs were read.

    Raises:
        OSError: The folder cannot be written to.
    """
    configs: list[Mapping[str, Any]] = []
    runs = []
    for run, record in found.records.items():
        if record.config not in configs:
            configs.append(record.config)
        runs.append(
            {
                "folder": str(run.relative_to(found.folder)),
                "record": {**asdict(record), "config": None},
                "config": configs.index(record.config),
                "digest": json.loads(digest_text(found.digests[run])),
            }
        )
    content = {
        "key": key,
        "broken": found.broken,
        "configs": configs,
        "runs": runs,
        "standings": {
            name: {
                "seeds": standing.seeds,
                "values": _plain(standing.values),
                "rise": _ends(standing.rise),
                "against": {base: _plain(held) for base, held in standing.against.items()},
            }
            for name, standing in comparison.strategies.items()
        },
        "leaders": {
            measure: leader
            and {
                **asdict(leader),
                "value": _ends(leader.value),
                "lead": leader.lead and _ends(leader.lead),
            }
            for measure, leader in leaders.items()
        },
    }
    with atomic_file(found.folder / FILE) as temporary:
        temporary.write_text(json.dumps(content, separators=(",", ":")), encoding="utf-8")


def _ends(found: Interval) -> list[float]:
    return [found.mean, found.low, found.high]


def _plain(values: Mapping[str, Interval]) -> dict[str, list[float]]:
    return {measure: _ends(found) for measure, found in values.items()}


def _intervals(held: Mapping[str, list[float]]) -> dict[str, Interval]:
    return {measure: Interval(*ends) for measure, ends in held.items()}


def _standing(name: str, held: Mapping[str, Any]) -> Standing:
    against = {base: _intervals(values) for base, values in held["against"].items()}
    return Standing(
        name,
        tuple(held["seeds"]),
        _intervals(held["values"]),
        Interval(*held["rise"]),
        against,
        {base: {} for base in against},
    )


def _leader(held: Mapping[str, Any] | None) -> Leader | None:
    if held is None:
        return None
    lead = held["lead"] and Interval(*held["lead"])
    return Leader(**{**held, "value": Interval(*held["value"]), "tied": tuple(held["tied"]),
                     "lead": lead})  # fmt: skip
