"""What is worked out from parameters, kept until one of them changes."""

from collections.abc import Callable

import torch
from torch import Tensor


class Kept:
    """One tensor that depends on parameters and buffers only, such as every item's factors.

    Between two gradient steps a policy acts many times with the same weights. Where gradients are
    asked for nothing is kept. A tensor changes when its version does, which PyTorch counts for
    every change in place (optimisers, `load_state_dict`, `fill_`); changes through `.data` or
    NumPy are not seen.
    """

    def __init__(self) -> None:
        self._of: list[tuple[Tensor, int]] = []
        self._value: Tensor | None = None

    def get(self, make: Callable[[], Tensor], of: list[Tensor]) -> Tensor:
        """Return make(), or what it returned before.

        Args:
            make: Works the value out from the tensors `of` and nothing else.
            of: These tensors.
        """
        if torch.is_grad_enabled():
            return make()
        known = len(of) == len(self._of) and all(
            one is was and one._version == version
            for one, (was, version) in zip(of, self._of, strict=True)
        )
        if not known or self._value is None:
            self._value = make()
            self._of = [(one, one._version) for one in of]
        return self._value

    def __getstate__(self) -> dict[str, None]:
        """Leave everything behind: a copy works it out anew."""
        return {}

    def __setstate__(self, state: dict[str, None]) -> None:
        """Begin empty."""
        self.__init__()  # type: ignore[misc]
