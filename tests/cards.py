"""The cards that a test may run on: a pretended one anywhere, a real one where there is one."""

import contextlib

import pytest
import torch

from tests.pretend_card import pretend_card

no_card = pytest.mark.skipif(
    not torch.cuda.is_available(), reason="PyTorch sees no CUDA card; run it where there is one"
)
# For tests that hold on either: `@pytest.mark.parametrize("card", CARDS)`, then `with on(card):`.
REAL = (pytest.mark.cuda, no_card)
CARDS = ["pretended", pytest.param("real", marks=REAL)]


def on(card: str) -> contextlib.AbstractContextManager[None]:
    """Return the place to work in for a name in CARDS."""
    return pretend_card() if card == "pretended" else contextlib.nullcontext()
