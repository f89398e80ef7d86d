"""`ap-pair`: the rule of `ap` beside the mean of two new critics."""

from simrec.agents.adaptive import Guided, Worth
from simrec.agents.averaged import Pair, cooler
from simrec.agents.policy import ItemPolicy
from simrec.agents.strategy import Deployment, Online, adapted, strategy


class GuidedPair(Guided, Pair):
    """softmax(q / tau + alpha z_0 / tau_0) as `Guided`, q being the mean of two critics."""


@strategy("ap-pair", source="this project's rule; mean of two critics")
def adaptive_pair(pretrained: ItemPolicy, online: Online) -> Deployment:
    """Like ap, but beside the mean of two new critics; scratch-pair is the same without pi_0.

    Neither has pi_0's encoder: so their mean is not drawn to what pi_0 saw.
    """
    return adapted(online, Worth(), policy=GuidedPair, prior=pretrained, settings=cooler(online))
