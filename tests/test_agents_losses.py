"""Losses against numbers worked out on paper."""

import math

import pytest
import torch

from simrec.agents.losses import (
    click_loss,
    entropy,
    kl_divergence,
    policy_gradient_loss,
    preference_loss,
)

LN2, LN3 = math.log(2), math.log(3)
# With s the logistic function, s(0) = 1/2 and s(ln 3) = 3/4, so that
# -log s(0) = ln 2, -log s(ln 3) = ln 4/3 and -log(1 - s(ln 3)) = ln 4.
LIKE, MISS = math.log(4 / 3), math.log(4)
MASKED = -torch.inf


def test_click_loss_by_hand() -> None:
    logits = torch.tensor([[0.0, LN3]])
    ones = torch.ones(1, 2)
    assert float(click_loss(logits, ones, ones)) == pytest.approx((LN2 + LIKE) / 2)
    # no click on the second: (ln 2 + ln 4) / 2
    assert float(click_loss(logits, torch.tensor([[1.0, 0.0]]), ones)) == pytest.approx(1.5 * LN2)
    # the first does not count: only the second is left, not halved
    only = torch.tensor([[0.0, 1.0]])
    assert float(click_loss(logits, ones, only)) == pytest.approx(LIKE)


def test_click_loss_of_nothing_is_zero() -> None:
    zero = torch.zeros(2, 3)
    assert float(click_loss(torch.full((2, 3), 7.0), zero, zero)) == 0.0


def test_preference_loss_by_hand() -> None:
    logits = torch.tensor([[LN3, 0.0, 5.0]])
    liked = torch.tensor([[1.0, 0.0, 1.0]])
    judged = torch.tensor([[1.0, 1.0, 0.0]])  # the third was not judged: it counts nowhere
    bce = (LIKE + LN2) / 2
    assert float(preference_loss(logits, liked, judged, 0.0)) == pytest.approx(bce)
    # the one pair is (first, second), r_a - r_b = ln 3
    assert float(preference_loss(logits, liked, judged, 0.5)) == pytest.approx(bce + 0.5 * LIKE)


def test_preference_loss_takes_the_mean_over_pairs() -> None:
    logits = torch.tensor([[LN3, 0.0, 0.0]])
    liked = torch.tensor([[1.0, 1.0, 0.0]])
    # BCE: ln 4/3, ln 2, ln 2. Pairs: (first, third) gap ln 3, (second, third) gap 0.
    wanted = (LIKE + 2 * LN2) / 3 + 2.0 * (LIKE + LN2) / 2
    assert float(preference_loss(logits, liked, torch.ones(1, 3), 2.0)) == pytest.approx(wanted)


def test_preference_loss_without_a_pair_is_the_plain_loss() -> None:
    logits = torch.tensor([[LN3, 0.0]])
    ones = torch.ones(1, 2)  # all liked: nothing to compare
    assert float(preference_loss(logits, ones, ones, 9.0)) == pytest.approx((LIKE + LN2) / 2)


def test_policy_gradient_loss_by_hand_and_without_gradient_to_the_advantage() -> None:
    log_prob = torch.tensor([-1.0, -2.0], requires_grad=True)
    advantage = torch.tensor([3.0, 0.5], requires_grad=True)
    loss = policy_gradient_loss(log_prob, advantage)
    assert loss.item() == pytest.approx(2.0)  # -(3 * -1 + 0.5 * -2) / 2
    loss.backward()
    assert log_prob.grad is not None
    assert log_prob.grad.tolist() == pytest.approx([-1.5, -0.25])  # -A / 2
    assert advantage.grad is None


def test_entropy_by_hand() -> None:
    assert float(entropy(torch.full((3, 4), -math.log(4)))) == pytest.approx(2 * LN2)
    # rows (1/2, 1/2, masked) and (1, masked, masked): mean of ln 2 and 0
    rows = torch.tensor([[-LN2, -LN2, MASKED], [0.0, MASKED, MASKED]])
    assert float(entropy(rows)) == pytest.approx(LN2 / 2)


def test_kl_divergence_by_hand() -> None:
    p = torch.tensor([[-LN2, -LN2, MASKED]])
    q = torch.tensor([[math.log(1 / 4), math.log(3 / 4), MASKED]])
    # 1/2 ln(2) + 1/2 ln(2/3) = 1/2 ln(4/3)
    assert float(kl_divergence(p, q)) == pytest.approx(LIKE / 2)
    assert float(kl_divergence(p, p)) == 0.0
    # p sure of the first item, q gives it 1/4: ln 4
    sure = torch.tensor([[0.0, MASKED, MASKED]])
    assert float(kl_divergence(sure, q)) == pytest.approx(MISS)


def test_losses_of_masked_rows_have_finite_gradients() -> None:
    logits = torch.tensor([[0.3, -0.2, 0.1]], requires_grad=True)
    log_p = logits.masked_fill(torch.tensor([[False, False, True]]), MASKED).log_softmax(-1)
    (entropy(log_p) + kl_divergence(log_p, log_p.detach())).backward()
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()
