"""Losses and targets as pure functions of tensors; each names its source and how it is known.

Letters: N rows, K candidates, I items. Time runs along the first axis where there is one.
"""

import torch
from torch import Tensor
from torch.nn import functional


def click_loss(logits: Tensor, clicks: Tensor, weight: Tensor) -> Tensor:
    """Return the mean binary cross-entropy of clicks, the critic's loss at discount 0.

    L = - sum w [c log s(x) + (1-c) log(1-s(x))] / sum w, with s the logistic function.
    Source: this project's critic (reconstructed; there is no published form).

    Args:
        logits: (N, k) critic's logit of a click on each shown item.
        clicks: (N, k) 1 clicked, 0 not.
        weight: (N, k) 1 counts, 0 is padding or an item the user could not click.
    """
    loss = functional.binary_cross_entropy_with_logits(logits, clicks, reduction="none")
    return (loss * weight).sum() / weight.sum().clamp(min=1.0)


def preference_loss(logits: Tensor, liked: Tensor, judged: Tensor, pair_weight: float) -> Tensor:
    """Return the reward model's loss on the answers of a teacher.

    L = BCE(r, liked) + pair_weight * mean over (liked a, not liked b) of -log s(r_a - r_b).
    Source: iALP learns a reward from LLM feedback (read, abstract); this form is reconstructed.

    Args:
        logits: (N, K) r_psi of each candidate.
        liked: (N, K) 1 the teacher would pick it, 0 it was shown and not picked.
        judged: (N, K) 1 where the teacher answered, 0 elsewhere.
        pair_weight: Weight of the pairwise part, 0 or more.
    """
    loss = click_loss(logits, liked, judged)
    if pair_weight > 0.0:
        gap = logits.unsqueeze(2) - logits.unsqueeze(1)  # (N, K, K) r_a - r_b
        pair = (liked * judged).unsqueeze(2) * ((1.0 - liked) * judged).unsqueeze(1)
        loss = loss + pair_weight * (-functional.logsigmoid(gap) * pair).sum() / pair.sum().clamp(
            min=1.0
        )
    return loss


def scaled_return(clicks: Tensor, bootstrap: Tensor, value: Tensor, gamma: float) -> Tensor:
    """Return the n-step target of a critic whose values are (1 - gamma) times the return.

    y = (1 - gamma) sum_j gamma^j c_j + bootstrap * value. At gamma = 0 this is c_0.
    The n-step return is common knowledge; scaling it to [0, 1] for a cross-entropy is our own.

    Args:
        clicks: (N, n) clicks of the step and those after it, 0 after the session's end.
        bootstrap: (N,) gamma^(steps added up), or 0 where the session ended within them.
        value: (N,) scaled value of the state reached, 0 to 1.
        gamma: Discount, 0 to below 1.
    """
    weight = gamma ** torch.arange(clicks.shape[1], device=clicks.device)
    return (1.0 - gamma) * (clicks * weight).sum(1) + bootstrap * value


def advantage_weighted_loss(
    log_prob: Tensor, advantage: Tensor, temperature: float, cap: float
) -> Tensor:
    """Return -mean(min(exp(A / temperature), cap) log pi(a|s)); the weights are held constant.

    Advantage-weighted regression (Peng et al. 2019; reconstructed), its weights capped.

    Args:
        log_prob: (N,) of remembered actions under the policy that learns.
        advantage: (N,).
        temperature: Above 0; small values imitate only the best actions.
        cap: Greatest weight, above 0.
    """
    weight = (advantage.detach() / temperature).exp().clamp(max=cap)
    return -(weight * log_prob).mean()


def policy_gradient_loss(log_prob: Tensor, advantage: Tensor) -> Tensor:
    """Return -mean(A log pi(a|s)), the advantage held constant (A2C, Mnih et al. 2016; read).

    Args:
        log_prob: (N,) of the actions taken.
        advantage: (N,).
    """
    return -(advantage.detach() * log_prob).mean()


def distillation_loss(log_probs: Tensor, q: Tensor, temperature: float) -> Tensor:
    """Return the mean of sum_a pi(a) (T log pi(a) - q(a)): an actor's distance to exp(q / T).

    Its least value, -T log sum_a exp(q(a) / T), is reached at the softmax (the discrete actor loss
    of SAC; Haarnoja et al. 2018, reconstructed).

    Args:
        log_probs: (N, I) of the actor, -inf where masked.
        q: (N, I) values, not differentiated.
        temperature: T, above 0.
    """
    held = log_probs.clamp(min=-1e4)
    return (log_probs.exp() * (temperature * held - q)).sum(-1).mean()


def entropy(log_probs: Tensor) -> Tensor:
    """Return the mean entropy in nats of rows of log-probabilities; -inf means masked.

    Args:
        log_probs: (N, I).
    """
    probs = log_probs.exp()
    return -(probs * log_probs.clamp(min=-1e4)).sum(-1).mean()


def kl_divergence(log_p: Tensor, log_q: Tensor) -> Tensor:
    """Return mean KL(p || q) in nats; items masked in p contribute nothing.

    Args:
        log_p: (N, I).
        log_q: (N, I), finite wherever p is.
    """
    ratio = log_p.clamp(min=-1e4) - log_q.clamp(min=-1e4)
    return (log_p.exp() * ratio).sum(-1).mean()
