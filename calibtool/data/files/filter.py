"""Conditions on rows: "day = '2026-11-01' and score > 0.2" as an expression of pyarrow's.

The grammar is the WHERE of SQL without its functions:

    condition   any of terms joined by `or`; a term is facts joined by `and`; `not` before either
    fact        a comparison, `x in (...)`, `x is null`, a column of true and false, or (condition)
    comparison  =, ==, !=, <>, <, <=, >, >= between a column and a value or another column
    value       12, -0.5, 1e-3, 'text', true, false; a date is text beside a column of dates

Names stand bare or in double quotes. As in SQL, a comparison with a missing value is neither true
nor false, and such a row is not kept.
"""

from __future__ import annotations

import functools
import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn

import pyarrow as pa
import pyarrow.compute as pc

from calibtool.errors import UsageError

# Most nested parentheses: the parser calls itself for each, and Python's stack is finite.
DEEPEST = 50
_TOKEN = re.compile(
    r"""\s*(?:
    (?P<text>'(?:[^']|'')*')
  | (?P<quoted>"(?:[^"]|"")+")
  | (?P<number>[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?(?![\w.]))
  | (?P<name>[^\W\d][\w.]*)
  | (?P<sign><=|>=|<>|!=|==|[=<>(),])
  )""",
    re.VERBOSE,
)
_WORDS = {"and", "or", "not", "in", "is", "null", "true", "false"}
_COMPARE: dict[str, Callable[[Any, Any], Any]] = {
    "=": operator.eq,
    "==": operator.eq,
    "!=": operator.ne,
    "<>": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
# the sign of a comparison whose sides have changed places
_MIRRORED = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}


@dataclass(frozen=True)
class Filter:
    """A condition on rows.

    Attributes:
        text: the condition as the user wrote it.
        expression: the condition for pyarrow.
        columns: the columns that the condition names, each once.
    """

    text: str
    expression: Any
    columns: tuple[str, ...]


def parse(text: str, schema: pa.Schema) -> Filter:
    """Parse a condition on the columns of `schema`.

    Raises UsageError that says where the text cannot be understood.

    >>> parse("p > 0.5 and not y", pa.schema({"p": pa.float64(), "y": pa.bool_()})).columns
    ('p', 'y')
    """
    parser = _Parser(text, schema)
    expression = parser.condition()
    if parser.next.kind != "end":
        parser.fail("expected `and`, `or` or the end")
    return Filter(text, expression, tuple(dict.fromkeys(parser.columns)))


@dataclass(frozen=True)
class _Token:
    kind: str  # text, number, name, word, sign, end
    value: Any
    at: int
    raw: str = ""


def _tokens(text: str) -> list[_Token]:
    """Split a text into tokens; the last one is "end", or "odd" or "unended" at an error."""
    tokens: list[_Token] = []
    at = 0
    end = len(text.rstrip())
    while at < end:
        match = _TOKEN.match(text, at)
        if match is None:
            rest = text[at:].lstrip()
            at = len(text) - len(rest)
            kind = "unended" if rest[:1] in ("'", '"') else "odd"
            return [*tokens, _Token(kind, rest[:1], at, rest[:1])]
        kind, raw = str(match.lastgroup), match[match.lastgroup or 0]
        tokens.append(_token(kind, raw, match.start(kind)))
        at = match.end()
    return [*tokens, _Token("end", None, end)]


def _token(kind: str, raw: str, at: int) -> _Token:
    if kind == "text":
        return _Token(kind, raw[1:-1].replace("''", "'"), at, raw)
    if kind == "quoted":
        return _Token("name", raw[1:-1].replace('""', '"'), at, raw)
    if kind == "number":
        integer = re.fullmatch(r"[-+]?\d+", raw)
        return _Token(kind, int(raw) if integer else float(raw), at, raw)
    if kind == "name" and raw.lower() in _WORDS:
        return _Token("word", raw.lower(), at, raw)
    return _Token(kind, raw, at, raw)


