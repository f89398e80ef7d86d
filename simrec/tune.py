"""Tuning: the same number of tries for every arm of a study, on seeds that no result is told of."""

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import yaml

from simrec.agents.adapt import check_strategy
from simrec.agents.learners import LEARNERS, check_settings
from simrec.config import StudyConfig
from simrec.errors import SimrecError
from simrec.files import atomic_file, fingerprint
from simrec.measures import run_measures
from simrec.progress import Bars
from simrec.records import read_run
from simrec.study import run_folder, run_study

if TYPE_CHECKING:
    import optuna

FIRST_TUNING_SEED = 100  # those below are for results
UNTUNED = ("linucb", "lints", "slateq", "ppo")  # they read none of the learner's settings
Measure = Literal["early", "middle", "late", "area"]
MEASURES: tuple[Measure, ...] = get_args(Measure)


@dataclass(frozen=True)
class Span:
    """Where a setting of the learner is looked for: low to high, evenly in its logarithm."""

    low: float
    high: float


SPACES: dict[str, dict[str, Span]] = {
    "kac": {
        "learning_rate": Span(1e-3, 2e-2),
        "temperature": Span(0.05, 0.8),
        "final_temperature": Span(0.02, 0.3),
        "temperature_share": Span(0.05, 0.8),
        "prior_share": Span(0.01, 0.5),
    },
    "a2c": {
        "learning_rate": Span(3e-4, 3e-2),
        "ent_coef": Span(1e-4, 0.1),
        "vf_coef": Span(0.05, 2.0),
        "prior_share": Span(0.01, 1.0),
    },
}


@dataclass(frozen=True)
class Best:
    """What came out for one arm."""

    arm: str
    value: float  # mean of the measure over the tuning seeds
    usual: float  # the same with the study's own settings, the first try
    settings: dict[str, float]
    file: Path


def tune(
    config: StudyConfig,
    root: Path,
    out: Path,
    *,
    seeds: Sequence[int],
    trials: int,
    bars: Bars,
    say: Callable[[str], None],
    workers: int,
    measure: Measure = "area",
) -> list[Best]:
    """Try settings of the learner for every online strategy of a study and write the best down.

    The first try of an arm has the study's own settings; the next ones are proposed by optuna's
    tree of Parzen estimators (Bergstra et al. 2011), seeded by the number of the try, so that a
    killed tuning goes on to the same end. Tries are kept in root/tune/STUDY.sqlite.

    Args:
        config: The study; its strategies are the arms.
        root: Folder of runs.
        out: Folder of the files written, one an arm, each a study for `simrec run`.
        seeds: Tuning seeds, 100 or more, none of the study's.
        trials: Tries of each arm, those made before included.
        bars: Where progress is shown.
        say: Called with each sentence the user should read.
        workers: Processes.
        measure: What is to be great: a window's normalised reward, or the whole run's.

    Raises:
        SimrecError: A seed is one of results, optuna is missing, or nothing can be tuned.
    """
    check_seeds(seeds, config.seeds)
    arms = [name for name in config.online.strategies if name not in UNTUNED]
    if not arms:
        raise SimrecError(
            "the study names no strategy that has settings to tune; add one such as 'ap' to "
            "online.strategies"
        )
    for name in arms:
        check_strategy(name)
    check_settings(config.learner.name, config.learner.settings)
    optuna = _optuna()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    storage = root / "tune" / f"{config.study}.sqlite"
    storage.parent.mkdir(parents=True, exist_ok=True)
    found = []
    for arm in arms:
        tries = optuna.create_study(
            storage=f"sqlite:///{storage}",
            study_name=f"{arm}-{_key(config, arm, seeds, measure)}",
            direction="maximize",
            load_if_exists=True,
        )
        for number in range(len(_whole(tries)), trials):
            value = _try(tries, number, config, arm, root, seeds, bars, workers, measure)
            say(f"{arm}: try {number + 1} of {trials}: {measure} {value:.4f}")
        found.append(_write(tries, config, arm, out, trials))
    return found


def check_seeds(seeds: Sequence[int], of_results: Sequence[int]) -> None:
    """Raise SimrecError unless every tuning seed is 100 or more and none of the study's."""
    wrong = sorted({s for s in seeds if s < FIRST_TUNING_SEED} | (set(seeds) & set(of_results)))
    if wrong or not seeds:
        free = [n for n in range(FIRST_TUNING_SEED, 10**4) if n not in of_results][:3]
        raise SimrecError(
            f"tuning got seed {wrong[0] if wrong else 'none'}, which results are told of; expected "
            f"seeds from {FIRST_TUNING_SEED} on that are not the study's, such as --seeds "
            f"{','.join(map(str, free))}"
        )


