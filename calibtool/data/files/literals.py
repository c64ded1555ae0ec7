"""Literals: the values that a condition compares a column with, as expressions of pyarrow's.

A column of whole numbers or of decimals holds multiples of a step between two ends. A comparison
with any other number is replaced by the equivalent one with such a multiple: for whole numbers,
`age > 20.5` is `age >= 21`. So no comparison rounds, and none fails for the size of a number.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Sequence
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

COMPARE: dict[str, Callable[[Any, Any], Any]] = {
    "=": operator.eq,
    "==": operator.eq,
    "!=": operator.ne,
    "<>": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
# Ranges by which a list of values is compared with the statistics of row groups; up to so many
# values are ranges of one value each.
MOST_RANGES = 16
# Enough digits for every double (309 before the point) at the finest scale of a decimal (76).
_EXACT = Context(prec=400)
_LARGEST_SINGLE = float(np.finfo(np.float32).max)

Value = Decimal | str | bool


def category(kind: pa.DataType) -> str | None:
    """Return "flag", "number", "text" or "date" for a type that can be compared, else None."""
    if pa.types.is_boolean(kind):
        return "flag"
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return "number"
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return "text"
    if pa.types.is_date(kind) or pa.types.is_timestamp(kind):
        return "date"
    return None


def balanced(join: Callable[[Any, Any], Any], parts: Sequence[Any]) -> Any:
    """Return parts joined by pairs, so that the depth grows with the logarithm of their number:
    pyarrow calls itself for each level of an expression.

    >>> balanced(lambda a, b: f"({a}{b})", "abcde")
    '(((ab)(cd))e)'
    """
    while len(parts) > 1:
        pairs = [parts[k : k + 2] for k in range(0, len(parts), 2)]
        parts = [join(*pair) if len(pair) == 2 else pair[0] for pair in pairs]
    return parts[0]


def is_moment(text: str, kind: pa.DataType) -> bool:
    """Return whether a text is a date or a time for a column of this type."""
    try:
        _moment(text, kind)
    except (pa.ArrowException, ValueError):
        return False
    return True


def compared(field: Any, kind: pa.DataType, sign: str, value: Value) -> Any:
    """Return the comparison of a column of this type with a value of its category."""
    if isinstance(value, Decimal) and not pa.types.is_floating(kind):
        return _on_grid(field, kind, sign, value)
    return COMPARE[sign](field, _scalar(value, kind))


def among(field: Any, kind: pa.DataType, values: Sequence[Value]) -> Any:
    """Return whether a column holds one of the values: as in SQL, neither true nor false where the
    column holds none.
    """
    scalars = [scalar for value in values for scalar in _equal(value, kind)]
    if not scalars:  # the column cannot hold any of them
        return compared(field, kind, "=", values[0])
    array = pa.array(scalars, scalars[0].type).unique()
    array = array.take(pc.array_sort_indices(array))
    size = -(-len(array) // MOST_RANGES)
    ranges = [
        field == array[k]
        if size == 1
        else (field >= array[k]) & (field <= array[min(k + size, len(array)) - 1])
        for k in range(0, len(array), size)
    ]
    within = balanced(operator.or_, ranges)
    if size == 1:
        return within
    # pyarrow's `is_in` is false for a missing value; a comparison makes it neither
    return within & (pc.is_in(field, value_set=array) | (field == array[0]))


def alike(
    left: Any, left_kind: pa.DataType, right: Any, right_kind: pa.DataType
) -> tuple[Any, Any]:
    """Return two columns in types that pyarrow can compare, whatever their numbers: it refuses
    whole numbers that a double would round, and those of uint64 that int64 cannot hold."""
    kinds = (left_kind, right_kind)
    if all(map(pa.types.is_integer, kinds)) and pa.uint64() in kinds and left_kind != right_kind:
        twenty = pa.decimal128(20)  # 2**64 has so many digits
        return left.cast(twenty), right.cast(twenty)
    if any(map(pa.types.is_floating, kinds)):
        whole = [pa.types.is_integer(kind) for kind in kinds]
        return (
            left.cast(pa.float64(), safe=False) if whole[0] else left,
            right.cast(pa.float64(), safe=False) if whole[1] else right,
        )
    return left, right


def _equal(value: Value, kind: pa.DataType) -> list[pa.Scalar]:
    """Return the values of a type that equal a value: none, one, or both zeros of a float."""
    if isinstance(value, Decimal) and not pa.types.is_floating(kind):
        step, low, high = _grid(kind)
        rounded = value.quantize(step, ROUND_FLOOR, _EXACT)
        return [_point(rounded, kind)] if rounded == value and low <= value <= high else []
    scalar = _scalar(value, kind)
    if not isinstance(value, Decimal):
        return [scalar]
    if scalar.as_py() == 0:  # `is_in` tells 0 from -0
        return [pa.scalar(0.0, scalar.type), pa.scalar(-0.0, scalar.type)]
    wide = pa.types.is_float64(scalar.type) and not pa.types.is_float64(kind)
    return [] if wide else [scalar]


def _on_grid(field: Any, kind: pa.DataType, sign: str, value: Decimal) -> Any:
    """Return a comparison with the multiple of the column's step that has the same answer."""
    step, low, high = _grid(kind)
    upward = sign in (">", ">=")
    bound = value.quantize(step, ROUND_CEILING if upward else ROUND_FLOOR, _EXACT)
    if sign in ("=", "==", "!=", "<>"):
        if bound != value or not low <= bound <= high:  # no value of the column equals it
            always = sign in ("!=", "<>")
            return field >= _point(low, kind) if always else field < _point(low, kind)
    elif bound != value:
        sign = ">=" if upward else "<="
    if bound < low:
        return field >= _point(low, kind) if upward else field < _point(low, kind)
    if bound > high:
        return field > _point(high, kind) if upward else field <= _point(high, kind)
    return COMPARE[sign](field, _point(bound, kind))


def _grid(kind: pa.DataType) -> tuple[Decimal, Decimal, Decimal]:
    """Return the step and the ends of the numbers that a column of this type can hold."""
    if pa.types.is_decimal(kind):
        step = Decimal(1).scaleb(-kind.scale, _EXACT)
        high = Decimal((0, (9,) * kind.precision, -kind.scale))
        return step, high.copy_negate(), high
    limits = np.iinfo(kind.to_pandas_dtype())
    return Decimal(1), Decimal(int(limits.min)), Decimal(int(limits.max))


def _point(value: Decimal, kind: pa.DataType) -> pa.Scalar:
    return pa.scalar(value if pa.types.is_decimal(kind) else int(value), kind)


def _scalar(value: Value, kind: pa.DataType) -> pa.Scalar:
    """Return a value in the column's own type, if that can hold it: 0.1 then equals what a float32
    column shows as 0.1, and statistics of row groups can be compared with it."""
    if isinstance(value, Decimal):
        number = float(value)
        narrow = not pa.types.is_float64(kind) and abs(number) <= _LARGEST_SINGLE
        return pa.scalar(number, pa.float32() if narrow else pa.float64())
    if isinstance(value, str) and category(kind) == "date":
        return _moment(value, kind)
    return pa.scalar(value, kind)


def _moment(text: str, kind: pa.DataType) -> pa.Scalar:
    """Return a date or a time; without a zone it is UTC if the column has one."""
    zoned = pa.types.is_timestamp(kind) and kind.tz is not None
    if zoned and not re.search(r"(Z|[-+]\d\d:?\d\d)$", text[10:]):
        return pa.scalar(text).cast(pa.timestamp(kind.unit)).cast(kind)
    return pa.scalar(text).cast(kind)
