"""From a name to an environment: what `gymnasium.make` calls, and worlds of one's own."""

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

import gymnasium

from simrec.envs.load import Loaded, load
from simrec.envs.observability import (
    FullRecommendEnv,
    FullRecommendVectorEnv,
    check_observability,
)
from simrec.envs.single import RecommendEnv
from simrec.envs.spec import CHOSEN, SCALES, WorldSpec, make_spec
from simrec.envs.vector import RecommendVectorEnv
from simrec.envs.world import World
from simrec.errors import SimrecError, nearest
from simrec.files import home
from simrec.interactions import IMPLICIT
from simrec.items.table import ItemTable

TOY = WorldSpec("toy", topics_attribute="topic")
# The scales make personal taste matter in MovieLens, where at calibrated scales one list for
# everybody has about 95 % of what knowing each user gains (see `simrec.envs.bounds`).
MOVIELENS = WorldSpec(
    "movielens",
    topics_attribute="genres",
    min_item_events=60,
    min_user_events=20,
    user_scale=0.7,
    item_scale=0.65,
    interaction_scale=2.5,
    intercept_shift=-0.9,
)
# In Coat too one list has 93 % of the gain at calibrated scales. 3 stars count as a like, because
# 5 % of the ratings of random coats are 4 or more and most people would like nothing at all.
COAT = WorldSpec(
    "coat",
    topics_attribute="jackettype",
    like_at=3.0,
    shrinkage=4.0,
    user_scale=0.7,
    item_scale=0.5,
    interaction_scale=3.0,
    intercept_shift=-0.5,
    debias=True,
)
# Logs of what people did. Everything is calibrated; filters leave users whose taste can be known.
LASTFM = WorldSpec("lastfm", like_at=1.0, history=5, min_item_events=20, min_user_events=15)
INDUSTRY = WorldSpec("industry", like_at=1.0, history=3, min_item_events=5, min_user_events=8)
MICROLENS = WorldSpec("microlens", like_at=1.0, history=4, min_item_events=20, min_user_events=10)
WORLDS = {
    "simrec/Toy-v0": TOY,
    "simrec/MovieLens-v0": MOVIELENS,
    "simrec/Coat-v0": COAT,
    "simrec/LastFM-v0": LASTFM,
    "simrec/Industry-v0": INDUSTRY,
    "simrec/MicroLens-v0": MICROLENS,
}
NAMED = WORLDS | {spec.dataset: spec for spec in WORLDS.values()}


def registered() -> list[str]:
    """Return the ids of every world registered with Gymnasium, this package's first."""
    entry = f"{__name__}:make_single"
    return [id for id, known in gymnasium.registry.items() if known.entry_point == entry]


def world_spec(name: str) -> WorldSpec:
    """Return the specification of an id, or of a data set's name (toy, movielens, coat, ...).

    Raises:
        SimrecError: There is no such world.
    """
    return _named(name)


def spec_for(name: str, **changes: Any) -> WorldSpec:
    """Return the specification of a world or, by the unit of its feedback, of any data set.

    Args:
        name: A world's id or data set, or the name of another data set in the library.
        **changes: Fields of WorldSpec to change.

    Raises:
        SimrecError: There is neither a world nor a data set of that name, or no such field.
    """
    from simrec.datasets.library import dataset_info, list_datasets

    if name in NAMED or name in gymnasium.registry:
        given = asdict(_named(name))
    elif name in list_datasets():
        given = {"dataset": name, "shrinkage": CHOSEN}
        if dataset_info(name)["unit"] in IMPLICIT:
            given |= {"like_at": 1.0, "history": 4, "min_item_events": 5, "min_user_events": 8}
    else:
        raise SimrecError(
            f"there is no world and no data set '{name}'; "
            f"{nearest(name, [*NAMED, *list_datasets()])}"
        )
    if changes.get("users", given.get("users", "factor")) != given.get("users", "factor"):
        # what was tuned for one kind of users says nothing about another
        tuned = ("rank", "shrinkage", *((*SCALES, "debias") if changes["users"] == "llm" else ()))
        given = {name: value for name, value in given.items() if name not in tuned}
    return make_spec(given | changes)


