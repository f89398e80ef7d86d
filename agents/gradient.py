"""The gradient of the click critic in closed form: what a study spends most of its time on."""

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from simrec.agents.chosen import scores_at, slopes_at
from simrec.agents.history import HistoryPooling, Observation
from simrec.agents.scorer import ItemScorer


def click_gradient(
    scorer: ItemScorer,
    obs: Observation,
    vectors: Tensor,
    items: Tensor,
    targets: Tensor,
    weight: Tensor,
) -> float:
    """Set the gradients of `losses.click_loss` of q + level at `items` and return the loss.

    What autograd finds through `ItemScorer.at`, in half the time: one product for the three layers
    that read the features, and nothing kept that is not needed.

    Args:
        scorer: With the pooled encoder; all its parameters get a gradient.
        obs: Batched observation.
        vectors: (I, D) item table.
        items: (N, k) int64 shown.
        targets: (N, k) what the critic should say, 0 to 1.
        weight: (N, k) 1 counts, 0 does not.
    """
    pool = scorer.pool
    assert isinstance(pool, HistoryPooling)
    user, out, level, of_level = cast(
        list[nn.Linear], [scorer.user[0], scorer.user[2], scorer.level[0], scorer.level[2]]
    )
    hidden, width = scorer.hidden, out.out_features
    with torch.no_grad():
        # Forward. Side by side: the hidden units of user and level, and the skip.
        f = pool(obs, vectors)
        reads = torch.cat([user.weight, level.weight, scorer.skip.weight])
        offset = torch.cat([user.bias, level.bias, out.bias])
        z = torch.addmm(offset, f, reads.T)
        on = z[:, : 2 * hidden].relu_()
        for_user, for_level, towards = z.split([hidden, hidden, width], dim=1)
        towards = torch.addmm(towards, for_user, out.weight.T)
        rows, bias = scorer.items(vectors), scorer.bias(vectors)
        q = scores_at(towards, rows, bias, items)
        logits = q + torch.addmm(of_level.bias, for_level, of_level.weight.T)
        total = weight.sum().clamp(min=1.0)
        loss = functional.binary_cross_entropy_with_logits(logits, targets, weight, reduction="sum")
        # Backward. d loss / d logit = (s(logit) - target) weight / sum of weights.
        slope = (logits.sigmoid() - targets) * (weight / total)
        of_towards, of_rows, of_bias = slopes_at(slope, towards, rows, items)
        of_value = slope.sum(1, keepdim=True)
        of_z = torch.empty_like(z)
        torch.mm(of_towards, out.weight, out=of_z[:, :hidden])
        torch.mm(of_value, of_level.weight, out=of_z[:, hidden : 2 * hidden])
        of_z[:, : 2 * hidden].mul_(on > 0.0)
        of_z[:, 2 * hidden :] = of_towards
        parts = [hidden, hidden, width]
        user.weight.grad, level.weight.grad, scorer.skip.weight.grad = (of_z.T @ f).split(parts)
        user.bias.grad, level.bias.grad, out.bias.grad = of_z.sum(0).split(parts)
        out.weight.grad = of_towards.T @ for_user
        of_level.weight.grad, of_level.bias.grad = of_value.T @ for_level, of_value.sum(0)
        of_embedded = pool.table_gradient(of_z @ reads, obs, len(vectors))
        scorer.item.weight.grad = of_rows.T @ vectors
        scorer.item_bias.weight.grad = (of_bias @ vectors).unsqueeze(0)
        pool.project.weight.grad = of_embedded.T @ vectors
        if scorer.free_out is not None:
            assert pool.free is not None and scorer.free_bias is not None
            scorer.free_out.grad, scorer.free_bias.grad = of_rows, of_bias
            pool.free.grad = of_embedded
        return float(loss / total)
