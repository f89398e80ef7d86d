"""Strategies side by side: every measure with its interval over seeds, and the paired differences.

The unit is the seed. Reward is normalised, y = (R - random) / (oracle - random), where R is the
mean reward of the sessions that start in a window of the run.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simrec.measures import MEASURES, run_measures, scored_sessions
from simrec.randomness import generator
from simrec.records import Run, RunRecord, plain
from simrec.statistics import Interval, interval, paired_interval, t_interval
from simrec.study_runs import load_runs, load_studies

BASES = ("scratch", "ft")  # every other strategy is compared with these, where they were run


@dataclass(frozen=True)
class Standing:
    """One strategy's results over its seeds."""

    strategy: str
    seeds: tuple[int, ...]
    values: dict[str, Interval]  # a key for each of MEASURES
    rise: Interval  # y gained over the late window, by a straight line through its sessions
    against: dict[str, dict[str, Interval]]  # base -> measure -> paired difference to the base
    pairs: dict[str, dict[str, NDArray[np.float64]]]  # base -> measure -> (n,) difference by seed

    @property
    def still_rising(self) -> bool:
        """Whether the run ended too soon for its late window to be called the end state."""
        return self.rise.low > 0

    def as_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        content: dict[str, Any] = _named(self.values)
        content["seeds"] = list(self.seeds)
        content["still_rising"] = {"rising": self.still_rising, **self.rise.as_dict()}
        for base, differences in self.against.items():
            content[f"vs_{base}"] = _named(differences)
        return content


@dataclass(frozen=True)
class Comparison:
    """Every strategy of one study."""

    study: str
    world: str
    seeds: tuple[int, ...]
    bounds: dict[str, float]  # reward per session
    strategies: dict[str, Standing]  # best area first
    teachers: dict[str, str]  # name -> warning, "" where there is none
    records: tuple[RunRecord, ...]
    table: dict[str, dict[int, dict[str, float]]]  # strategy -> seed -> as `measures` returns it
    runs: tuple[Run, ...]  # with their tables; empty where only numbers were compared

    def as_dict(self) -> dict[str, Any]:
        """Return the JSON form; a number that cannot be told is null."""
        content: dict[str, Any] = {
            "study": self.study,
            "world": self.world,
            "seeds": list(self.seeds),
            "bounds": self.bounds,
            "strategies": {name: s.as_dict() for name, s in self.strategies.items()},
        }
        for name, found in self.side_measures().items():
            content["strategies"][name]["side"] = _plain(found)
        return dict(plain(content))

    @property
    def unit(self) -> str:
        """What the world's reward counts: clicks, minutes, likes or depth."""
        return str(self.records[0].config.get("world", {}).get("reward") or "clicks")

    def noted(self) -> dict[str, dict[str, list[float]]]:
        """Return what runs noted beside the measures: strategy -> measure -> a number a seed.

        Which there are depends on the world and the strategy; none where runs noted nothing.
        """
        noted: dict[str, dict[str, list[float]]] = {}
        for record in self.records:
            told = record.notes.get("measures", {})
            spent = record.llm.get("spent", {})
            told = {**told, "seconds": record.seconds} if told else {}
            if "requests" in spent:
                told["llm_calls"] = spent["requests"]
            for measure, value in told.items():
                noted.setdefault(record.strategy, {}).setdefault(measure, []).append(value)
        return {name: noted[name] for name in self.strategies if name in noted}

    def side_measures(self) -> dict[str, dict[str, Interval]]:
        """Return the mean over seeds of what runs noted: strategy -> measure -> interval."""
        return {
            name: {
                measure: interval(values, rng=generator(0, "compare", name, measure))
                for measure, values in known.items()
            }
            for name, known in self.noted().items()
        }

    def runs_of(self, strategy: str) -> list[Run]:
        """Return the runs of one strategy, in the order of their seeds."""
        runs = [run for run in self.runs if run.record.strategy == strategy]
        return sorted(runs, key=lambda run: run.record.seed)


def _named(values: dict[str, Interval]) -> dict[str, Any]:
    content = _plain(values)
    content["distinct_items"] = content["distinct_late"]  # the headline number is the end state's
    return content


def _plain(values: dict[str, Interval]) -> dict[str, Any]:
    return {measure: found.as_dict() for measure, found in values.items()}