def load_world(spec: str | WorldSpec) -> tuple[World, ItemTable]:
    """Return a world and the item table that agents may see, from the cache if it is there.

    Args:
        spec: The id of a registered environment, the name of its data set ("toy", "movielens", ...)
            or a full specification.

    Raises:
        SimrecError: An unknown name, or data that is absent or cannot be used.
    """
    if isinstance(spec, str):
        spec = _named(spec)
    loaded = load(spec, home())
    return loaded.world, loaded.table


def make_single(
    *,
    slate_size: int = 1,
    slot: int = 0,
    render_mode: str | None = None,
    signals: bool = False,
    masks: bool = False,
    observability: str = "partial",
    behaviour: Mapping[str, Any] | None = None,
    **spec: Any,
) -> RecommendEnv:
    """Return one user's environment; `gymnasium.make` calls this.

    Args:
        slate_size: Items shown in a step, k.
        slot: Address in the streams of luck.
        render_mode: None, "ansi" or "rgb_array".
        signals: Put `watch`, `like` and `skip` into the info.
        masks: Put `action_mask` into the info.
        observability: "partial"; "full" adds the user's true state to the observation, for research
            on what partial observability costs (see `simrec.envs.observability`).
        behaviour: What `World.changed` takes, for parts that are objects; the rest has fields.
        **spec: Fields of WorldSpec; parts such as retention also as mappings of their fields.
    """
    loaded = _asked(spec, observability, behaviour)
    make = RecommendEnv if observability == "partial" else FullRecommendEnv
    return make(
        loaded.world,
        slate_size=slate_size,
        slot=slot,
        render_mode=render_mode,
        table=loaded.table,
        titles=loaded.titles,
        covers=loaded.catalogue.images if render_mode == "rgb_array" else None,
        signals=signals,
        masks=masks,
    )


def make_vector(
    num_envs: int = 1,
    *,
    slate_size: int = 1,
    signals: bool = False,
    masks: bool = False,
    observability: str = "partial",
    behaviour: Mapping[str, Any] | None = None,
    **spec: Any,
) -> RecommendVectorEnv:
    """Return the vector environment; `gymnasium.make_vec` calls this.

    Args:
        num_envs: Parallel users B.
        slate_size: Items shown in a step, k.
        signals: As for `make_single`, and the arguments that follow.
        masks: Put `action_mask` into the info.
        observability: "partial" or "full".
        behaviour: Parts that are objects.
        **spec: Fields of WorldSpec.
    """
    loaded = _asked(spec, observability, behaviour)
    make = RecommendVectorEnv if observability == "partial" else FullRecommendVectorEnv
    return make(
        loaded.world,
        num_envs,
        slate_size=slate_size,
        table=loaded.table,
        signals=signals,
        masks=masks,
    )


def _asked(
    spec: Mapping[str, Any], observability: str, behaviour: Mapping[str, Any] | None
) -> Loaded:
    """Return the world that a factory's arguments describe, with what belongs to it."""
    check_observability(observability)
    loaded = load(make_spec(spec), home())
    return replace(loaded, world=loaded.world.changed(**behaviour)) if behaviour else loaded


def register(id: str, *, dataset: str, **spec: Any) -> None:
    """Register a world of one's own with Gymnasium; registering the same again changes nothing.

    Example: `register("simrec/Shop-v0", dataset="my.shop:load", topics_attribute="category")`.

    Args:
        id: Gymnasium id, "namespace/Name-vN".
        dataset: A name in the library, or "module:function" where the function takes nothing and
            returns a Dataset.
        **spec: Further fields of WorldSpec.

    Raises:
        SimrecError: A field that WorldSpec has not, or the id is taken by something else.
    """
    kwargs = {"dataset": dataset, **spec}
    make_spec(kwargs)
    known = gymnasium.registry.get(id)
    if known is not None:
        if known.kwargs == kwargs and known.entry_point == f"{__name__}:make_single":
            return
        raise SimrecError(f"the environment id '{id}' is taken already; choose another id")
    # no max_episode_steps: the world truncates at its own horizon, so no wrapper must do it again
    gymnasium.register(
        id,
        entry_point=f"{__name__}:make_single",
        vector_entry_point=f"{__name__}:make_vector",
        kwargs=kwargs,
    )


def _named(name: str) -> WorldSpec:
    known = gymnasium.registry.get(name)
    if known is not None and known.entry_point == f"{__name__}:make_single":
        return make_spec(known.kwargs)
    if name not in NAMED:
        raise SimrecError(f"there is no world '{name}'; {nearest(name, NAMED)}")
    return NAMED[name]
