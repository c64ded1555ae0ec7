"""Conditions on rows: "day = '2026-11-01' and score > 0.2" as an expression of pyarrow's.

The grammar is the WHERE of SQL without its functions:

    condition   any of terms joined by `or`; a term is facts joined by `and`; `not` before either
    fact        a comparison, `x in (...)`, `x is null`, a column of true and false, or (condition)
    comparison  =, ==, !=, <>, <, <=, >, >= between a column and a value or another column
    value       12, -0.5, 1e-3, 'text', true, false; a date is text beside a column of dates

Names stand bare or in double quotes. As in SQL, a comparison with a missing value is neither true
nor false, and such a row is not kept.

A condition has at most MOST_COMPARISONS comparisons, MOST_CHARACTERS characters and DEEPEST nested
parentheses. A list in parentheses is one comparison, however long.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, NoReturn

import pyarrow as pa
import pyarrow.compute as pc

from calibtool.data.files.literals import (
    COMPARE,
    Value,
    alike,
    among,
    balanced,
    category,
    compared,
    is_moment,
)
from calibtool.errors import UsageError, echo

# Most nested parentheses: the parser calls itself for each, and Python's stack is finite.
DEEPEST = 50
# Most comparisons: each is a pass over the rows, and pyarrow holds every one against the statistics
# of each row group (0.1 s for 1,000 of them); near 10,000 it overflows its stack.
MOST_COMPARISONS = 1000
# Longest condition: a list of 100,000 numbers. One argument of a command has at most 131,072
# characters on Linux.
MOST_CHARACTERS = 1_000_000
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

    def kept(self, batch: pa.RecordBatch, shown: str) -> pa.RecordBatch:
        """Return the rows of a batch that meet the condition; `shown` names its file in messages.

        Raises UsageError where two columns hold numbers that no common type holds.
        """
        try:
            return batch.filter(self.expression)
        except pa.ArrowException as error:
            raise UsageError(f"{shown}: --filter {echo(self.text)}: {error}") from error


def parse(text: str, schema: pa.Schema, source: str = "") -> Filter:
    """Parse a condition on the columns of `schema`, those of `source`.

    Raises UsageError that says where the text cannot be understood.

    >>> parse("p > 0.5 and not y", pa.schema({"p": pa.float64(), "y": pa.bool_()})).columns
    ('p', 'y')
    """
    if len(text) > MOST_CHARACTERS:
        raise UsageError(
            f"{source}: --filter {echo(text)}: {len(text):,} characters; at most "
            f"{MOST_CHARACTERS:,} are read"
        )
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise UsageError(f"{source}: --filter {echo(text)}: is not valid UTF-8") from error
    parser = _Parser(text, schema, source)
    expression = parser.condition()
    if parser.next.kind != "end":
        parser.fail("expected `and`, `or` or the end")
    condition = Filter(text, expression, tuple(dict.fromkeys(parser.columns)))
    named = pa.schema([schema.field(name) for name in condition.columns])
    condition.kept(pa.RecordBatch.from_pylist([], named), source)  # types that do not go together
    return condition


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
        return _Token(kind, raw, at, raw)
    if kind == "name" and raw.lower() in _WORDS:
        return _Token("word", raw.lower(), at, raw)
    return _Token(kind, raw, at, raw)


class _Parser:
    """A recursive-descent parser: one method for each rule of the grammar.

    Attributes:
        columns: the columns named so far.
    """

    def __init__(self, text: str, schema: pa.Schema, source: str) -> None:
        self.text = text
        self.schema = schema
        self.source = source
        self.columns: list[str] = []
        self._tokens = _tokens(text)
        self._at = 0
        self._depth = 0
        self._comparisons = 0

    @property
    def next(self) -> _Token:
        return self._tokens[self._at]

    def fail(self, what: str, token: _Token | None = None) -> NoReturn:
        """Raise UsageError that says what is wrong, and where."""
        token = token or self.next
        if token.kind == "unended":
            what = f"a quote {token.raw} is not closed"
        where = f"at {echo(token.raw)}, character {token.at + 1}" if token.raw else "at its end"
        shown = [(echo(f.name)[1:-1], echo(str(f.type))[1:-1]) for f in list(self.schema)[:12]]
        known = ", ".join(f"{name} ({kind})" for name, kind in shown)
        more = ", ..." if len(self.schema) > 12 else ""
        file = f"{self.source}: " if self.source else ""
        raise UsageError(
            f"{file}--filter {echo(self.text)}: {where}: {what}; the columns are {known}{more}"
        )

    def _take(self) -> _Token:
        token = self.next
        self._at = min(self._at + 1, len(self._tokens) - 1)
        return token

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
        return balanced(join, expressions)

    def _fact(self) -> Any:
        negate = False
        while self._is("not"):
            self._take()
            negate = not negate
        fact = self._within() if self._is("(") else self._counted()
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

    def _counted(self) -> Any:
        self._comparisons += 1
        if self._comparisons > MOST_COMPARISONS:
            self.fail(f"more than {MOST_COMPARISONS:,} comparisons; write `in (...)` for a list")
        return self._comparison()

    def _comparison(self) -> Any:
        left = self._operand()
        if left.kind == "name" and self._is("is"):
            return self._null(left)
        if left.kind == "name" and self._is("in", "not"):
            return self._among(left)
        if not self._is(*COMPARE):
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
        if right.kind != "name":
            return self._compared(left, sign.value, right)
        return COMPARE[sign.value](*self._columns(left, right))

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
        listed = [self._operand()]
        while self._is(","):
            self._take()
            listed.append(self._operand())
        self._skip(")", "to close the list")
        columns = [token for token in listed if token.kind == "name"]
        values = [token for token in listed if token.kind != "name"]
        self._comparisons += len(columns)
        parts = [operator.eq(*self._columns(column, other)) for other in columns]
        if values:
            literal = [self._value(column, token) for token in values]
            parts.append(among(self._field(column), self._type(column), literal))
        found = balanced(operator.or_, parts)
        return ~found if negate else found

    def _operand(self) -> _Token:
        token = self.next
        if token.kind == "name":
            self._take()
            if self.schema.get_field_index(token.value) < 0:
                self.fail(f"there is no column {echo(token.value)}", token)
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

    def _compared(self, column: _Token, sign: str, value: _Token) -> Any:
        literal = self._value(column, value)
        return compared(self._field(column), self._type(column), sign, literal)

    def _category(self, column: _Token) -> str:
        """Return the category of a column; fail if it has none."""
        kind = self._type(column)
        found = category(kind)
        if found is None:
            shown = echo(str(kind))[1:-1]
            self.fail(f"{echo(column.value)} is {shown}, which conditions cannot compare", column)
        return found

    def _columns(self, left: _Token, right: _Token) -> tuple[Any, Any]:
        """Return two columns for a comparison with each other."""
        kinds = self._type(left), self._type(right)
        if self._category(left) != self._category(right):
            names = echo(left.value), echo(right.value)
            self.fail(f"{names[0]} is {kinds[0]}, {names[1]} is {kinds[1]}", right)
        return alike(self._field(left), kinds[0], self._field(right), kinds[1])

    def _value(self, column: _Token, value: _Token) -> Value:
        """Return a value for a comparison with `column`."""
        kind = self._type(column)
        found = self._category(column)
        fits = {"number": "number", "text": "text", "date": "text", "flag": "flag"}[found]
        left = f"{echo(column.value)} is {kind}"
        if value.kind != fits:
            wanted = {"text": "text in single quotes", "flag": "true or false"}.get(
                fits, "a number"
            )
            wanted = "a date in single quotes" if found == "date" else wanted
            self.fail(f"{left} and is compared with {wanted}", value)
        if found == "number":
            return self._number(value)
        if found == "date" and not is_moment(value.value, kind):
            day = echo(value.value)
            self.fail(f"{day} is not a date for {echo(column.value)}, which is {kind}", value)
        return value.value

    def _number(self, token: _Token) -> Decimal:
        """Return the exact value of a number; fail if a double would make it infinite or 0."""
        size = abs(float(token.value))
        zero = not re.search("[1-9]", re.split("[eE]", token.value)[0])
        if size == math.inf or (size == 0 and not zero):
            self.fail("numbers are 0 or between 5e-324 and 1.8e308 in size", token)
        return Decimal(0) if zero else Decimal(token.value)
