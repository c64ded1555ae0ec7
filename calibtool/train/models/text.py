"""A bag of embedded tokens: mean embedding and a linear head; Joulin et al. 2017."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from calibtool.errors import UsageError


class TextBag(nn.Module):
    """The mean of the embeddings of token ids, `width` numbers each, and a linear head.

    Id 0 is padding. Ids below `buckets` have an embedding each; larger ids, such as the hashes of
    raw text, share them by their remainder.
    """

    def __init__(
        self,
        *,
        shape: tuple[int, ...],
        classes: int,
        buckets: int = 1 << 15,
        width: int = 64,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if buckets < 3:
            raise UsageError(f"--model text-bag: buckets must be 3 or more, not {buckets}")
        self.buckets = buckets
        self.bag = nn.EmbeddingBag(buckets, width, mode="mean", padding_idx=0)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(width, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return (n, classes) logits of (n, tokens) whole-number ids."""
        if x.dim() != 2 or x.is_floating_point():
            raise UsageError("--model text-bag needs text, or rows of whole-number token ids")
        folded = torch.where(x == 0, 0, (x - 1) % (self.buckets - 1) + 1)
        logits: Tensor = self.head(self.dropout(self.bag(folded)))
        return logits
