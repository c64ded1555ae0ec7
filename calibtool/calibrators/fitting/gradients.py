"""Newton's steps by conjugate gradients, which need products with the second derivatives only.

The second derivatives are those at some probabilities of the rows. A preconditioner, which is an
approximate inverse, decides how many products a step takes, never where the optimum lies.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from calibtool.types import Array

# Conjugate gradient steps in one of Newton's, each a pass. Directions may be rough far from the
# optimum (see `solve`), so the limit is met only where the preconditioner does badly.
INNER = 100
# Conjugate gradient steps after which the next of Newton's gets a preconditioner of its own, where
# making one is dear. With a full W it takes as long as some 20 of them; the one from where the
# search began is nearly as good as long as probabilities have not moved far.
STALE = 20


class Gradients:
    """The steps of one search.

    Attributes:
        precondition: maps probabilities to an approximate inverse of the second derivatives.
        bend: maps probabilities and a direction to the product of the second derivatives and it.
        dear: whether `precondition` takes as long as many products.
        inverse: the approximate inverse in use; None before the first step, and where it is stale.
    """

    def __init__(
        self,
        precondition: Callable[[Array], Callable[[Array], Array]],
        bend: Callable[[Array, Array], Array],
        *,
        dear: bool,
        inverse: Callable[[Array], Array] | None = None,
    ) -> None:
        self.precondition, self.bend, self.dear = precondition, bend, dear
        self.inverse = inverse

    @property
    def kept(self) -> Callable[[Array], Array] | None:
        """The approximate inverse in use, where it is worth keeping for another search."""
        return self.inverse if self.dear else None

    def solve(self, slope: Array, probs: Array) -> Array:
        """Return nearly Newton's step, from the slope and the probabilities.

        In the usual notation `gap` is the residual r, `z` the preconditioned residual, `p` the
        search direction and `bent` the product A p. Energies are r' z.
        """
        if self.inverse is None or not self.dear:
            self.inverse = self.precondition(probs)
        inverse = self.inverse
        gap = -slope
        x = np.zeros_like(gap)
        z = inverse(gap)
        p = z
        energy = first = float(np.vdot(gap, z))
        # Solving to a relative residual of min(0.1, sqrt(|slope|)) makes Newton's steps converge
        # superlinearly without exact directions far from the optimum (Nocedal & Wright 2006, sec.
        # 7.1, who start at 0.5); it is squared because energies are squares of residuals.
        enough = min(0.1, float(np.abs(slope).max()) ** 0.5) ** 2 * first
        for step in range(INNER):
            if energy <= max(enough, 1e-300):  # 1e-300: at a slope of exactly 0
                break
            if step == STALE:
                self.inverse = None
            bent = self.bend(probs, p)
            stiff = float(np.vdot(p, bent))
            if stiff <= 0:  # only by rounding: the objective is convex
                break
            share = energy / stiff
            x = x + share * p
            gap = gap - share * bent
            z = inverse(gap)
            new = float(np.vdot(gap, z))
            p, energy = z + new / energy * p, new
        return x if x.any() else inverse(-slope)
