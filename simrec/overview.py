"""A study at a glance: every run's record and digest, without reading the tables of any."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from simrec.compare import Comparison, Standing, compare_measured
from simrec.digest import Digest, digest_tables, read_digest
from simrec.errors import SimrecError
from simrec.records import TABLES, RunRecord, find_runs, read_record, read_run
from simrec.study_runs import check_together


@dataclass(frozen=True)
class Overview:
    """The whole runs of one study, and what is wrong with the others."""

    folder: Path
    records: dict[Path, RunRecord]
    digests: dict[Path, Digest]
    broken: tuple[str, ...]  # one sentence a run

    @property
    def first(self) -> RunRecord:
        """The record of one run; study, world, budget and settings are the same in all."""
        return next(iter(self.records.values()))

    @property
    def unit(self) -> str:
        """What the world's reward counts: clicks, minutes, likes or depth."""
        return str(self.first.config.get("world", {}).get("reward") or "clicks")

    @property
    def seeds(self) -> list[int]:
        """Every seed of which there is a run."""
        return sorted({record.seed for record in self.records.values()})

    def digests_of(self, strategy: str, seeds: Collection[int]) -> list[Digest]:
        """Return the digests of a strategy, in the order of the seeds."""
        mine = [
            (record.seed, self.digests[folder])
            for folder, record in self.records.items()
            if record.strategy == strategy and record.seed in seeds
        ]
        return [digest for _, digest in sorted(mine, key=lambda pair: pair[0])]

    def folder_of(self, strategy: str, seed: int) -> Path | None:
        """Return the folder of one run, or None where there is none."""
        for folder, record in self.records.items():
            if (record.strategy, record.seed) == (strategy, seed):
                return folder
        return None

    def order(self, seeds: Collection[int]) -> list[str]:
        """Return the strategies of some seeds, best reward over the whole run first."""
        areas: dict[str, list[float]] = {}
        for folder, record in self.records.items():
            if record.seed in seeds:
                area = self.digests[folder].measures["area"]
                areas.setdefault(record.strategy, []).append(area)
        means = {name: float(np.mean(_real(values))) for name, values in areas.items()}
        return sorted(means, key=lambda name: -means[name])

    def compare(
        self, seeds: Collection[int], known: Mapping[str, Standing] | None = None
    ) -> Comparison:
        """Compare the strategies over some of the seeds, at least one.

        Args:
            seeds: Which.
            known: Their standings over these seeds, where they were worked out before.
        """
        return compare_measured(
            [
                (record, self.digests[folder].measures)
                for folder, record in self.records.items()
                if record.seed in seeds
            ],
            known=known,
        )


def _real(values: list[float]) -> list[float]:
    return [value for value in values if np.isfinite(value)] or [-np.inf]


def overview(folder: Path) -> Overview:
    """Read the records and digests of a study; runs that cannot be read are named, not hidden.

    Raises:
        SimrecError: No run can be read, or the runs do not belong together.
    """
    records, digests, broken = {}, {}, []
    for run in find_runs(folder):
        try:
            record, digest = _read(run)
        except SimrecError as error:
            broken.append(str(error))
        else:
            records[run], digests[run] = record, digest
    if not records:
        raise SimrecError(broken[0] if broken else f"there are no finished runs in {folder} yet")
    check_together(list(records.items()))
    return Overview(folder, records, digests, tuple(broken))


def _read(run: Path) -> tuple[RunRecord, Digest]:
    """Return record and digest of a run; one without a digest, or not whole, is read in full."""
    record = read_record(run)
    digest = read_digest(run)
    whole = all(_holds_something(run / f"{name}.parquet") for name in TABLES)
    if digest is None or not whole:
        tables = read_run(run)
        digest = digest_tables(
            tables.episodes,
            tables.updates,
            tables.exposure,
            budget=record.budget_env_steps,
            bounds=record.bounds,
        )
    return record, digest


def _holds_something(path: Path) -> bool:
    try:
        return path.stat().st_size > 0
    except OSError:
        return False


def find_studies(root: Path) -> list[Path]:
    """Return the folders under a runs folder that hold run folders, by name; [] if absent."""
    if not root.is_dir():
        return []
    return sorted({run.parents[1] for run in find_runs(root.resolve())})
