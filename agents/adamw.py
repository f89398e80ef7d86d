"""AdamW in one compiled pass over each parameter, for networks too small for PyTorch's own."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numba import njit
from numpy.typing import NDArray
from torch.autograd.graph import increment_version


# NumPy's rule for division: Python's looks for zeros and keeps the loop from being vectorised.
@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def _step(
    weight: NDArray[np.float32],
    grad: NDArray[np.float32],
    mean: NDArray[np.float32],
    square: NDArray[np.float32],
    kept: float,
    rate: float,
    b1: float,
    b2: float,
    correction: float,
    eps: float,
) -> None:
    shrink, size = np.float32(kept), np.float32(rate)
    keep1, keep2 = np.float32(b1), np.float32(b2)
    new1, new2 = np.float32(1.0 - b1), np.float32(1.0 - b2)
    root, small = np.float32(correction), np.float32(eps)
    for i in range(len(weight)):
        g = grad[i]
        mean[i] = keep1 * mean[i] + new1 * g
        square[i] = keep2 * square[i] + new2 * g * g
        weight[i] = shrink * weight[i] - size * mean[i] / (np.sqrt(square[i]) * root + small)


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _squares(grad: NDArray[np.float32]) -> float:
    total = 0.0
    for i in range(len(grad)):
        total += np.float64(grad[i]) * np.float64(grad[i])
    return total


def _flat(tensor: torch.Tensor) -> NDArray[Any]:
    flat: NDArray[Any] = tensor.detach().numpy().reshape(-1)
    return flat


class AdamW(torch.optim.AdamW):
    """Adam with decoupled weight decay (Loshchilov and Hutter, ICLR 2019; common knowledge).

    The rule and the state are those of `torch.optim.AdamW`. Its `fused` form takes five times as
    long here, most of it before the first number is touched, and does not tell autograd that the
    parameters changed, on which `Kept` relies.
    """

    def clip(self, max_norm: float) -> float:
        """Scale the gradients down to a joint norm of `max_norm`; return what it was."""
        if not self._compiled:
            owned = [p for group in self.param_groups for p in group["params"]]
            return float(torch.nn.utils.clip_grad_norm_(owned, max_norm))
        grads = [grad for _, _, grad in self._learning()]
        norm = sum(_squares(grad) for grad in grads) ** 0.5
        if norm > max_norm:
            for grad in grads:
                grad *= np.float32(max_norm / (norm + 1e-6))
        return float(norm)

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """Move every parameter that has a gradient."""
        assert closure is None, "gradients are worked out before"
        if not self._compiled:
            super().step()
            increment_version(
                [p for g in self.param_groups for p in g["params"] if p.grad is not None]
            )
            return
        moved = []
        for group, parameter, grad in self._learning():
            state = self.state[parameter]
            if not state:
                state["step"] = torch.tensor(0.0)
                state["exp_avg"] = torch.zeros_like(parameter)
                state["exp_avg_sq"] = torch.zeros_like(parameter)
            state["step"] += 1.0
            (b1, b2), lr = group["betas"], group["lr"]
            count = float(state["step"])
            _step(
                _flat(parameter),
                grad,
                _flat(state["exp_avg"]),
                _flat(state["exp_avg_sq"]),
                1.0 - lr * group["weight_decay"],
                lr / (1.0 - b1**count),
                b1,
                b2,
                (1.0 - b2**count) ** -0.5,
                group["eps"],
            )
            moved.append(parameter)
        increment_version(moved)

    @property
    def _compiled(self) -> bool:
        """Whether the parameters are where the compiled pass can reach them."""
        return bool(self.param_groups[0]["params"][0].device.type == "cpu")

    def _learning(self) -> Iterator[tuple[dict[str, Any], torch.Tensor, NDArray[np.float32]]]:
        """Yield group, parameter and flat gradient of every parameter that has one."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    parameter.grad = parameter.grad.contiguous()
                    yield group, parameter, _flat(parameter.grad)