def usual_settings(config: StudyConfig) -> dict[str, float]:
    """Return the settings that are tuned, as the study has them, inside their spans."""
    learner = config.learner
    known = inspect.signature(LEARNERS[learner.name].__init__).parameters
    space = SPACES[learner.name]
    own = {name: float(learner.settings.get(name, known[name].default)) for name in space}
    return {name: min(max(own[name], s.low), s.high) for name, s in space.items()}


def _optuna() -> Any:
    try:
        import optuna
    except ImportError as error:
        raise SimrecError(
            "tuning needs optuna, which is not installed; run pip install 'simrec[tune]'"
        ) from error
    return optuna


def _key(config: StudyConfig, arm: str, seeds: Sequence[int], measure: Measure) -> str:
    """Return a key of everything a try's value follows from, beside its settings."""
    whole = config.model_dump(mode="json", exclude={"study", "seeds"})
    whole["online"] = {k: v for k, v in whole["online"].items() if k not in _ASIDE}
    whole["data"].pop("path")
    space = {name: [s.low, s.high] for name, s in SPACES[config.learner.name].items()}
    return fingerprint(whole, space, arm, measure, list(seeds))


_ASIDE = ("strategies", "controls")  # which arms a study names changes no arm's value


def _whole(tries: "optuna.Study") -> "list[optuna.trial.FrozenTrial]":
    """Return the tries that were made to the end, oldest first."""
    return [trial for trial in tries.get_trials(deepcopy=False) if trial.state.name == "COMPLETE"]


def _try(
    tries: "optuna.Study",
    number: int,
    config: StudyConfig,
    arm: str,
    root: Path,
    seeds: Sequence[int],
    bars: Bars,
    workers: int,
    measure: Measure,
) -> float:
    """Make one try of an arm and store it."""
    # A sampler of its own for each try: one that went on would not survive a kill.
    tries.sampler = _optuna().samplers.TPESampler(seed=number, n_startup_trials=5)
    if number == 0:
        tries.enqueue_trial(usual_settings(config))
    trial = tries.ask()
    settings = {
        name: trial.suggest_float(name, span.low, span.high, log=True)
        for name, span in SPACES[config.learner.name].items()
    }
    run_study(
        with_settings(config, arm, settings, seeds), root / "tune", bars=bars, say=_silent,
        workers=workers,
    )  # fmt: skip
    value = math.fsum(_value(config, arm, seed, root, measure) for seed in seeds) / len(seeds)
    tries.tell(trial, value)
    return value


def _silent(line: str) -> None:
    """Say nothing: the world is described when the study itself is run."""


def with_settings(
    config: StudyConfig, arm: str, settings: Mapping[str, float], seeds: Sequence[int]
) -> StudyConfig:
    """Return the study with one arm, no controls, and settings on top of the learner's own."""
    content = config.model_dump(mode="json", exclude_unset=True)
    learner = content.setdefault("learner", {})
    learner["settings"] = {**learner.get("settings", {}), **settings}
    content["online"] = {**content.get("online", {}), "strategies": [arm], "controls": []}
    content["seeds"] = list(seeds)
    return StudyConfig.model_validate(content)


def _value(config: StudyConfig, arm: str, seed: int, root: Path, measure: Measure) -> float:
    from simrec.stages.inputs import Inputs

    run = read_run(run_folder(Inputs(config, root / "tune"), arm, seed))
    record = run.record
    found = run_measures(run.episodes, run.exposure, record.budget_env_steps, record.bounds)
    return found[measure]


def _write(tries: "optuna.Study", config: StudyConfig, arm: str, out: Path, trials: int) -> Best:
    """Write the best try of an arm as a study of its own."""
    whole = _whole(tries)[:trials]
    best = max(whole, key=lambda trial: trial.value or -math.inf)
    settings = {name: float(f"{value:.4g}") for name, value in best.params.items()}
    tuned = with_settings(config, arm, settings, config.seeds)
    content = tuned.model_dump(mode="json", exclude_unset=True)
    content["study"] = f"{config.study}-{arm}"
    content["online"]["controls"] = list(config.online.controls)
    path = out / f"{config.study}-{arm}.yaml"
    with atomic_file(path) as temporary:
        head = f"# Tuned for {arm}: best of {len(whole)} tries, {best.value:.4f} on tuning seeds.\n"
        temporary.write_text(head + yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    return Best(arm, float(best.value or 0.0), float(whole[0].value or 0.0), settings, path)
