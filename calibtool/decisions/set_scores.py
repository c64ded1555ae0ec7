"""The score of each class of a row, by which prediction sets take it in: LAC, APS, RAPS.

A set holds the classes whose score is at most a threshold. A low score is a class that fits well.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from calibtool.calibrators import inputs
from calibtool.data.predictions import Predictions
from calibtool.errors import UsageError, echo
from calibtool.evaluation.resampling import require_seed
from calibtool.intervals.streams import Stream, generator
from calibtool.types import BLOCK, Array

METHODS = {
    "lac": "1 - p (Sadinle, Lei & Wasserman 2019)",
    "aps": "the probability of the classes above, and a share of its own (Romano, Sesia & Candes "
    "2020)",
    "raps": "as aps, with a penalty on low ranks (Angelopoulos, Bates, Malik & Jordan 2021)",
}
RANDOMIZED = ("aps", "raps")
# The values of Angelopoulos et al. 2021 for ImageNet (their table 5, and the examples of their
# code): from the sixth class on, each costs 0.01 more.
PENALTY, K_REG = 0.01, 5
MOST_PENALTY = 1e6  # probabilities sum to 1: far less than this already forbids every further class
FIT, USE = 0, 1  # rows that set a threshold, and rows that get sets, draw from streams of their own


@dataclass(frozen=True)
class SetScore:
    """How the score of a class is computed.

    Attributes:
        method: a key of METHODS.
        randomized: whether a class counts with a random share of its own probability, one per row;
            otherwise with all of it. Only for `aps` and `raps`.
        seed: of these shares.
        penalty, k_reg: what `raps` adds to a score, times the ranks beyond `k_reg`.

    Raises UsageError when it is built from other values.
    """

    method: str = "aps"
    randomized: bool = True
    seed: int = 0
    penalty: float = PENALTY
    k_reg: int = K_REG

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise UsageError(
                f"--method must be one of {', '.join(METHODS)} (got {echo(self.method)})"
            )
        if self.randomized and self.method not in RANDOMIZED:
            raise UsageError(
                f"--randomized has no meaning for {self.method}, whose scores have no random part; "
                f"use --method {' or '.join(RANDOMIZED)}"
            )
        if not 0 <= self.penalty <= MOST_PENALTY:
            raise UsageError(
                f"--penalty must lie between 0 and {MOST_PENALTY:g}, not {self.penalty:g}"
            )
        if self.k_reg < 0:
            raise UsageError(f"--k-reg must not be negative (got {self.k_reg})")
        require_seed(self.seed)

    def describe(self) -> str:
        """Return the method and its options in a line."""
        ranks = f", penalty {self.penalty:g} beyond rank {self.k_reg:,}"
        return (
            f"{self.method.upper()}{ranks if self.method == 'raps' else ''}"
            f"{f', randomised by seed {self.seed}' if self.randomized else ''}"
        )

    def pieces(self, predictions: Predictions, part: int) -> Iterator[tuple[slice, Array]]:
        """Yield the scores of all rows, (n, K) float64 at a time, each with the slice of its rows.

        Args:
            predictions: whole rows of probabilities or logits.
            part: FIT for the rows that set a threshold, USE for those that get sets. The random
                share of a row depends on this, the seed and the row's position.
        """
        shares = self.shares(predictions.rows, part)
        step = max(1, inputs.PIECE // (predictions.classes or 2))
        for number, piece in enumerate(predictions.blocks(step)):
            at = slice(number * step, number * step + piece.rows)
            yield at, self.of_probs(inputs.probs(piece), shares[at])

    def of_labels(self, predictions: Predictions, part: int) -> Array:
        """Return the score of the label of each row, (N,)."""
        labels = predictions.labels
        assert labels is not None
        scored = [
            scores[np.arange(len(scores)), labels[at]]
            for at, scores in self.pieces(predictions, part)
        ]
        return np.concatenate(scored)

    def of_probs(self, probs: Array, shares: Array) -> Array:
        """Return the score of every class, (n, K) float64.

        Args:
            probs: (n, K).
            shares: (n,) the share of its own probability with which a class counts.

        >>> aps = SetScore("aps", randomized=False)
        >>> aps.of_probs(np.array([[0.5, 0.25, 0.25]]), np.ones(1)).tolist()
        [[0.5, 0.75, 1.0]]
        """
        probs = np.asarray(probs, np.float64)
        if self.method == "lac":
            return np.asarray(1 - probs)
        # equal probabilities rank by the number of the class, on fit and use alike
        order = np.argsort(-probs, axis=1, kind="stable")
        ranked = np.take_along_axis(probs, order, axis=1)
        above = np.zeros_like(ranked)
        np.cumsum(ranked[:, :-1], axis=1, out=above[:, 1:])
        scores = above + shares[:, None] * ranked
        if self.method == "raps":
            rank = np.arange(1, probs.shape[1] + 1)
            scores += self.penalty * np.maximum(0, rank - self.k_reg)
        out = np.empty_like(scores)
        np.put_along_axis(out, order, scores, axis=1)
        return out

    def shares(self, rows: int, part: int) -> Array:
        """Return with which share of its own probability a class counts, (rows,): 1 unless
        randomized."""
        if not self.randomized:
            return np.ones(rows)
        blocks = [
            generator(Stream.SETS, self.seed, part, start // BLOCK).random(BLOCK)
            for start in range(0, rows, BLOCK)
        ]
        return np.concatenate([np.empty(0), *blocks])[:rows]
