"""Answers of decision models: a distribution over options, whichever way it is written.

A yes/no answer is one probability; a choice has one per option; a score has one per level. OpenAI
lists `{value, probability}`, all others map an option to its probability.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from calibtool.errors import echo

YES_NO = ("noul", "predicate")
CHOICE = "choice"
SCORE = "score"
REFUSAL = "refusal"
_OPTIONS = ("choices", "levels", "criteria", "options")  # keys of a question's options
# reasons for leaving an answer out
REFUSED = "refusals"
MISSING_ANSWER = "missing answers"
NO_CLASSES = "answers that are no classification"
NO_PROBABILITIES = "answers without probabilities"
_ABOUT_ONE = 2e-4  # four decimals of up to four options: sums of 0.9998 to 1.0002 are published
_FLOAT = 1e-9  # the error of summing up to 255 doubles, generously
_LONGEST_LEVEL = 9  # digits: an ordered rubric has 2 to 10 levels
_ROUNDED = (3, 4)  # decimals to which services round


class DamagedAnswerError(ValueError):
    """An answer or a label is not as expected; the message says how, the reader says where."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A question as it was asked.

    Attributes:
        name: its name; None if it has none.
        options: the keys of its options in their order; () if they are not known.
        texts: the text of each option or level, "" for none.
    """

    name: str | None = None
    options: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """A distribution over options.

    Attributes:
        type: of the question, as the log calls it.
        keys: what tells the options apart (`key_of`); levels are whole numbers as text.
        names: what the options are called.
        probs: their probabilities, of sum 1.
        typed: whether the log tells true from "true"; keys of a JSON object are texts.
    """

    type: str
    keys: tuple[str, ...]
    names: tuple[str, ...]
    probs: tuple[float, ...]
    typed: bool = False

    def ordered(self, keys: tuple[str, ...]) -> Answer:
        """Return the same answer with its options in the order of `keys`."""
        if keys == self.keys:
            return self
        place = {key: i for i, key in enumerate(self.keys)}
        order = [place[key] for key in keys]
        names = tuple(self.names[i] for i in order)
        return replace(self, keys=keys, names=names, probs=tuple(self.probs[i] for i in order))

    @property
    def top(self) -> int:
        """The index of the largest probability, the first of equal ones."""
        return max(range(len(self.probs)), key=self.probs.__getitem__)


def key_of(value: Any) -> str:
    """Return a key that tells options apart by value and type.

    >>> key_of("true"), key_of(True), key_of(2)
    ('=true', 'true', '2')
    """
    if isinstance(value, str):
        return f"={value}"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int) or (isinstance(value, float) and value.is_integer()):
        return str(int(value))
    raise DamagedAnswerError(f"an option must be a text, true or false (got {echo(value)})")


def value_of(key: str) -> str | bool | int:
    """Return the value of an option by its key."""
    if key.startswith("="):
        return key[1:]
    return key == "true" if key in ("true", "false") else int(key)


def level_of(value: Any) -> str | None:
    """Return the key of a level, a whole number or its text; None for anything else.

    >>> level_of("3"), level_of(3.0), level_of(True), level_of("good")
    ('3', '3', None, None)
    """
    if isinstance(value, str):
        short = len(value) <= _LONGEST_LEVEL and value.isascii() and value.isdigit()
        return str(int(value)) if short else None
    if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
        return None
    return str(int(value)) if isinstance(value, int) or value.is_integer() else None


def number(value: Any, what: str, of: Any = None) -> float:
    """Return a finite number. Raises DamagedAnswerError, which says what, of what, it should be."""
    result = math.nan
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            result = float(value)
        except OverflowError:  # an integer of more than 308 digits
            result = math.inf
    if not math.isfinite(result):
        whose = what if of is None else f"{what} of {echo(of)}"
        raise DamagedAnswerError(f"{whose} must be a finite number (got {echo(value)})")
    return result


def is_answer(value: Any) -> bool:
    """Return whether this is an answer of a decision model, by its keys."""
    if not isinstance(value, dict):
        return False
    kind = _kind(value)
    if kind in YES_NO:
        return any(key in value for key in ("noul", "probability", "probabilities"))
    if kind in (CHOICE, SCORE):
        return "probabilities" in value or ("confidence" in value and kind in value)
    return kind == REFUSAL


def parse(answer: Any, asked: Asked, *, renormalize: bool = False) -> Answer | str:
    """Return an answer, or the reason for leaving it out. Raises DamagedAnswerError."""
    if answer is None:
        return MISSING_ANSWER
    if not isinstance(answer, dict):
        raise DamagedAnswerError(f"an answer must be an object (got {echo(answer)})")
    kind = _kind(answer)
    if kind == REFUSAL or answer.get("refusal"):
        return REFUSED
    if kind in YES_NO:
        return _yes_no(kind, answer)
    if kind not in (CHOICE, SCORE):
        return NO_CLASSES
    written = answer.get("probabilities")
    if written is None or written in ({}, []):
        return NO_PROBABILITIES
    keys, names, values = _listed(written, levels=kind == SCORE)
    probs = normalised(values, renormalize=renormalize)
    found = Answer(kind, keys, names, probs, typed=isinstance(written, list))
    if kind == SCORE:
        return _by_level(found, answer.get("legend"), asked)
    return _all_options(found, asked) if set(keys) <= set(asked.options) else found


def normalised(values: Sequence[float], *, renormalize: bool = False) -> tuple[float, ...]:
    """Return probabilities divided by their sum, which is 1 but for their rounding.

    Raises DamagedAnswerError for any other sum, unless `renormalize`.
    """
    try:
        total = math.fsum(values)
    except OverflowError:
        total = math.inf
    rounding = next(
        (0.5 * 10**-digits for digits in _ROUNDED if all(p == round(p, digits) for p in values)),
        0.0,
    )
    off = abs(total - 1) > max(_ABOUT_ONE, rounding * len(values)) + _FLOAT
    if min(values) < 0 or not 0 < total < math.inf or (off and not renormalize):
        raise DamagedAnswerError(
            f"the probabilities must be at least 0 and sum to 1 (their sum is {total:.6g}, the "
            f"smallest is {min(values):.6g}); --renormalize accepts any sum"
        )
    return tuple(value / total for value in values)


def asked_of(question: Any) -> Asked:
    """Return what is known of a question from the request.

    >>> asked_of({"name": "team", "choices": [{"value": "a"}, {"value": True}]})
    Asked(name='team', options=('=a', 'true'), texts=('a', 'true'))
    >>> asked_of({"criteria": ["calm", "angry"]}).texts
    ('calm', 'angry')
    """
    if not isinstance(question, dict):
        return Asked()
    name = question.get("name")
    name = name if isinstance(name, str) else None
    listed = next(
        (
            question[key]
            for key in ("choices", "levels", "criteria", "options")
            if question.get(key)
        ),
        None,
    )
    if isinstance(listed, dict):
        levels = {level_of(key): value for key, value in listed.items()}
        if question.get("type") == SCORE and None not in levels:
            ordered = sorted(levels, key=int)  # type: ignore[arg-type]
            return Asked(name, (), tuple(_text(levels[key]) for key in ordered))
        listed = list(listed)
    if not isinstance(listed, list):
        return Asked(name)
    values = [_value(item) for item in listed]
    if not all(isinstance(value, str | int) for value in values):  # a bool is an int
        return Asked(name)
    keys = tuple(map(key_of, values))
    return Asked(name, keys if len(set(keys)) == len(keys) else (), tuple(map(_text, values)))


def _value(item: Any) -> Any:
    """Return the value, or the label, of an option or level of a request."""
    if not isinstance(item, dict):
        return item
    return next((item[key] for key in ("value", "label", "name") if key in item), None)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)


def _kind(answer: Mapping[str, Any]) -> str:
    """Return the type of an answer, as it is written or, if it is not, by its keys."""
    kind = answer.get("type")
    if kind is None:
        kind = next((key for key in ("noul", CHOICE, SCORE) if key in answer), None)
    return kind if isinstance(kind, str) else ""


def _yes_no(kind: str, answer: Mapping[str, Any]) -> Answer | str:
    """Return a yes/no answer, whose second option is true."""
    value = next((answer[key] for key in ("noul", "probability") if key in answer), None)
    if value is None and isinstance(answer.get("probabilities"), dict):
        value = answer["probabilities"].get("true")
    if value is None:
        return NO_PROBABILITIES
    p = number(value, "P(true)")
    if not 0 <= p <= 1:
        raise DamagedAnswerError(f"P(true) must be between 0 and 1 (got {p:.6g})")
    return Answer(kind, ("false", "true"), ("false", "true"), (1 - p, p))


def _listed(
    written: Any, *, levels: bool
) -> tuple[tuple[str, ...], tuple[str, ...], tuple[float, ...]]:
    """Return the key, name and probability of each option that an answer lists."""
    if isinstance(written, dict):
        items = [(value, "", p) for value, p in written.items()]
    elif isinstance(written, list) and all(
        isinstance(item, dict) and "value" in item and "probability" in item for item in written
    ):
        items = [(item["value"], _text(item.get("label")), item["probability"]) for item in written]
    else:
        raise DamagedAnswerError(
            "probabilities must be an object, or a list of objects with `value` and `probability`"
        )
    keys, names, values = [], [], []
    for value, text, p in items:
        level = level_of(value) if levels else None
        keys.append(level or key_of(value))
        names.append(text or _text(value))
        values.append(number(p, "the probability", value))
    if len(set(keys)) < len(keys):
        raise DamagedAnswerError(
            f"an option is listed twice: {', '.join(echo(name) for name in names)}"
        )
    return tuple(keys), tuple(names), tuple(values)


def _by_level(answer: Answer, legend: Any, asked: Asked) -> Answer:
    """Return a score's answer in the order of its levels, called by their texts."""
    if any(level_of(key) is None for key in answer.keys):
        return answer
    keys = tuple(sorted(answer.keys, key=int))
    texts = legend if isinstance(legend, dict) else {}
    ordered = answer.ordered(keys)
    names = []
    for key, name in zip(keys, ordered.names, strict=True):
        level = int(key)
        text = asked.texts[level] if level < len(asked.texts) else ""
        said = name if name != key else ""
        names.append(said or _text(texts.get(key)) or text or key)
    return replace(ordered, names=tuple(names))


def _all_options(answer: Answer, asked: Asked) -> Answer:
    """Return a choice's answer over all options that were asked for, in their order.

    An option that the answer does not list has probability 0: the listed ones sum to 1.
    """
    known = dict(zip(answer.keys, answer.probs, strict=True))
    probs = tuple(known.get(key, 0.0) for key in asked.options)
    return replace(answer, keys=asked.options, names=asked.texts, probs=probs)
