"""Forms of W in softmax(W z + b): how scores depend on the free parameters, and the derivatives.

v are the free parameters and z, (n, K), some rows. g and c, both (n, K), are the first and second
derivatives of a loss in each score; the methods return those in the parameters.

The mean NLL has the second derivatives diag(p) - p p' in the scores of a row, p its probabilities.
So `hessian` is, for each form, a part within each class minus a product u' u, where the rows of u
are the derivatives of sum_k p_k s_k in the parameters at fixed p.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np

from calibtool.types import Array

# Classes up to which the preconditioner of a full W is a matrix per class: K (K + 1)**2 numbers,
# 135 MB at 256. With more classes it is the diagonal only.
BLOCKS = 256
# Rows and columns of the small matrix products in `_gram`. BLAS decides about threads by the number
# of multiplications; OpenBLAS begins to use them at about SMALL_ROWS * MAX_COLUMNS**2, or 2**18.
SMALL_ROWS, MAX_COLUMNS = 64, 66
# Rows whose second derivative is below this share of a class's largest are left out of its
# preconditioner. With many classes those are most rows, and together they change it little. A
# preconditioner affects the number of steps only, never the optimum: with 100 classes, 1e-3 takes
# as many of them and twice the time.
NEGLIGIBLE = 1e-2
# One row of how many is summed, and from how many classes on: with fewer classes, the blocks cost
# little beside the products. In nine fits to 4,000 to 8,000 rows of 100 classes, made and real, a
# quarter of the rows led to 338 products in place of 325, for half of the time of the blocks.
THINNED, WIDE = 4, 32


def _gram(u: Array) -> Array:
    """Return u.T @ u.

    Narrow arrays are multiplied a few rows at a time, in products so small that BLAS starts no
    threads for them: those would compete with our own.
    """
    rows, size = u.shape
    if size > MAX_COLUMNS or rows < SMALL_ROWS:
        return np.asarray(u.T @ u)
    whole = rows // SMALL_ROWS * SMALL_ROWS
    stack = u[:whole].reshape(-1, SMALL_ROWS, size)
    product = np.matmul(stack.transpose(0, 2, 1), stack).sum(axis=0)
    return np.asarray(product + u[whole:].T @ u[whole:])


class Form(Protocol):
    """How scores depend on the parameters v, an array of any shape.

    `scores` is linear in v; `pull` is its transpose; `curves` sums what `solver` makes an
    approximate inverse of the matrix of second derivatives from; `hessian` is that matrix.
    """

    def scores(self, v: Array, z: Array) -> Array: ...
    def pull(self, g: Array, z: Array) -> Array: ...
    def curves(self, c: Array, z: Array) -> Array: ...
    def solver(self, curves: Array, penalty: Array | float) -> Callable[[Array], Array]: ...
    def hessian(self, p: Array, w: Array, z: Array) -> Array: ...


class Scalar:
    """v = (t, b_1, ..., b_K): scores t z + b."""

    def scores(self, v: Array, z: Array) -> Array:
        """Return (n, K) scores."""
        return v[0] * z + v[1:].astype(z.dtype)

    def pull(self, g: Array, z: Array) -> Array:
        """Return the slope in v, given that in the scores (chain rule)."""
        return np.append(np.vdot(g, z), g.sum(axis=0, dtype=np.float64))

    def curves(self, c: Array, z: Array) -> Array:
        """Return the second derivative in each parameter alone."""
        return np.append(np.vdot(c, z * z), c.sum(axis=0, dtype=np.float64))

    def solver(self, curves: Array, penalty: Array | float) -> Callable[[Array], Array]:
        """Return an approximate inverse of the matrix of second derivatives: of its diagonal.

        1e-12 keeps parameters without any effect from a division by 0.
        """
        return lambda r: r / np.maximum(curves + 2 * penalty, 1e-12)

    def hessian(self, p: Array, w: Array, z: Array) -> Array:
        """Return (1 + K, 1 + K) second derivatives, from probabilities (n, K) and weights (n,)."""
        p, z = p.astype(np.float64, copy=False), z.astype(np.float64, copy=False)
        wp = p * w[:, None]
        wpz = wp * z
        u = np.concatenate([np.einsum("ij,ij->i", p, z)[:, None], p], axis=1)
        u *= np.sqrt(w)[:, None]
        out = -_gram(u)
        k = np.arange(1, len(out))
        out[0, 0] += np.vdot(wpz, z)
        out[0, 1:] += wpz.sum(axis=0)
        out[1:, 0] = out[0, 1:]
        out[k, k] += wp.sum(axis=0)
        return out


class Diagonal:
    """v = (K, 2), slopes and biases: scores v_k0 z_k + v_k1."""

    def scores(self, v: Array, z: Array) -> Array:
        """Return (n, K) scores."""
        v = v.astype(z.dtype)
        return v[:, 0] * z + v[:, 1]

    def pull(self, g: Array, z: Array) -> Array:
        """Return the slope in v, given that in the scores (chain rule)."""
        return np.stack([np.einsum("ij,ij->j", g, z), g.sum(axis=0)], axis=1).astype(np.float64)

    def curves(self, c: Array, z: Array) -> Array:
        """Return (K, 3): each class's second derivatives by slope, slope and bias, bias."""
        cz = c * z
        parts = [np.einsum("ij,ij->j", cz, z), cz.sum(axis=0), c.sum(axis=0)]
        return np.stack(parts, axis=1).astype(np.float64)

    def solver(self, curves: Array, penalty: Array | float) -> Callable[[Array], Array]:
        """Return an approximate inverse: that of the 2 x 2 blocks of the classes."""
        a, b, c = curves.T
        penalty_curve = 2 * np.broadcast_to(penalty, (len(a), 2))
        a, c = a + penalty_curve[:, 0], c + penalty_curve[:, 1]
        # A ridge, relative and with a floor: a block is singular if a class's z are all the same.
        a, c = a + 1e-9 * (a + 1e-3), c + 1e-9 * (c + 1e-3)
        det = a * c - b * b

        def solve(r: Array) -> Array:
            return (
                np.stack([c * r[:, 0] - b * r[:, 1], a * r[:, 1] - b * r[:, 0]], axis=1)
                / (det[:, None])
            )

        return solve

    def hessian(self, p: Array, w: Array, z: Array) -> Array:
        """Return (2 K, 2 K) second derivatives, from probabilities (n, K) and weights (n,)."""
        p, z = p.astype(np.float64, copy=False), z.astype(np.float64, copy=False)
        u = np.empty((*p.shape, 2))
        np.multiply(p, np.sqrt(w)[:, None], out=u[:, :, 1])
        np.multiply(u[:, :, 1], z, out=u[:, :, 0])
        u = u.reshape(len(p), -1)
        out = -_gram(u)
        within = self.curves(p * w[:, None], z)
        k = np.arange(0, len(out), 2)
        out[k, k] += within[:, 0]
        out[k, k + 1] += within[:, 1]
        out[k + 1, k] += within[:, 1]
        out[k + 1, k + 1] += within[:, 2]
        return out