class _Parser:
    """A recursive-descent parser: one method for each rule of the grammar.

    Attributes:
        columns: the columns named so far.
    """

    def __init__(self, text: str, schema: pa.Schema) -> None:
        self.text = text
        self.schema = schema
        self.columns: list[str] = []
        self._tokens = _tokens(text)
        self._depth = 0

    @property
    def next(self) -> _Token:
        return self._tokens[0]

    def fail(self, what: str, token: _Token | None = None) -> NoReturn:
        """Raise UsageError that says what is wrong, and where."""
        token = token or self.next
        if token.kind == "unended":
            what = f"a quote {token.raw} is not closed"
        where = f"at {token.raw!r}, character {token.at + 1}" if token.raw else "at its end"
        known = ", ".join(f"{field.name} ({field.type})" for field in list(self.schema)[:12])
        more = ", ..." if len(self.schema) > 12 else ""
        raise UsageError(f"--filter {self.text!r}: {where}: {what}; the columns are {known}{more}")

    def _take(self) -> _Token:
        return self._tokens.pop(0) if len(self._tokens) > 1 else self._tokens[0]

    def _is(self, *values: str) -> bool:
        return self.next.kind in ("word", "sign") and self.next.value in values

    def _skip(self, value: str, why: str) -> None:
        if not self._is(value):
            self.fail(f"expected {value!r} {why}")
        self._take()

    # ------------------------------------------------------------------ the grammar

    def condition(self) -> Any:
        """Read terms joined by `or`; return the expression."""
        return self._joined("or", self._term, operator.or_)

    def _term(self) -> Any:
        return self._joined("and", self._fact, operator.and_)

    def _joined(self, word: str, read: Callable[[], Any], join: Callable[[Any, Any], Any]) -> Any:
        expressions = [read()]
        while self._is(word):
            self._take()
            expressions.append(read())
        return functools.reduce(join, expressions)

    def _fact(self) -> Any:
        negate = False
        while self._is("not"):
            self._take()
            negate = not negate
        fact = self._within() if self._is("(") else self._comparison()
        return ~fact if negate else fact

    def _within(self) -> Any:
        self._depth += 1
        if self._depth > DEEPEST:
            self.fail(f"more than {DEEPEST} nested parentheses")
        self._take()
        condition = self.condition()
        self._skip(")", "to close the parenthesis")
        self._depth -= 1
        return condition

    def _comparison(self) -> Any:
        left = self._operand()
        if left.kind == "name" and self._is("is"):
            return self._null(left)
        if left.kind == "name" and self._is("in", "not"):
            return self._among(left)
        if not self._is(*_COMPARE):
            if left.kind == "name" and pa.types.is_boolean(self._type(left)):
                return pc.field(left.value)
            self.fail("expected a comparison, such as `= 1`, `in (1, 2)` or `is null`")
        sign = self._take()
        right = self._operand()
        if left.kind != "name":
            left, right = right, left
            sign = _Token("sign", _MIRRORED.get(sign.value, sign.value), sign.at, sign.raw)
        if left.kind != "name":
            self.fail("one side of a comparison must be a column", left)
        return _COMPARE[sign.value](self._field(left), self._against(left, right))

    def _null(self, column: _Token) -> Any:
        self._take()
        negate = self._is("not")
        if negate:
            self._take()
        self._skip("null", "after `is`")
        return pc.field(column.value).is_valid() if negate else pc.field(column.value).is_null()

    def _among(self, column: _Token) -> Any:
        negate = self._take().value == "not"
        if negate:
            self._skip("in", "after `not`")
        self._skip("(", "after `in`")
        values = [self._against(column, self._operand())]
        while self._is(","):
            self._take()
            values.append(self._against(column, self._operand()))
        self._skip(")", "to close the list")
        # One comparison per value, not `isin`: a missing value is then neither in the list nor out
        # of it, as in SQL.
        among = functools.reduce(operator.or_, [self._field(column) == value for value in values])
        return ~among if negate else among

    def _operand(self) -> _Token:
        token = self.next
        if token.kind == "name":
            self._take()
            if self.schema.get_field_index(token.value) < 0:
                self.fail(f"there is no column {token.value!r}", token)
            self.columns.append(token.value)
            return token
        if token.kind in ("text", "number"):
            return self._take()
        if self._is("true", "false"):
            self._take()
            return _Token("flag", token.value == "true", token.at, token.raw)
        if self._is("null"):
            self.fail("nothing equals null; write `is null`")
        return self.fail("expected a column or a value")

    # ------------------------------------------------------------------ types

    def _type(self, column: _Token) -> pa.DataType:
        kind = self.schema.field(column.value).type
        return kind.value_type if pa.types.is_dictionary(kind) else kind

    def _field(self, column: _Token) -> Any:
        half = pa.types.is_float16(self._type(column))  # pyarrow cannot compare these
        return pc.field(column.value).cast(pa.float32()) if half else pc.field(column.value)

    def _against(self, column: _Token, value: _Token) -> Any:
        """Return a value, or another column, for a comparison with `column`."""
        kind = self._type(column)
        category = _category(kind)
        if category is None:
            self.fail(f"{column.value!r} is {kind}, which conditions cannot compare", column)
        if value.kind == "name":
            if _category(self._type(value)) != category:
                other = self._type(value)
                self.fail(f"{column.value!r} is {kind}, {value.value!r} is {other}", value)
            return self._field(value)
        fits = {"number": "number", "text": "text", "date": "text", "flag": "flag"}[category]
        if value.kind != fits:
            wanted = {"text": "text in single quotes", "flag": "true or false"}.get(
                fits, "a number"
            )
            wanted = "a date in single quotes" if category == "date" else wanted
            self.fail(f"{column.value!r} is {kind} and is compared with {wanted}", value)
        if category == "date":
            try:
                return _moment(value.value, kind)
            except (pa.ArrowException, ValueError):
                self.fail(
                    f"{value.value!r} is not a date for {column.value!r}, which is {kind}", value
                )
        return _scalar(value.value, kind)


def _category(kind: pa.DataType) -> str | None:
    """Return "flag", "number", "text" or "date" for a type that can be compared, else None."""
    if pa.types.is_boolean(kind):
        return "flag"
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return "number"
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or str(kind) == "string_view":
        return "text"
    if pa.types.is_date(kind) or pa.types.is_timestamp(kind):
        return "date"
    return None


def _scalar(value: Any, kind: pa.DataType) -> pa.Scalar:
    """Return a value in the column's own type, if that can hold it: 0.1 then equals what a float32
    column shows as 0.1, and statistics of row groups can be compared with it."""
    if pa.types.is_float16(kind):
        return pa.scalar(value, pa.float32())
    if pa.types.is_decimal(kind) or (isinstance(value, float) and pa.types.is_integer(kind)):
        return pa.scalar(value)
    try:
        return pa.scalar(value, kind)
    except (pa.ArrowException, OverflowError):
        return pa.scalar(value if abs(value) < 1 << 63 else float(value))


def _moment(text: str, kind: pa.DataType) -> pa.Scalar:
    """Return a date or a time; without a zone it is UTC if the column has one."""
    zoned = pa.types.is_timestamp(kind) and kind.tz is not None
    if zoned and not re.search(r"(Z|[-+]\d\d:?\d\d)$", text[10:]):
        return pa.scalar(text).cast(pa.timestamp(kind.unit)).cast(kind)
    return pa.scalar(text).cast(kind)
