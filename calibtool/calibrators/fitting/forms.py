"""How the scores of softmax(W z + b) depend on what is free in W and b, and the derivatives by it.

v are the free parameters, z (n, K) some rows, g the slope and c the curve of a loss in the scores.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np

from calibtool.types import Array

BLOCKS = 256  # classes up to which a preconditioner is a matrix a class
SOME, NARROW = 64, 66  # rows and columns of a matrix product that BLAS does by itself
SEEN = 1e-3  # rows of less curve do not matter to a preconditioner


def _gram(u: Array) -> Array:
    """u.T @ u, of narrow rows a few at a time: products so small that BLAS starts no threads for
    them, which get in the way of ours."""
    rows, size = u.shape
    if size > NARROW or rows < SOME:
        return np.asarray(u.T @ u)
    whole = rows // SOME * SOME
    some = u[:whole].reshape(-1, SOME, size)
    own = np.matmul(some.transpose(0, 2, 1), some).sum(axis=0)
    return np.asarray(own + u[whole:].T @ u[whole:])


class Form(Protocol):
    """How scores depend on the parameters v, an array of any shape."""

    def scores(self, v: Array, z: Array) -> Array: ...
    def pull(self, g: Array, z: Array) -> Array: ...
    def curves(self, c: Array, z: Array) -> Array: ...
    def solver(self, curves: Array, penalty: Array | float) -> Callable[[Array], Array]: ...
    def hessian(self, p: Array, w: Array, z: Array) -> Array: ...


class Scalar:
    """v = (t, b_1, ..., b_K): scores t z + b."""

    def scores(self, v: Array, z: Array) -> Array:
        """(n, K)."""
        return v[0] * z + v[1:].astype(z.dtype)

    def pull(self, g: Array, z: Array) -> Array:
        """The slope in v, of the slope in the scores."""
        return np.append(np.vdot(g, z), g.sum(axis=0, dtype=np.float64))

    def curves(self, c: Array, z: Array) -> Array:
        """Second derivatives by v alone, each."""
        return np.append(np.vdot(c, z * z), c.sum(axis=0, dtype=np.float64))

    def solver(self, curves: Array, penalty: Array | float) -> Callable[[Array], Array]:
        """Nearly the inverse of the curve."""
        return lambda r: r / np.maximum(curves + 2 * penalty, 1e-12)

    def hessian(self, p: Array, w: Array, z: Array) -> Array:
        """(1 + K, 1 + K): all second derivatives, from probabilities and row weights."""
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
        """(n, K)."""
        own = v.astype(z.dtype)
        return own[:, 0] * z + own[:, 1]

    def pull(self, g: Array, z: Array) -> Array:
        """The slope in v, of the slope in the scores."""
        return np.stack([np.einsum("ij,ij->j", g, z), g.sum(axis=0)], axis=1).astype(np.float64)

    def curves(self, c: Array, z: Array) -> Array:
        """(K, 3): a class's second derivatives by slope, slope and bias, bias."""
        cz = c * z
        parts = [np.einsum("ij,ij->j", cz, z), cz.sum(axis=0), c.sum(axis=0)]
        return np.stack(parts, axis=1).astype(np.float64)

    def solver(self, curves: Array, penalty: Array | float) -> Callable[[Array], Array]:
        """A 2 x 2 system a class."""
        a, b, c = curves.T
        own = 2 * np.broadcast_to(penalty, (len(a), 2))
        a, c = a + own[:, 0], c + own[:, 1]
        a, c = a + 1e-9 * (a + 1e-3), c + 1e-9 * (c + 1e-3)
        det = a * c - b * b

        def solve(r: Array) -> Array:
            return (
                np.stack([c * r[:, 0] - b * r[:, 1], a * r[:, 1] - b * r[:, 0]], axis=1)
                / (det[:, None])
            )

        return solve

    def hessian(self, p: Array, w: Array, z: Array) -> Array:
        """(2 K, 2 K): all second derivatives, from probabilities and row weights."""
        p, z = p.astype(np.float64, copy=False), z.astype(np.float64, copy=False)
        u = np.empty((*p.shape, 2))
        np.multiply(p, np.sqrt(w)[:, None], out=u[:, :, 1])
        np.multiply(u[:, :, 1], z, out=u[:, :, 0])
        u = u.reshape(len(p), -1)
        out = -_gram(u)
        own = self.curves(p * w[:, None], z)
        k = np.arange(0, len(out), 2)
        out[k, k] += own[:, 0]
        out[k, k + 1] += own[:, 1]
        out[k + 1, k] += own[:, 1]
        out[k + 1, k + 1] += own[:, 2]
        return out


class Full:
    """v = (K, K + 1), W and the biases beside it: scores W z + b."""

    def scores(self, v: Array, z: Array) -> Array:
        """(n, K)."""
        own = v.astype(z.dtype)
        return z @ own[:, :-1].T + own[:, -1]

    def pull(self, g: Array, z: Array) -> Array:
        """The slope in v, of the slope in the scores."""
        return np.concatenate([g.T @ z, g.sum(axis=0)[:, None]], axis=1).astype(np.float64)

    def curves(self, c: Array, z: Array) -> Array:
        """(K, K + 1, K + 1): a class's own second derivatives, of the rows that matter to it; of
        many classes (K, K + 1), those by each parameter alone."""
        x = np.concatenate([z, np.ones((len(z), 1), z.dtype)], axis=1)
        if c.shape[1] > BLOCKS:
            return (c.T @ (x * x)).astype(np.float64)
        out = np.empty((c.shape[1], x.shape[1], x.shape[1]))
        for k in range(c.shape[1]):
            at = np.flatnonzero(c[:, k] > SEEN * c[:, k].max())
            own = x[at]
            out[k] = (own * c[at, k, None]).T @ own
        return out

    def solver(self, curves: Array, penalty: Array | float) -> Callable[[Array], Array]:
        """A system a class; what all classes share does not change the scores' softmax."""
        size = curves.shape[1]
        if curves.ndim == 2:
            scale = np.maximum(curves + 2 * penalty, 1e-9)
            return lambda r: r / scale
        ridge = 1e-9 + 1e-6 * np.trace(curves, axis1=1, axis2=2) / size
        own = np.arange(size)
        curves[:, own, own] += 2 * np.broadcast_to(penalty, curves.shape[:2]) + ridge[:, None]
        inverse = np.linalg.inv(curves)
        return lambda r: np.einsum("kij,kj->ki", inverse, r)

    def hessian(self, p: Array, w: Array, z: Array) -> Array:
        """Not made: it would have K (K + 1) rows and as many columns."""
        raise NotImplementedError
