"""What a policy gradient needs of a softmax over many items, with derivatives in closed form."""

from typing import Any

import torch
from torch import Tensor


class _Chosen(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, logits: Tensor, items: Tensor) -> tuple[Tensor, Tensor]:
        log_probs = torch.log_softmax(logits, -1).clamp_(min=-1e4)  # -inf times 0 is nothing
        probs = log_probs.exp()
        entropy = -torch.linalg.vecdot(probs, log_probs)
        ctx.save_for_backward(log_probs, probs, entropy, items)
        return log_probs.gather(1, items.unsqueeze(1)).squeeze(1), entropy

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        log_probs, probs, entropy, items = ctx.saved_tensors
        of_chosen, of_entropy = gradients
        level = of_entropy * entropy + of_chosen
        slope = torch.addcmul(level.unsqueeze(1), log_probs, of_entropy.unsqueeze(1))
        slope.mul_(probs).neg_()
        return slope.scatter_add_(1, items.unsqueeze(1), of_chosen.unsqueeze(1)), None


def chosen_and_entropy(logits: Tensor, items: Tensor) -> tuple[Tensor, Tensor]:
    """Return log p of the items (N,) and the entropies (N,) of softmax(logits), in nats.

    The same as log_softmax, gather and -sum p log p, with the derivatives in closed form:
    d log p_a / d l_j = 1(j = a) - p_j and d H / d l_j = -p_j (log p_j + H). Common knowledge.

    Args:
        logits: (N, I), -inf where masked.
        items: (N,) int64.
    """
    chosen, entropy = _Chosen.apply(logits, items)  # type: ignore[no-untyped-call]
    return chosen, entropy
