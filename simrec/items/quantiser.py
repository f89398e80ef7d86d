"""Residual quantisers that learn: RQ-VAE's straight-through step, and DIGER's noisy one."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from simrec.errors import SimrecError
from simrec.items.side_adapter import linear

NOISES = ("none", "constant", "sdud", "frqud")


@dataclass(frozen=True)
class Quantised:
    """One pass; gradients flow through `vector`, `weights` and `loss`."""

    codes: Tensor  # (U, L) int64
    weights: Tensor  # (U, L, K) one-hot forward, soft backward where there is a temperature
    vector: Tensor  # (U, D) sum of the chosen codes
    loss: Tensor  # () commitment and codebook loss


class ResidualQuantiser(nn.Module):
    """Levels of codebooks, each on what is left over.

    noise "none" is RQ-VAE's straight-through step (van den Oord et al., arXiv 1711.00937; Lee et
    al., arXiv 2203.01941; reconstructed). The others are DIGER's (arXiv 2601.19711; formulas read,
    its public code does not run, so written from them): logits -||z - c||^2, y = softmax((logits +
    s G) / tau) with Gumbel G, hard forward and soft backward on the indicator. "constant" keeps s
    = 1; "sdud" learns s by L / (2 (s + lam)^2) + log(s + lam), whose least value lies at s =
    sqrt(L) - lam, so noise fades as the loss falls; "frqud" gives noise only to items whose nearest
    first code is used more than 1.5 / K of the time (running mean .99).
    """

    usage: Tensor  # (K,) running share of each first code

    def __init__(
        self,
        dim: int,
        *,
        rng: torch.Generator,
        levels: int = 3,
        size: int = 256,
        noise: str = "none",
        tau: float = 2.0,
        lam: float = 1.7,
    ) -> None:
        """Draw the codebooks.

        Args:
            dim: Width D of what is coded.
            rng: Draws codebooks and, in training, the noise.
            levels: Codes an item gets.
            size: Codes of a level K.
            noise: A member of NOISES.
            tau: Temperature.
            lam: Offset of "sdud".

        Raises:
            SimrecError: There is no such noise.
        """
        super().__init__()
        if noise not in NOISES:
            raise SimrecError(f"there is no noise '{noise}'; expected one of {', '.join(NOISES)}")
        self.noise, self.tau, self.lam, self.rng = noise, tau, lam, rng
        self.codebooks = nn.Parameter(torch.randn(levels, size, dim, generator=rng) / dim**0.5)
        self.scale = nn.Parameter(torch.ones(()), requires_grad=noise == "sdud")
        self.register_buffer("usage", torch.full((size,), 1.0 / size))

    def start(self, rows: Tensor) -> None:
        """Put the codes of each level on rows (n, D) and what they leave over, drawn at random."""
        left = rows.detach()
        with torch.no_grad():
            for book in self.codebooks:
                chosen = torch.randint(len(left), (len(book),), generator=self.rng)
                book.copy_(left[chosen])
                left = left - book[torch.cdist(left, book).argmin(1)]

    def _strength(self, nearest: Tensor) -> Tensor:
        """Return the noise's size (U, 1) for items with these nearest first codes (U,)."""
        if self.noise == "frqud":
            size = len(self.usage)
            return (self.usage[nearest] > 1.5 / size).to(self.usage.dtype)[:, None]
        return self.scale.clamp(min=0.0).expand(len(nearest), 1)

    def forward(self, z: Tensor) -> Quantised:
        """Code (U, D); noise and running usage only in training."""
        left, codes, weights, chosen = z, [], [], []
        loss = z.new_zeros(())
        strength: Tensor | None = None
        for book in self.codebooks:
            logits = -((left[:, None] - book[None]) ** 2).sum(-1)
            if self.training and self.noise != "none":
                if strength is None:
                    strength = self._strength(logits.argmax(1))
                    if self.noise == "frqud":
                        share = torch.bincount(logits.argmax(1), minlength=len(book)) / len(z)
                        self.usage.mul_(0.99).add_(0.01 * share)
                uniform = torch.rand(logits.shape, generator=self.rng).clamp(1e-9, 1 - 1e-7)
                logits = logits + strength * -torch.log(-torch.log(uniform))
            soft = torch.softmax(logits / self.tau, 1)
            code = logits.argmax(1)
            hard = functional.one_hot(code, len(book)).to(z.dtype)
            indicator = hard if self.noise == "none" else hard - soft.detach() + soft
            vector = indicator @ book
            loss = loss + ((left.detach() - vector) ** 2).sum(1).mean()
            loss = loss + 0.25 * ((left - vector.detach()) ** 2).sum(1).mean()
            left = left - vector.detach()
            codes.append(code)
            weights.append(indicator)
            chosen.append(vector)
        total = torch.stack(chosen).sum(0)
        if self.noise == "none":
            total = z + (total - z).detach()  # straight through
        return Quantised(torch.stack(codes, 1), torch.stack(weights, 1), total, loss)

    def uncertainty_loss(self, loss: Tensor) -> Tensor:
        """Return "sdud"'s L' of a main loss, or the loss itself under another noise."""
        if self.noise != "sdud":
            return loss
        width = self.scale.clamp(min=0.0) + self.lam
        return loss / (2 * width**2) + torch.log(width)


class QuantisedAutoencoder(nn.Module):
    """A small encoder and decoder around a quantiser."""

    def __init__(self, dim: int, quantiser: ResidualQuantiser, *, rng: torch.Generator) -> None:
        super().__init__()
        width = quantiser.codebooks.shape[2]
        self.encoder = nn.Sequential(
            linear(dim, 2 * width, rng), nn.ReLU(), linear(2 * width, width, rng)
        )
        self.quantiser = quantiser
        self.decoder = nn.Sequential(
            linear(width, 2 * width, rng), nn.ReLU(), linear(2 * width, dim, rng)
        )

    def forward(self, x: Tensor) -> tuple[Tensor, Quantised]:
        """Return reconstructions (U, dim) of (U, dim), and the codes."""
        coded = self.quantiser(self.encoder(x))
        return self.decoder(coded.vector), coded
