"""Which number format the weights get on which device: a table, no card needed to read it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

from simrec.errors import SimrecError

Format = Literal["f32", "bf16"]
Capability = tuple[int, int]  # CUDA compute capability, (8, 0) for an A100
BF16_FROM: Capability = (8, 0)  # Ampere; older cards only imitate bfloat16, slower than float32
FOUR_BIT_FROM: Capability = (6, 0)  # Pascal, says bitsandbytes (reconstructed)


@dataclass(frozen=True)
class Numbers:
    """How weights are kept and computed with."""

    dtype: Format  # of what is computed, and of weights that are not shrunk
    four_bit: bool  # weights shrunk with bitsandbytes

    @property
    def name(self) -> str:
        """What the model's name ends with: it decides the last digits of an answer."""
        if not self.four_bit:
            return self.dtype
        return "4bit" if self.dtype == "bf16" else f"4bit-{self.dtype}"


def numbers_for(
    device: str, capability: Capability | None, dtype: Format | None, *, load_in_4bit: bool
) -> Numbers:
    """Return what a device can do of what was asked for.

    Args:
        device: "cpu", "cuda" or "cuda:N".
        capability: Of that card; None on the CPU, and for a card that cannot be seen from here,
            which then counts as able.
        dtype: Asked for; None takes float32 on the CPU, bfloat16 on a card that has it, else
            float32 (float16 would overflow in models that were trained in bfloat16).
        load_in_4bit: Asked for.

    Raises:
        SimrecError: The device cannot do it.
    """
    if dtype not in (None, "f32", "bf16"):
        raise SimrecError(f"dtype is '{dtype}'; expected f32 or bf16")
    if device == "cpu":
        return Numbers(dtype or "f32", load_in_4bit)
    known = capability or BF16_FROM
    card = f"the card '{device}' has CUDA capability {known[0]}.{known[1]}"
    if load_in_4bit and known < FOUR_BIT_FROM:
        raise SimrecError(f"{card}, load_in_4bit needs 6.0; leave load_in_4bit out")
    if dtype == "bf16" and known < BF16_FROM:
        raise SimrecError(f"{card}, bfloat16 needs 8.0; use dtype='f32', or leave dtype out")
    return Numbers(dtype or ("bf16" if known >= BF16_FROM else "f32"), load_in_4bit)


def seen_capability(device: str) -> Capability | None:
    """Return the capability of a card of this machine; None on the CPU or where it is not seen."""
    if device == "cpu":
        return None
    import torch

    number = torch.device(device).index or 0
    if not torch.cuda.is_available() or number >= torch.cuda.device_count():
        return None
    return torch.cuda.get_device_capability(number)


@contextmanager
def enough_memory(device: str, what: str) -> Iterator[None]:
    """Say in a sentence that a card's memory is too small.

    Args:
        device: The card.
        what: What was to be done, such as "batch_size 16".

    Raises:
        SimrecError: It was.
    """
    import torch

    try:
        yield
    except torch.OutOfMemoryError as error:
        raise SimrecError(
            f"the memory of '{device}' is too small for {what}, with what else uses it; set a "
            f"smaller batch_size or load_in_4bit, or free the card"
        ) from error
