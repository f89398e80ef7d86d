"""A policy that knows nothing, as sharp as one that knows something."""

import torch

from simrec.agents.policy import ItemPolicy


def relabelled(policy: ItemPolicy, luck: int) -> ItemPolicy:
    """Return a copy of a policy whose items were dealt out at random.

    Every item gets the vector and free parameters of another, so the copy chooses among items as
    sharply and as consistently as the policy did, and wrongly.

    Args:
        policy: Any item policy without a prior.
        luck: Seed of the dealing.
    """
    copy = type(policy)(**policy._get_constructor_parameters())
    state = {name: value.clone() for name, value in policy.state_dict().items()}
    order = torch.randperm(policy.n_items, generator=torch.Generator().manual_seed(luck))
    for name in ("vectors", "scorer.pool.free", "scorer.free_out", "scorer.free_bias"):
        if name in state:
            state[name] = state[name][order]
    copy.load_state_dict(state)
    copy.to(policy.device)
    copy.set_training_mode(False)
    return copy