def session_scores(run: Run) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the start step (n,) and the normalised reward (n,) of the run's sessions."""
    return scored_sessions(run.episodes, run.record.budget_env_steps, run.record.bounds)


def measures(run: Run) -> dict[str, float]:
    """Return the run's number for each of MEASURES, and "rise", as `run_measures` does."""
    record = run.record
    return run_measures(run.episodes, run.exposure, record.budget_env_steps, record.bounds)


def compare(paths: Path | Iterable[Path]) -> Comparison:
    """Compare the strategies of one study.

    Args:
        paths: The study's folder, several folders, or single runs.

    Raises:
        SimrecError: As `load_runs`.
    """
    return _compare(load_runs(paths))


def compare_studies(paths: Path | Iterable[Path]) -> list[Comparison]:
    """Compare the strategies of each study under the given folders.

    Raises:
        SimrecError: As `load_studies`.
    """
    return [_compare(runs) for runs in load_studies(paths)]


def _compare(runs: Sequence[Run]) -> Comparison:
    return compare_measured([(run.record, measures(run)) for run in runs], runs)


def compare_measured(
    measured: Sequence[tuple[RunRecord, dict[str, float]]],
    runs: Sequence[Run] = (),
    known: Mapping[str, Standing] | None = None,
) -> Comparison:
    """Compare runs whose numbers are known; nothing is read and nothing checked.

    Args:
        measured: A record and what `measures` says of it, for each run of one study.
        runs: The same runs with their tables, where curves are to be drawn from them.
        known: Intervals of every strategy worked out before from the same numbers.
    """
    table: dict[str, dict[int, dict[str, float]]] = {}
    for record, values in measured:
        table.setdefault(record.strategy, {})[record.seed] = values
    if known is None:
        standings = [_standing(strategy, table) for strategy in table]
    else:
        standings = [replace(known[name], pairs=_pairs(name, table)) for name in table]
    standings.sort(key=lambda s: -np.nan_to_num(s.values["area"].mean, nan=-np.inf))
    records = tuple(record for record, _ in measured)
    first = records[0]
    return Comparison(
        study=first.study,
        world=first.world,
        seeds=tuple(sorted({record.seed for record in records})),
        bounds=dict(first.bounds),
        strategies={standing.strategy: standing for standing in standings},
        teachers={
            str(record.teacher["name"]): str(record.teacher.get("warning") or "")
            for record in records
            if record.teacher.get("name")
        },
        records=records,
        table=table,
        runs=tuple(runs),
    )


def _standing(strategy: str, table: dict[str, dict[int, dict[str, float]]]) -> Standing:
    mine = table[strategy]
    seeds = sorted(mine)
    pairs = _pairs(strategy, table)
    against: dict[str, dict[str, Interval]] = {}
    for base in pairs:
        both = [seed for seed in seeds if seed in table[base]]
        against[base] = {}
        for measure in MEASURES:
            a = np.array([mine[seed][measure] for seed in both])
            b = np.array([table[base][seed][measure] for seed in both])
            # One address for both directions, so that a - b is the mirror of b - a.
            rng = generator(0, "compare", *sorted((strategy, base)), measure)
            against[base][measure] = paired_interval(a, b, rng=rng)
    found = {
        measure: interval(
            [mine[seed][measure] for seed in seeds],
            rng=generator(0, "compare", strategy, measure),
        )
        for measure in MEASURES
    }
    # Student's t: with few seeds the bootstrap would see slopes where there are none.
    rise = t_interval([mine[seed]["rise"] for seed in seeds])
    return Standing(strategy, tuple(seeds), found, rise, against, pairs)


def _pairs(
    strategy: str, table: dict[str, dict[int, dict[str, float]]]
) -> dict[str, dict[str, NDArray[np.float64]]]:
    """Return base -> measure -> the difference to the base (n,) in each seed both have."""
    mine = table[strategy]
    pairs = {}
    for base in BASES:
        both = [seed for seed in sorted(mine) if seed in table.get(base, {})]
        if base == strategy or not both:
            continue
        pairs[base] = {
            measure: np.array([mine[s][measure] - table[base][s][measure] for s in both])
            for measure in MEASURES
        }
    return pairs
