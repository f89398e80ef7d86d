"""From log and item table to a world of simulated users and what can be gained in it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from simrec import metrics
from simrec.config import StudyConfig
from simrec.envs.bounds import Bound, check_headroom, static_share, world_bounds
from simrec.envs.build import fit_world
from simrec.envs.llm_user import circularity
from simrec.envs.load import source_of
from simrec.envs.playing import Season, season_of
from simrec.envs.spec import WorldSpec, make_spec
from simrec.envs.world import World
from simrec.errors import SimrecError
from simrec.files import write_json
from simrec.stages.inputs import Inputs, luck, read_stage
from simrec.stages.tables import item_table
from simrec.stages.teaching import Say


@dataclass(frozen=True)
class Prepared:
    """A world, how well its users fit real ones, and its bounds."""

    world: World
    fit: dict[str, Any]  # FitReport.as_dict()
    bounds: dict[str, Bound]  # as `world_bounds` returns them


def prepare_world(inputs: Inputs, say: Say) -> Prepared:
    """Fit the world once, measure its bounds once, and refuse one that needs no personalisation.

    Raises:
        SimrecError: The world cannot be fitted, a static list has more than 70 % of the gain, or
            one language model is both teacher and user without permission.
    """
    circular = check_circular(inputs.config)
    if circular:
        say(circular)
    path = inputs.stage_file("world", inputs.world_key, ".json")
    if path.is_file():
        prepared = Prepared(load_world(inputs), read_stage(path)["fit"], whole_bounds(inputs))
    else:
        prepared = _make(inputs, say)
        write_json(path, {"fit": prepared.fit, "bounds": prepared.bounds})
    check_headroom(prepared.bounds, inputs.config.world.allow_static)
    return prepared


def _make(inputs: Inputs, say: Say) -> Prepared:
    config = inputs.config.world
    say("items: encoding the catalogue")
    table = item_table(inputs)
    if config.users != "llm":
        say("users: fitting the population to the truth part of the log")
    source = source_of(inputs.dataset, inputs.split, debias=config.debias, seed=config.seed)
    world, fit = fit_world(world_spec(inputs), source, table, say)
    world.save(inputs.stage_file("world", inputs.world_key, ""))
    say("bounds: playing random, popular, static, myopic and oracle policies")
    bounds = world_bounds(
        world,
        log_popularity=table.log_popularity,
        seed=luck(config.seed, "bounds"),
        sessions=config.bounds_sessions,
        slate_size=inputs.config.online.slate_size,
        season=season_played(inputs, world),
    )
    return Prepared(world, fit.as_dict(), bounds)


def world_spec(inputs: Inputs) -> WorldSpec:
    """Return the study's world in the words of `gymnasium.make`.

    Its data and item table are the study's own, so of those settings it holds what the users read.
    """
    config = inputs.config
    return make_spec(
        {
            "dataset": inputs.dataset.catalogue.name,
            "like_at": config.data.like_at,
            "history": config.split.history,
            "text": config.items.text,
            **config.world.spec_settings(),
        }
    )


def check_circular(config: StudyConfig) -> str | None:
    """Return the label of a study in which one language model is both teacher and user, else None.

    Raises:
        SimrecError: There is such a model and `world.allow_circular` does not say so.
    """
    teacher = config.teacher
    if teacher.kind not in ("llm", "recorded"):
        return None
    found = circularity(config.world.user_model, teacher.model)
    if found is not None and not config.world.allow_circular:
        raise SimrecError(
            f"{found}; expected two models, or set world.allow_circular: true to run it with that "
            "label"
        )
    return found


def teacher_of(inputs: Inputs, teacher: Mapping[str, Any]) -> dict[str, Any]:
    """Return who taught, with the label of a circular study first among what must be said."""
    label = check_circular(inputs.config)
    if label is None or not teacher:
        return dict(teacher)
    said = teacher.get("warning")
    return {**teacher, "circular": True, "warning": f"{label}; {said}" if said else label}


def load_world(inputs: Inputs) -> World:
    """Return the world that `prepare_world` wrote."""
    return World.load(inputs.stage_file("world", inputs.world_key, ""))


def season_played(inputs: Inputs, world: World) -> Season | None:
    """Return the season of a study's own length where sessions are not alike, else None."""
    online = inputs.config.online
    if season_of(world, 1) is None:
        return None
    return Season(online.n_envs, max(online.env_steps // online.n_envs, 1))


def load_bounds(inputs: Inputs) -> dict[str, float]:
    """Return the reward per session of each reference policy."""
    return {name: bound["reward"] for name, bound in whole_bounds(inputs).items()}


def whole_bounds(inputs: Inputs) -> dict[str, Bound]:
    """Return all that `prepare_world` wrote of each reference policy."""
    stored = read_stage(inputs.stage_file("world", inputs.world_key, ".json"))["bounds"]
    return metrics.named_now(stored)


def describe(inputs: Inputs, prepared: Prepared) -> list[str]:
    """Return what a reader should know of the world, a sentence a line."""
    fit, world, config = prepared.fit, prepared.world, inputs.config.world
    lines = [
        f"world '{world.name}': {world.n_items} items, {world.n_users} users, "
        f"{len(world.arrivals)} of them met only online",
        "users against held-out ratings of the log (RMSE, AUC of likes, calibration error): "
        + "; ".join(
            f"{label} {fit[name]['rmse']:.3f}, {fit[name]['auc']:.3f}, "
            f"{fit[name]['calibration_error']:.3f}"
            for name, label in (("model", "fitted"), ("bias", "biases"), ("item_mean", "item mean"))
        )
        + f"; popularity AUC {fit['popularity_auc']:.3f} ({fit['judged']:,} ratings)",
    ]
    if config.users == "modality":
        lines.append("users weigh the modalities of the true items; RMSE is that of P(like)")
    scales = (config.user_scale, config.item_scale, config.interaction_scale)
    if scales != (1.0, 1.0, 1.0) or config.intercept_shift:
        lines.append(
            "the scale of taste is chosen, not calibrated: user x{:g}, item x{:g}, personal x{:g}, "
            "{:+g} logits for all; only the order of items comes from the data".format(
                *scales, config.intercept_shift
            )
        )
    lines.append(
        f"bounds in {world.rules.reward} per session (steps): "
        + ", ".join(
            f"{name} {bound['reward']:.2f} ({bound['length']:.1f})"
            for name, bound in prepared.bounds.items()
        )
        + f"; the best static list has {static_share(prepared.bounds):.0%} of the gain"
    )
    return lines
