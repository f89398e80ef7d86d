"""What a world's fit, bounds and realism are, as numbers and as lines for people."""

from dataclasses import asdict, dataclass
from typing import Any

from simrec.envs.bounds import MOST_STATIC, Bound, oracle_note, static_share, world_bounds
from simrec.envs.build import fit_settings
from simrec.envs.debias import DebiasGain, debias_gain
from simrec.envs.horizon import Planning, planning_gains, planning_verdict
from simrec.envs.load import load, load_parts
from simrec.envs.modality_users import ModalityUsers
from simrec.envs.playing import Season, season_of
from simrec.envs.resemblance import Resemblance
from simrec.envs.spec import WorldSpec
from simrec.files import home
from simrec.interactions import IMPLICIT

NOTHING = 1e-9  # a gap up to this much is rounding
MORE = {  # of a bound, where the world has it
    "returned": "share who came back",
    "reward_before": "before the first shift",
    "reward_since": "since",
}
PREDICTORS = (("model", "fitted users"), ("bias", "effects only"), ("item_mean", "item mean"))


@dataclass(frozen=True)
class FittedWorld:
    """A fitted world in numbers."""

    name: str
    users: int
    items: int
    arrivals: int  # users met only online
    events: int
    unit: str
    fit: dict[str, Any]  # FitReport.as_dict()
    scales: dict[str, float]  # those that are not calibrated
    debias: DebiasGain | None  # where the world weights a self-selected log
    kind: str  # of users, a name in spec.KINDS
    modalities: dict[str, float] | None  # mean weight of each, where users weigh them

    def as_dict(self) -> dict[str, Any]:
        """Return plain numbers."""
        return asdict(self)


@dataclass(frozen=True)
class MeasuredWorld:
    """How much there is to gain in a world."""

    name: str
    bounds: dict[str, Bound]
    static_share: float
    planning: tuple[Planning, ...]
    verdict: str  # whether planning pays
    oracle: str  # how the oracle was computed
    unit: str  # what is counted, a name in signals.REWARDS
    played: str  # which sessions were played

    def as_dict(self) -> dict[str, Any]:
        """Return plain numbers and the verdict."""
        return asdict(self)


def fitted(spec: WorldSpec) -> FittedWorld:
    """Fit a world, or read the one fitted before, and compare with the unweighted fit if weighted.

    Args:
        spec: The world.
    """
    loaded, source = load(spec, home()), load_parts(spec)
    log, gain = source.dataset.log, None
    if source.propensity is not None and log.unit not in IMPLICIT and spec.users == "factor":
        settings = fit_settings(spec) | {"shrinkage": loaded.fit["shrinkage"]}
        gain = debias_gain(log, source.split, loaded.table.fused, source.propensity, **settings)
    changed = {
        "user x": spec.user_scale,
        "item x": spec.item_scale,
        "personal x": spec.interaction_scale,
    }
    scales = {name: value for name, value in changed.items() if value != 1.0}
    if spec.intercept_shift:
        scales["logits "] = spec.intercept_shift
    world, weights = loaded.world, None
    if isinstance(world.users, ModalityUsers):
        means = world.users.weights.mean(axis=0).tolist()
        weights = dict(zip(world.users.modalities, means, strict=True))
    return FittedWorld(
        spec.dataset,
        world.n_users,
        world.n_items,
        len(world.arrivals),
        len(log),
        log.unit,
        dict(loaded.fit),
        scales,
        gain,
        spec.users,
        weights,
    )


def fit_lines(found: FittedWorld) -> list[str]:
    """Return the fit as a table and sentences."""
    fit, implicit = found.fit, found.unit in IMPLICIT
    among = " (held-out events among four corrected negatives each)" if implicit else ""
    lines = [
        f"{found.name}: {found.users:,} users ({found.arrivals:,} met only online), "
        f"{found.items:,} items, {found.events:,} events in '{found.unit}'",
        f"on {fit['judged']:,} held-out offers, {fit['like_share']:.0%} liked{among}:",
        f"  {'':16}{'RMSE':>8}{'AUC':>8}{'calibration error':>20}",
    ]
    for key, label in PREDICTORS:
        score = fit[key]
        lines.append(
            f"  {label:16}{score['rmse']:8.3f}{score['auc']:8.3f}{score['calibration_error']:20.3f}"
        )
    lines.append(f"  {'popularity':16}{'':8}{fit['popularity_auc']:8.3f}")
    if found.modalities is not None:
        told = ", ".join(f"{name} {weight:.2f}" for name, weight in found.modalities.items())
        lines.append(f"users weigh modalities, on average {told}; their RMSE is that of P(like)")
    if found.kind == "llm":
        lines.append("users are played by a language model, asked before anybody plays")
    else:
        how = "chosen by cross-validation inside the training part"
        how = how if fit["chosen"] else "fixed beforehand; --shrinkage chosen would look for one"
        lines.append(f"shrinkage of tastes {fit['shrinkage']:g}, {how}")
    gain = fit["model"]["auc"] - max(
        fit["bias"]["auc"], fit["item_mean"]["auc"], fit["popularity_auc"]
    )
    lines.append(
        f"fitted users rank held-out likes {'better' if gain > 0 else 'NO better'} than every "
        f"simpler predictor (AUC {gain:+.3f})"
    )
    if found.debias is not None:
        lines.append(f"inverse propensity weights: {found.debias.sentence()}")
    if found.scales:
        lines.append(
            "in the world the scale of taste is chosen, not calibrated: "
            + ", ".join(f"{name}{value:g}" for name, value in found.scales.items())
        )
    return lines


