"""How numbers are printed: never rounded to 0 or to 1 unless they are exactly that."""

from __future__ import annotations

import math


def number(value: float | None) -> str:
    """Four decimals; more, or an exponent, where four would say 0 or 1 of what is neither.

    >>> number(0.03896), number(0.00001), number(0.0), number(0.99999), number(None)
    ('0.0390', '1.0e-05', '0.0000', '0.99999', '')
    """
    if value is None:
        return ""
    if not math.isfinite(value):
        return {math.inf: "inf", -math.inf: "-inf"}.get(value, "nan")
    if value != 0 and abs(value) < 5e-5:
        return f"{value:.1e}"
    if value < 1 and f"{value:.4f}" == "1.0000":
        return f"1 - {1 - value:.1e}" if value > 1 - 5e-7 else f"{value:.7f}".rstrip("0")
    if abs(value) >= 1e5:
        return f"{value:.4g}"
    return f"{value:.4f}"


def signed(value: float | None) -> str:
    """With its sign, for differences."""
    text = number(value)
    return f"+{text}" if value is not None and value > 0 else text


def interval(low: float | None, high: float | None, *, sign: bool = False) -> str:
    """[low, high], or nothing."""
    if low is None or high is None:
        return ""
    show = signed if sign else number
    return f"[{show(low)}, {show(high)}]"


def percent(level: float | None) -> str:
    """The level of an interval, as a column's title says it."""
    return f"{100 * (level or 0.95):g} %"


def share(value: float | None) -> str:
    """A share, in per cent.

    >>> share(0.0), share(0.0004), share(0.126)
    ('0', '<0.1 %', '12.6 %')
    """
    if value is None:
        return ""
    if value == 0:
        return "0"
    return "<0.1 %" if abs(value) < 5e-4 else f"{100 * value:.1f} %"


def seconds(value: float | None) -> str:
    """A time."""
    if value is None:
        return ""
    return f"{value:.2g} s" if value < 10 else f"{value:.0f} s"


def p_value(value: float | None) -> str:
    """A p-value: three decimals, and no less than can be told.

    >>> p_value(0.0312), p_value(1e-9), p_value(0.0499996), p_value(1.0), p_value(None)
    ('0.031', '<0.001', '0.0499996', '1.000', '')
    """
    if value is None:
        return ""
    if value < 1e-3:
        return "<0.001"
    return f"{value:.3f}" if f"{value:.3f}" != "0.050" else f"{value:.7g}"
