"""From log and item table to a world of simulated users and what can be gained in it."""

from dataclasses import dataclass
from typing import Any

from simrec.envs.bounds import check_headroom, static_share, world_bounds
from simrec.envs.world import Rules, World, build_world
from simrec.files import write_json
from simrec.stages.inputs import Inputs, luck, read_stage
from simrec.stages.teaching import Say, item_table


@dataclass(frozen=True)
class Prepared:
    """A world, how well its users fit real ones, and its bounds."""

    world: World
    fit: dict[str, Any]  # FitReport.as_dict()
    bounds: dict[str, dict[str, float]]  # as `world_bounds` returns them


def prepare_world(inputs: Inputs, say: Say) -> Prepared:
    """Fit the world once, measure its bounds once, and refuse one that needs no personalisation.

    Raises:
        SimrecError: The world cannot be fitted, or a static list has more than 70 % of the gain.
    """
    path = inputs.stage_file("world", inputs.world_key, ".json")
    if path.is_file():
        stored = read_stage(path)
        prepared = Prepared(load_world(inputs), stored["fit"], stored["bounds"])
    else:
        prepared = _make(inputs, say)
        write_json(path, {"fit": prepared.fit, "bounds": prepared.bounds})
    check_headroom(prepared.bounds, inputs.config.world.allow_static)
    return prepared


def _make(inputs: Inputs, say: Say) -> Prepared:
    config = inputs.config.world
    say("items: encoding the catalogue")
    table = item_table(inputs)
    say("users: fitting the population to the truth part of the log")
    chosen: dict[str, Any] = {} if config.shrinkage is None else {"shrinkage": config.shrinkage}
    world, fit = build_world(
        inputs.dataset,
        inputs.split,
        table,
        topics_attribute=config.topics,
        like_at=inputs.config.data.like_at,
        history=inputs.config.split.history,
        rules=Rules(config.horizon, config.patience, config.boredom, config.window),
        seed=config.seed,
        rank=config.rank,
        user_scale=config.user_scale,
        item_scale=config.item_scale,
        interaction_scale=config.interaction_scale,
        intercept_shift=config.intercept_shift,
        **chosen,
    )
    world.save(inputs.stage_file("world", inputs.world_key, ""))
    say("bounds: playing random, popular, static, myopic and oracle policies")
    bounds = world_bounds(
        world,
        log_popularity=table.log_popularity,
        seed=luck(config.seed, "bounds"),
        sessions=config.bounds_sessions,
        slate_size=inputs.config.online.slate_size,
    )
    return Prepared(world, fit.as_dict(), bounds)


def load_world(inputs: Inputs) -> World:
    """Return the world that `prepare_world` wrote."""
    return World.load(inputs.stage_file("world", inputs.world_key, ""))


def load_bounds(inputs: Inputs) -> dict[str, float]:
    """Return clicks per session of each reference policy."""
    path = inputs.stage_file("world", inputs.world_key, ".json")
    bounds = read_stage(path)["bounds"]
    return {name: bound["clicks"] for name, bound in bounds.items()}


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
    scales = (config.user_scale, config.item_scale, config.interaction_scale)
    if scales != (1.0, 1.0, 1.0) or config.intercept_shift:
        lines.append(
            "the scale of taste is chosen, not calibrated: user x{:g}, item x{:g}, personal x{:g}, "
            "{:+g} logits for all; only the order of items comes from the data".format(
                *scales, config.intercept_shift
            )
        )
    lines.append(
        "bounds in clicks per session (steps): "
        + ", ".join(
            f"{name} {bound['clicks']:.2f} ({bound['length']:.1f})"
            for name, bound in prepared.bounds.items()
        )
        + f"; the best static list has {static_share(prepared.bounds):.0%} of the gain"
    )
    return lines
