"""Training the net of `simrec.envs.diffusion_users` with torch; what it gives back needs NumPy."""

import numpy as np
import scipy.sparse as sp
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

STEPS = 20  # of the noise schedule; at step 0 the row is as it is


def kept_share(steps: int = STEPS) -> Tensor:
    """Return a_t (steps + 1,), falling from 1 at t = 0 in equal parts to 0.5 (ours)."""
    return torch.linspace(1.0, 0.5, steps + 1)


def noised(rows: Tensor, share: Tensor, noise: Tensor) -> Tensor:
    """Return sqrt(a) x + sqrt(1 - a) e for rows (B, I), shares a (B, 1) and noise (B, I)."""
    return share.sqrt() * rows + (1 - share).sqrt() * noise


def train_net(
    rows: sp.csr_matrix,
    basis: NDArray[np.float32],
    content: NDArray[np.float32],
    *,
    seed: int,
    width: int,
    epochs: int,
    smooth: float,
    batch: int = 128,
    learning_rate: float = 5e-3,
) -> dict[str, NDArray[np.float32]]:
    """Return the weights that predict clean rows from noised ones.

    Args:
        rows: (U, I) clicks.
        basis: (I, F) from a row to the user's factor.
        content: (I, C).
        seed: Draws weights, noise and batches.
        width: Of the hidden layer.
        epochs: Passes over the users.
        smooth: g of the target x (1 - g) + (1 - x) g.
        batch: Users at once.
        learning_rate: Of Adam.
    """
    rng = torch.Generator().manual_seed(seed)
    n_items, size = len(content), basis.shape[1] + content.shape[1]

    def drawn(*shape: int) -> nn.Parameter:
        return nn.Parameter(torch.randn(*shape, generator=rng) / shape[0] ** 0.5)

    net = {
        "row": drawn(n_items, width),
        "condition": drawn(size, width),
        "hidden": nn.Parameter(torch.zeros(width)),
        "out": drawn(width, n_items),
        "bias": nn.Parameter(torch.zeros(n_items)),
    }
    moment = drawn(STEPS + 1, width)  # t = 0 is added to "hidden" at the end
    optimiser = torch.optim.Adam([*net.values(), moment], lr=learning_rate)
    share = kept_share()
    maps = torch.from_numpy(basis), torch.from_numpy(content)
    for _ in range(epochs):
        for users in torch.randperm(rows.shape[0], generator=rng).split(batch):
            x = torch.from_numpy(np.asarray(rows[users.numpy()].todense(), dtype=np.float32))
            t = torch.randint(STEPS + 1, (len(x),), generator=rng)
            noisy = noised(x, share[t][:, None], torch.randn(x.shape, generator=rng))
            # what conditions and what is predicted must differ, or the net copies the row
            seen = x * (torch.rand(x.shape, generator=rng) < 0.5)
            count = seen.sum(1, keepdim=True).clamp(min=1.0)
            given = torch.cat([seen @ maps[0], seen @ maps[1] / count], 1)
            hidden = noisy @ net["row"] + given @ net["condition"] + net["hidden"] + moment[t]
            logits = torch.tanh(hidden) @ net["out"] + net["bias"]
            target = x * (1 - smooth) + (1 - x) * smooth
            loss = functional.binary_cross_entropy_with_logits(logits, target)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    with torch.no_grad():
        net["hidden"].add_(moment[0])
    return {name: weight.detach().numpy() for name, weight in net.items()}
