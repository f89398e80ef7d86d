"""What runs note beside the measures that decide: titles, units, and what each number means.

Worded once for the terminal, the report and the dashboard. "{unit}" stands for what the world's
reward counts: clicks, minutes, likes or depth.
"""

from collections.abc import Collection
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Noted:
    """One number of a run, a mean over seeds where runs are compared."""

    measure: str  # its key in a run's notes
    title: str
    unit: str
    digits: int
    about: str
    usual: bool = True  # in the tables; the others where all are asked for

    @property
    def head(self) -> str:
        """Title with the unit, as a narrow column has room for."""
        return f"{self.title} ({self.unit})" if self.unit else self.title


NOTED = (
    Noted("greedy_end", "greedy at the end", "0 random, 1 oracle", 3,
          "normalised reward of the final policy when it stops exploring, on users of its own"),
    Noted("regret", "regret", "{unit}", 0,
          "what the oracle would have had in all sessions of the run beyond what was had"),
    Noted("lost_before_step_5", "lost before step 5", "share", 3,
          "sessions whose user left before the fifth recommendation"),
    Noted("worst_decile_clicks", "worst decile", "{unit}", 2,
          "mean reward a session of the tenth of the users who are served worst"),
    Noted("exposure_gini", "exposure Gini", "0 to 1", 2,
          "how unequally items are shown: 0 all equally often, near 1 a few take all"),
    Noted("novelty_bits", "novelty", "bits", 1,
          "how rare in the log the items shown are: one bit more is half as common"),
    Noted("session_diversity", "session diversity", "0 to 1", 2,
          "how unlike each other the items of a session are in topic: 0 all alike"),
    Noted("frozen_share", "frozen share", "share", 2,
          "actions that the frozen, pretrained policy chose or would have chosen as well"),
    Noted("new_items_share", "new items", "share of what was shown", 3,
          "recommendations of items that were not there at the first step"),
    Noted("new_items_click_rate", "clicks a new item shown", "0 to 1", 3,
          "how often such an item was clicked when it was shown"),
    Noted("old_items_click_rate", "clicks an old item shown", "0 to 1", 3,
          "how often an item that was always there was clicked when it was shown"),
    Noted("return_rate", "return rate", "share", 3,
          "users who come back for another session, where the world lets them"),
    Noted("recovered", "recovered", "share of seeds", 2,
          "runs whose reward came back to its level before tastes shifted"),
    Noted("recovery_steps", "recovery", "env steps", 0,
          "how long that took, in the runs where it happened"),
    Noted("regret_since_shift", "regret since the shift", "{unit}", 0,
          "regret of the sessions that began after tastes shifted"),
    Noted("reward_per_session", "reward a session", "{unit}", 2,
          "mean over the sessions of the run, not normalised", usual=False),
    Noted("reward_per_step", "reward a recommendation", "{unit}", 3,
          "mean over the recommendations of the run", usual=False),
    Noted("session_length", "session length", "recommendations", 1,
          "mean number of recommendations until the user leaves or the session is full",
          usual=False),
    Noted("coverage", "coverage", "share of items", 2,
          "items shown at least once in the whole run", usual=False),
    Noted("list_diversity", "list diversity", "0 to 1", 2,
          "how unlike each other the items of one slate are in topic", usual=False),
    Noted("policy_entropy", "policy entropy", "nats", 2,
          "how evenly the policy spreads its choices, mean over the run: 0 is always one item",
          usual=False),
    Noted("seconds", "computing time", "s", 0,
          "time one run took on the machine it was made on", usual=False),
    Noted("llm_calls", "language-model calls", "calls", 0,
          "requests sent to a language model for the run", usual=False),
)  # fmt: skip


def noted(known: Collection[str], unit: str, *, every: bool = False) -> list[Noted]:
    """Return the measures that runs have noted, in the words of a world.

    Args:
        known: Keys in the runs' notes; one that is not listed here is told by its name.
        unit: What the world's reward counts.
        every: All of them, not only those the tables show.
    """
    found = [n for n in NOTED if n.measure in known and (every or n.usual)]
    if every:
        rest = sorted(set(known) - {n.measure for n in NOTED})
        found += [Noted(name, name.replace("_", " "), "as noted", 3, "") for name in rest]
    return [replace(n, unit=n.unit.replace("{unit}", unit)) for n in found]