class Full:
    """v = (K, K + 1), W and the biases beside it: scores W z + b."""

    def scores(self, v: Array, z: Array) -> Array:
        """Return (n, K) scores."""
        v = v.astype(z.dtype)
        return z @ v[:, :-1].T + v[:, -1]

    def pull(self, g: Array, z: Array) -> Array:
        """Return the slope in v, given that in the scores (chain rule)."""
        return np.concatenate([g.T @ z, g.sum(axis=0)[:, None]], axis=1).astype(np.float64)

    def curves(self, c: Array, z: Array) -> Array:
        """Return about (K, K + 1, K + 1) second derivatives within each class, by the rows that
        matter.

        With more than BLOCKS classes, return (K, K + 1): those in each parameter alone.
        """
        every = THINNED if c.shape[1] >= WIDE else 1
        c, z = c[::every] * every, z[::every]
        x = np.concatenate([z, np.ones((len(z), 1), z.dtype)], axis=1)
        if c.shape[1] > BLOCKS:
            return (c.T @ (x * x)).astype(np.float64)
        out = np.empty((c.shape[1], x.shape[1], x.shape[1]))
        for k in range(c.shape[1]):
            share = np.ascontiguousarray(c[:, k])
            at = np.flatnonzero(share > NEGLIGIBLE * share.max())
            rows = x[at] * np.sqrt(share[at])[:, None]
            out[k] = rows.T @ rows  # of one array with itself, BLAS computes a half only
        return out

    def solver(self, curves: Array, penalty: Array | float) -> Callable[[Array], Array]:
        """Return an approximate inverse: that of the blocks of the classes, or of the diagonal.

        A block is singular if z are log-probabilities or sum to a constant, so it gets a ridge:
        1e-6 of its mean diagonal, far below what matters to a preconditioner.
        """
        size = curves.shape[1]
        if curves.ndim == 2:
            scale = np.maximum(curves + 2 * penalty, 1e-9)
            return lambda r: r / scale
        ridge = 1e-9 + 1e-6 * np.trace(curves, axis1=1, axis2=2) / size
        diagonal = np.arange(size)
        curves[:, diagonal, diagonal] += (
            2 * np.broadcast_to(penalty, curves.shape[:2]) + ridge[:, None]
        )
        inverse = np.linalg.inv(curves).astype(np.float32)  # read in every step, and only a hint
        return lambda r: np.asarray((inverse @ r.astype(np.float32)[:, :, None])[:, :, 0])

    def hessian(self, p: Array, w: Array, z: Array) -> Array:
        """Raise: the matrix would have K (K + 1) rows and as many columns."""
        raise NotImplementedError
