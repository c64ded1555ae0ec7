"""A bag of embedded tokens: the mean of a row's embeddings, and a linear head.

Joulin et al. 2017.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from calibtool.errors import UsageError


class TextBag(nn.Module):
    """Token ids, of which 0 is padding, share `buckets` embeddings of `width` numbers.

    Ids below `buckets` have an embedding of their own; larger ones, such as the hashes that raw
    text is made of, are folded into them.
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
        """(n, tokens) ids to (n, classes) logits."""
        if x.dim() != 2 or x.is_floating_point():
            raise UsageError("--model text-bag needs text, or rows of whole-number token ids")
        folded = torch.where(x == 0, 0, (x - 1) % (self.buckets - 1) + 1)
        logits: Tensor = self.head(self.dropout(self.bag(folded)))
        return logits
