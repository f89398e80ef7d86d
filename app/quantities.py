"""What can be drawn over env steps, in plain words: title, unit and meaning."""

from dataclasses import replace

from simrec.digest_curves import METRICS, Metric

_LOGGED = {
    "alpha": Metric(
        "weight of the pretrained policy (alpha)",
        "0 own policy, 1 pretrained policy",
        "how much the pretrained policy's opinion counts in what is shown",
    ),
    "frozen_share": Metric(
        "share of actions chosen by the frozen policy",
        "share, 0 to 1",
        "recommendations that the frozen, pretrained policy made or would have made as well",
    ),
    "entropy": Metric(
        "entropy of the policy",
        "nats",
        "how evenly the policy spreads its choices: 0 is always one item, high is exploring",
    ),
    "temperature": Metric(
        "temperature of the policy", "logits", "the higher, the more evenly choices are spread"
    ),
    "critic_loss": Metric(
        "loss of the critic", "nats", "how wrong the learner's own forecast of clicks is"
    ),
    "learning_rate": Metric("learning rate", "per update", "how large each learning step is"),
}


def told(metric: str, unit: str) -> Metric:
    """Return a metric or logged quantity in the words of a world.

    Args:
        metric: A key of METRICS, or a quantity that runs log.
        unit: What the world's reward counts.
    """
    unknown = Metric(metric.replace("_", " "), "as logged", "")
    found = METRICS.get(metric) or _LOGGED.get(metric) or unknown
    words = {name: getattr(found, name).replace("{unit}", unit) for name in Metric.__annotations__}
    return replace(found, **words)
