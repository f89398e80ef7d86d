"""What each argument of a world means, in the words of its page."""

from collections.abc import Mapping

MEANINGS: Mapping[str, str] = {
    "dataset": "name in the library, or module:function",
    "seed": "of generated data, split, item table and fit",
    "topics_attribute": "attribute whose values bore; None takes clusters of items",
    "like_at": "feedback of at least this much is a like",
    "history": "H, items known of a user before the first step",
    "min_item_events": "items with fewer events are left out",
    "min_user_events": "users with fewer events are left out",
    "text": "text encoder of the item table",
    "users": "factor, modality (they weigh the parts of items) or llm (played by a model)",
    "rank": "length of the taste vectors of factor users",
    "shrinkage": "ridge penalty of tastes; None takes the fit's own, chosen cross-validates",
    "user_scale": "times the users' effects; 1 is calibrated",
    "item_scale": "times the items' effects; 1 is calibrated",
    "interaction_scale": "times the personal part of taste; 1 is calibrated",
    "intercept_shift": "logits added for every pair; 0 is calibrated",
    "horizon": "T, steps after which a session is truncated",
    "patience": "steps in a row without a click after which the user leaves",
    "boredom": "logits lost by an item whose topics equal those shown lately",
    "window": "items shown lately that count for boredom",
    "debias": "weight ratings by the inverse chance that they were given; bayes estimates it",
    "friends": "pull of friends on taste vectors, once and before anybody plays, 0 to 1",
    "influence": "pull of friends each time a session begins, 0 to 1; one population for all slots",
    "user_model": "users llm: the model that plays them, such as openai:MODEL@URL",
    "user_options": "users llm: further arguments of the model's backend",
    "people": "users llm: how many arrive, each asked about every item",
    "choice": "multinomial, cascade, position or dependent",
    "attention": "chance of looking at the next place; not used by multinomial",
    "browse": "the same just after a click, for dependent",
    "reward": "clicks, minutes, likes or depth",
    "minutes": "length of an item, for reward minutes",
    "leave": "streak, boredom or budget",
    "tolerance": "mean overlap at which a step is bad, for leave boredom",
    "budget": "effort a user spends in a session, for leave budget",
    "refund": "part of a step's effort that a fully watched item gives back",
    "drift": "share of the way that tastes go towards what was clicked",
    "satiation": "logits lost for one item of the same topics clicked just before",
    "recovery": "share of satiation that is left after a step",
    "novelty": "logits gained by an item unlike all that was shown in the session",
    "retention": "when users come back: base, gain, days",
    "shifts": "tastes that shift: a list of date, size, topics, until",
    "churn": "items that come and go: share, last, lifetime",
    "creators": "who answer to exposure, together over all slots: attribute or count, reserve, "
    "period, least, more, releases, clicks",
}
#: What the reward of a step counts, by the name that Rules.reward gives; k places in a slate.
REWARDS: Mapping[str, str] = {
    "clicks": "1 a click in the slate, so 0 or 1 a step: a user clicks at most one place",
    "minutes": "minutes watched of what was clicked, from 0 to k times an item's length",
    "likes": "1 a clicked item of which 75 % or more was watched, 0 to k a step",
    "depth": "1 a step after which the user stays, else 0",
}
#: After what users leave, by the name that Rules.leave gives.
ENDINGS: Mapping[str, str] = {
    "streak": "{patience} steps in a row without a click",
    "boredom": "{patience} steps in a row that repeat what was shown (overlap {tolerance} or more)",
    "budget": "an effort of {budget}, less {refund} of each step for a fully watched item",
}
