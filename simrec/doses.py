"""Does an early gain follow what the teacher is worth? Studies alike but for the teacher (H4).

Declared before any was run: in each seed, the rank correlation over teachers between what r_psi
is worth (its AUC on held-out likes of people) and the early gain over `scratch`; the seeds give the
interval. Degraded teachers (`simrec.llm.degrade`) are the doses.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from simrec.compare import Comparison
from simrec.randomness import generator
from simrec.statistics import Interval, interval, resolved

LEAST = 3  # teachers, below which a rank correlation says nothing
BASE = "scratch"
TAUGHT = ("frozen", "ft", "ap")  # whose early gain is asked about


@dataclass(frozen=True)
class Dose:
    """One teacher."""

    study: str
    teacher: str
    quality: Interval  # AUC of r_psi on held-out likes, over seeds
    gains: dict[str, Interval]  # strategy -> early reward less that of BASE, paired over seeds


@dataclass(frozen=True)
class DoseResponse:
    """All teachers of one world."""

    world: str
    doses: tuple[Dose, ...]  # best teacher first
    correlation: dict[str, Interval]  # strategy -> Spearman's rho of quality and gain, over seeds

    def verdict(self, strategy: str) -> str:
        """Return "rises", "falls" or "not resolved"."""
        found = self.correlation[strategy]
        if not resolved(found):
            return "not resolved"
        return "rises" if found.low > 0 else "falls"

    def as_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            "world": self.world,
            "doses": [
                {
                    "study": dose.study,
                    "teacher": dose.teacher,
                    "quality": dose.quality.as_dict(),
                    "early_gain": {name: gain.as_dict() for name, gain in dose.gains.items()},
                }
                for dose in self.doses
            ],
            "spearman": {
                name: {**found.as_dict(), "verdict": self.verdict(name)}
                for name, found in self.correlation.items()
            },
        }


def dose_responses(comparisons: Sequence[Comparison]) -> list[DoseResponse]:
    """Return a dose-response for each world that LEAST studies of different teachers share.

    Studies share a world where its name, its bounds and the budget are the same. A study without
    `scratch`, which no teacher changes, is measured against that of another in its world.

    Args:
        comparisons: One for each study.
    """
    worlds: dict[tuple[Any, ...], list[Comparison]] = {}
    for comparison in comparisons:
        bounds = tuple((name, round(value, 9)) for name, value in sorted(comparison.bounds.items()))
        key = (comparison.world, bounds, comparison.records[0].budget_env_steps)
        worlds.setdefault(key, []).append(comparison)
    found = (_response(key[0], studies) for key, studies in worlds.items())
    return [response for response in found if response is not None]


def _response(world: str, studies: Sequence[Comparison]) -> DoseResponse | None:
    bases = [study.table[BASE] for study in studies if BASE in study.table]
    quality = {study.study: _quality(study) for study in studies}
    studies = [study for study in studies if quality[study.study]]
    if not bases or len({_teacher(study) for study in studies}) < LEAST:
        return None
    gains: dict[str, dict[str, dict[int, float]]] = {}  # study -> strategy -> seed -> gain
    for study in studies:
        base = study.table.get(BASE, bases[0])
        gains[study.study] = {
            name: {s: found["early"] - base[s]["early"] for s, found in seeds.items() if s in base}
            for name, seeds in study.table.items()
            if name in TAUGHT
        }
    doses = [
        Dose(
            study.study,
            _teacher(study),
            _over_seeds(quality[study.study], study.study, "quality"),
            {
                name: _over_seeds(each, study.study, name)
                for name, each in gains[study.study].items()
            },
        )
        for study in studies
    ]
    doses.sort(key=lambda dose: -dose.quality.mean)
    correlation = {}
    for name in TAUGHT:
        taught = [study.study for study in studies if gains[study.study].get(name)]
        if len(taught) < LEAST:
            continue
        shared = set.intersection(*(set(gains[s][name]) & set(quality[s]) for s in taught))
        rho = {
            seed: _spearman(
                [quality[s][seed] for s in taught], [gains[s][name][seed] for s in taught]
            )
            for seed in sorted(shared)
        }
        correlation[name] = _over_seeds(rho, world, name, "spearman")
    return DoseResponse(world, tuple(doses), correlation)


def _teacher(study: Comparison) -> str:
    return next(iter(study.teachers), "")


def _quality(study: Comparison) -> dict[int, float]:
    """Return the AUC of r_psi on held-out likes in each seed; empty where no run noted it."""
    found = {}
    for record in study.records:
        if record.strategy.endswith("-shuffled"):
            continue
        value = (record.notes.get("people") or {}).get("reward_auc")
        if value is not None:
            found[record.seed] = float(value)
    return found


def _over_seeds(values: Mapping[int, float], *address: str) -> Interval:
    return interval(list(values.values()), rng=generator(0, "doses", *address))


def _spearman(a: Sequence[float], b: Sequence[float]) -> float:
    """Return the rank correlation, NaN where one side has no order."""
    if np.ptp(a) == 0.0 or np.ptp(b) == 0.0:
        return float("nan")
    return float(stats.spearmanr(a, b).statistic)
