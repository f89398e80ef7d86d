"""A causal self-attention model of item sequences, by which item vectors are learnt and judged."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from simrec.items.side_adapter import linear


class _Block(nn.Module):
    """Self-attention and a feed-forward layer, each normalised before and added after.

    Only real places (N, width) are computed; they meet in (B, T) for the attention alone, because
    most sequences are far shorter than the longest.
    """

    def __init__(self, width: int, heads: int, dropout: float, rng: torch.Generator) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = linear(width, 3 * width, rng), linear(width, width, rng)
        self.up, self.down = linear(width, 4 * width, rng), linear(4 * width, width, rng)

    def forward(self, x: Tensor, real: Tensor, visible: Tensor) -> Tensor:
        batch, length = real.shape
        qkv = x.new_zeros(batch, length, 3 * x.shape[1])
        qkv[real] = self.qkv(self.norm1(x))
        parts = qkv.view(batch, length, 3, self.heads, -1)
        q, k, v = (part.transpose(1, 2) for part in parts.unbind(2))
        mixed = functional.scaled_dot_product_attention(q, k, v, attn_mask=visible[:, None])
        drop = self.dropout if self.training else 0.0
        heard = mixed.transpose(1, 2).flatten(2)[real]
        x = x + functional.dropout(self.out(heard), drop)
        hidden = functional.gelu(self.up(self.norm2(x)))
        out: Tensor = x + functional.dropout(self.down(hidden), drop)
        return out


class SASRec(nn.Module):
    """SASRec (Kang and McAuley, ICDM 2018, arXiv 1808.09781; reconstructed) over given vectors."""

    def __init__(
        self,
        width: int,
        length: int,
        *,
        rng: torch.Generator,
        blocks: int = 2,
        heads: int = 2,
        dropout: float = 0.1,
    ) -> None:
        """Build the model.

        Args:
            width: Of item vectors and states.
            length: Greatest number of items T.
            rng: Draws the weights.
            blocks: Attention blocks.
            heads: Attention heads.
            dropout: After each sublayer, in [0, 1).
        """
        super().__init__()
        self.places = nn.Parameter(torch.empty(length, width))
        nn.init.normal_(self.places, std=0.02, generator=rng)
        self.blocks = nn.ModuleList(_Block(width, heads, dropout, rng) for _ in range(blocks))
        self.norm = nn.LayerNorm(width)

    def forward(self, vectors: Tensor, real: Tensor) -> Tensor:
        """Return the state after each item.

        Args:
            vectors: (B, T, width), the last place being the most recent.
            real: (B, T) bool, False for padding, which is on the left and never seen.

        Returns:
            (B, T, width), zero at padding.
        """
        length = vectors.shape[1]
        causal = torch.ones(length, length, dtype=torch.bool).tril()
        # a row that may see nothing has a softmax over nothing, NaN; so each place sees itself
        visible = (causal & real[:, None, :]) | torch.eye(length, dtype=torch.bool)
        x = (vectors + self.places[-length:])[real]
        for block in self.blocks:
            x = block(x, real, visible)
        out = torch.zeros_like(vectors)
        out[real] = self.norm(x)
        return out
