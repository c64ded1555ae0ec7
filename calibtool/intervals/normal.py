"""Quantiles of the normal distribution without SciPy, whose import takes 0.1 s."""

from __future__ import annotations

import math

import numpy as np

from calibtool.types import Array

NEAREST = 1e-13  # how close to 0 and 1 shares may lie: farther out, other coefficients are needed

# The rational approximations of ndtri in Cephes (Moshier 1989), which SciPy computes too: between
# exp(-2) and 1 - exp(-2), and beyond. Highest powers first; denominators begin with 1.
_TAIL = 0.13533528323661269189  # exp(-2)
_ROOT_OF_2_PI = 2.50662827463100050242
_MIDDLE = (
    (
        *(-5.99633501014107895267e1, 9.80010754185999661536e1, -5.66762857469070293439e1),
        *(1.39312609387279679503e1, -1.23916583867381258016e0),
    ),
    (
        *(1.0, 1.95448858338141759834e0, 4.67627912898881538453e0, 8.63602421390890590575e1),
        *(-2.25462687854119370527e2, 2.00260212380060660359e2, -8.20372256168333339912e1),
        *(1.59056225126211695515e1, -1.18331621121330003142e0),
    ),
)
_BEYOND = (
    (
        *(4.05544892305962419923e0, 3.15251094599893866154e1, 5.71628192246421288162e1),
        *(4.40805073893200834700e1, 1.46849561928858024014e1, 2.18663306850790267539e0),
        *(-1.40256079171354495875e-1, -3.50424626827848203418e-2, -8.57456785154685413611e-4),
    ),
    (
        *(1.0, 1.57799883256466749731e1, 4.53907635128879210584e1, 4.13172038254672030440e1),
        *(1.50425385692907503408e1, 2.50464946208309415979e0, -1.42182922854787788574e-1),
        *(-3.80806407691578277194e-2, -9.33259480895457427372e-4),
    ),
)


def quantiles(shares: Array) -> Array:
    """Return the quantiles of the standard normal distribution, to the bit as SciPy's `ndtri`.

    Args:
        shares: (...) float64 in [NEAREST, 1 - NEAREST].

    >>> quantiles(np.array([0.5, 0.975])).round(6).tolist()
    [0.0, 1.959964]
    """
    upper = shares > 1 - _TAIL
    tail = np.where(upper, 1 - shares, shares)
    out = np.empty_like(tail)
    middle = tail > _TAIL
    y = tail[middle] - 0.5
    square = y * y
    out[middle] = (y + y * (square * _at(_MIDDLE[0], square) / _at(_MIDDLE[1], square))) * (
        _ROOT_OF_2_PI
    )
    # the logarithms of NumPy differ between processors in the last digit
    x = np.sqrt(np.array([-2 * math.log(share) for share in tail[~middle].tolist()]))
    logs = np.array([math.log(value) for value in x.tolist()])
    inverse = 1 / x
    far = x - logs / x - inverse * _at(_BEYOND[0], inverse) / _at(_BEYOND[1], inverse)
    out[~middle] = np.where(upper[~middle], far, -far)
    return out


def _at(coefficients: tuple[float, ...], x: Array) -> Array:
    """Return the values of a polynomial by Horner's rule."""
    value = np.full_like(x, coefficients[0])
    for c in coefficients[1:]:
        value = value * x + c
    return value