def measured(spec: WorldSpec, *, seed: int, sessions: int) -> MeasuredWorld:
    """Play the reference policies, and both oracles under several rules.

    Args:
        spec: The world.
        seed: Luck.
        sessions: Played by each policy; the planning comparison plays a quarter of them.
    """
    loaded = load(spec, home())
    world, season = loaded.world, season_of(loaded.world, sessions)
    bounds = world_bounds(
        world,
        log_popularity=loaded.table.log_popularity,
        seed=seed,
        sessions=sessions,
        season=season,
    )
    gains = tuple(planning_gains(world, seed=seed, sessions=max(sessions // 4, 2)))
    return MeasuredWorld(
        spec.dataset,
        bounds,
        static_share(bounds),
        gains,
        planning_verdict(gains, world),
        oracle_note(world),
        world.rules.reward,
        played_note(season, sessions),
    )


def played_note(season: Season | None, sessions: int) -> str:
    """Say which sessions bounds were measured on."""
    if season is None:
        return f"{sessions:,} first sessions of each policy, the same users with the same luck"
    return (
        f"all sessions that begin within {season.dates:,} dates, {season.slots:,} users at a time: "
        "in this world sessions are not alike (dates, returning users, creators or friends)"
    )


def bounds_lines(found: MeasuredWorld) -> list[str]:
    """Return the bounds and the planning comparison as lines."""
    more = [name for name in MORE if name in found.bounds["random"]]
    titles = "".join(f", {MORE[name]}" for name in more)
    lines = [f"{found.name}: {found.unit} per session (standard error), steps{titles}"]
    for name, bound in found.bounds.items():
        lines.append(
            f"  {name:8}{bound['reward']:7.2f} ({bound['reward_se']:.2f}) {bound['length']:6.1f}"
            + "".join(f"{bound[key]:9.2f}" for key in more)
        )
    lines += [f"played: {found.played}", found.oracle]
    held = "" if found.static_share <= MOST_STATIC else f", more than the {MOST_STATIC:.0%} allowed"
    lines.append(f"one list for everybody has {found.static_share:.0%} of the gain{held}")
    lines += [f"  {gain.sentence()}" for gain in found.planning]
    return [*lines, found.verdict]


def realism_lines(found: Resemblance) -> list[str]:
    """Return the realism report as lines."""
    mean, ends = found.overall.texts()
    wrong, wrong_ends = found.shuffled.texts()
    gap, gap_ends = found.shuffled_gap.texts(signed=True)
    return [
        f"{found.world}: {found.users:,} users, {found.offers:,} offers that nothing was fitted to",
        *(f"  {measure.sentence}" for measure in found.measures),
        *(f"  {note}" for note in found.notes),
        f"overall distance {mean} {ends}; the same users with other luck {found.floor:.3f}; "
        f"shuffled users {wrong} {wrong_ends}, worse by {gap} {gap_ends}",
        personal_sentence(found),
    ]


def personal_sentence(found: Resemblance) -> str:
    """Say whether the simulated users are the people they stand for, or anybody."""
    gap, ends = found.personal_gap.texts(signed=True)
    rank, rank_ends = found.ranking_gap.texts(signed=True)
    figures = (
        f"person by person shuffled users are worse by {gap} {ends}; by one's own simulated user "
        f"real likes rank {rank} {rank_ends} better (AUC within a user) than by a stranger"
    )
    if found.personal_gap.low > NOTHING:
        return f"the right user clearly matters: {figures}"
    if found.ranking_gap.low > NOTHING:
        return (
            f"the right user matters for the order of items, not for how many are liked: {figures}"
        )
    return (
        "the fit has no personal signal that held-out events show, so shuffled users cannot score "
        f"clearly worse: {figures}"
    )
