"""Answers of a language model by its tokens: the probability of each option, from logprobs.

A model that answers "B" gives the probability of every token that could have stood there. Those
of an option, with and without a space before it, are summed; what falls on other tokens is left
out, and the rest is divided by its sum, the option mass.
"""

from __future__ import annotations

import math
import sys
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import compress
from typing import Any

import numpy as np

from calibtool.errors import CalibtoolError, UsageError, brief
from calibtool.formatting import counted

# What stands for a space at the beginning of a token: itself, and how the vocabularies of
# SentencePiece and of byte-level BPE write it
_SPACES = ("\u2581", "\u0120", " ")
# a logarithm of a probability, printed with six digits, can be above 0 by its rounding
_ROUNDING = 1e-6
_SEEN = 12  # tokens that a message lists: enough for ten letters or digits

Fail = Callable[[str], CalibtoolError]  # the error of a record, to be raised


@dataclass(frozen=True)
class Token:
    """A token that was emitted, and those that could have been.

    Attributes:
        text, logprob: of the token.
        top: logprobs by token; empty if none were asked for.
    """

    text: str
    logprob: float
    top: Mapping[str, float]


@dataclass(frozen=True)
class Answer:
    """The options' probabilities where the answer stands.

    Attributes:
        probs: one per option; their sum is 1.
        mass: what they summed to before.
        emitted: the token's text without its space.
        probability: of the emitted token alone.
        position: of the token among all.
    """

    probs: list[float]
    mass: float
    emitted: str
    probability: float
    position: int


def bare(token: str) -> str:
    """Return a token without the space before it.

    >>> bare(" A"), bare("\u2581A"), bare("A."), bare("\u2581")
    ('A', 'A', 'A.', '')
    """
    for space in _SPACES:
        if token.startswith(space):
            return token[len(space) :]
    return token


def require_options(options: Sequence[str]) -> tuple[str, ...]:
    """Return the options without spaces around them. Raises UsageError if they are not two."""
    cleaned = tuple(option.strip() for option in options)
    if len(cleaned) < 2 or not all(cleaned) or len(set(cleaned)) < len(cleaned):
        raise UsageError(
            f"--options: expected two different answers or more, such as A,B,C,D "
            f"(got {brief(','.join(options))!r})"
        )
    return cleaned


def suggestion(seen: Iterable[str], labels: Iterable[str]) -> str:
    """Return the option to pass for these emitted tokens: their labels, else they themselves."""
    counted = Counter(seen)
    tokens = [token for token, _ in counted.most_common(_SEEN)]
    known = sorted(set(labels))
    answers = known if 2 <= len(known) <= _SEEN else sorted(t for t in tokens if t.isalnum())
    example = ",".join(answers) if len(answers) > 1 else "A,B,C,D"
    listed = ", ".join(brief(token) for token in tokens) or "none"
    return f"pass --options {example} (the answers begin with the tokens {listed})"


def require_whole(texts: Sequence[str], options: Sequence[str], fail: Fail) -> None:
    """Check that the answer is no option that is spread over several tokens: what stands at one of
    them is no probability of that option, and the other options would share it."""
    first = bare(texts[0])
    whole = first + "".join(texts[1 : 1 + max(map(len, options), default=0)])
    for option in options:
        if len(first) < len(option) and option.startswith(first) and whole.startswith(option):
            raise fail(
                f"the option {brief(option)!r} is an answer of several tokens, of which "
                f"{brief(first)!r} is the first: its probability cannot be read from one token; "
                "let the model answer with letters, such as A,B,C,D"
            )


def first_option(texts: Sequence[str], options: Sequence[str]) -> int | None:
    """Return where an answer stands: the first token if it is an option, else the last that is.

    An answer can be a letter and more ("B. The cat"), or end with one ("The answer is B").
    """
    hits = [i for i, text in enumerate(texts) if bare(text) in options]
    if not hits:
        return None
    return 0 if hits[0] == 0 else hits[-1]


def last_option(texts: Sequence[str], options: Sequence[str]) -> int | None:
    """Return the position of the last token that is an option; None if none is."""
    return next((i for i in range(len(texts) - 1, -1, -1) if bare(texts[i]) in options), None)


def chat_texts(content: Any, fail: Fail) -> list[str]:
    """Return the tokens of `logprobs.content`, checked."""
    if not isinstance(content, list):
        raise fail("logprobs.content is no list")
    texts = []
    for entry in content:
        text = entry.get("token") if isinstance(entry, Mapping) else None
        if not isinstance(text, str):
            raise fail("an entry of logprobs.content has no token")
        texts.append(text)
    return texts


def chat_token(entry: Mapping[str, Any], fail: Fail) -> Token:
    """Return an entry of `logprobs.content`, whose token is a text."""
    listed = entry.get("top_logprobs") or []
    if not isinstance(listed, list):
        raise fail("top_logprobs is no list")
    top: dict[str, float] = {}
    for other in listed:
        text = other.get("token") if isinstance(other, Mapping) else None
        if not isinstance(text, str):
            raise fail("an entry of top_logprobs has no token")
        _put(top, text, _logprob(other.get("logprob"), fail))
    return Token(entry["token"], _logprob(entry.get("logprob"), fail), top)


def completion_token(logprobs: Mapping[str, Any], position: int, fail: Fail) -> Token:
    """Return a token of the lists `tokens`, `token_logprobs` and `top_logprobs`."""
    values, listed = logprobs.get("token_logprobs"), logprobs.get("top_logprobs")
    if not isinstance(values, list) or position >= len(values):
        raise fail("token_logprobs is not as long as tokens")
    if listed is not None and (not isinstance(listed, list) or position >= len(listed)):
        raise fail("top_logprobs is not as long as tokens")
    others = (listed[position] if listed is not None else None) or {}
    if not isinstance(others, Mapping):
        raise fail("an entry of top_logprobs is no object of logprobs by token")
    top = {text: _logprob(value, fail) for text, value in others.items()}
    return Token(logprobs["tokens"][position], _logprob(values[position], fail), top)


def _put(top: dict[str, float], text: str, logprob: float) -> None:
    """Add a token; one that is listed twice counts once."""
    top[text] = max(logprob, top.get(text, -math.inf))


def _logprob(value: Any, fail: Fail) -> float:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    # whole numbers of Python's have any length; NaN is not at most anything
    if not number or not value <= _ROUNDING or -math.inf < value < -sys.float_info.max:
        raise fail(f"{brief(repr(value))} is no logprob, which is a number up to 0")
    return float(value)


def read(token: Token, position: int, options: Sequence[str]) -> Answer | None:
    """Return the options' probabilities at a token; None if none of them is listed there."""
    top = dict(token.top)
    _put(top, token.text, token.logprob)  # the emitted token may be below those that are listed
    parts: list[list[float]] = [[] for _ in options]
    index = {option: k for k, option in enumerate(options)}
    for text, logprob in top.items():
        if bare(text) in index:
            parts[index[bare(text)]].append(logprob)
    highest = max((value for part in parts for value in part), default=-math.inf)
    if highest == -math.inf:
        return None
    # relative to the highest: exp of logprobs below -745 is 0
    sums = [math.fsum(math.exp(value - highest) for value in part) for part in parts]
    total = math.fsum(sums)
    return Answer(
        [value / total for value in sums],
        total * math.exp(highest),
        bare(token.text),
        math.exp(token.logprob),
        position,
    )


def label_of(value: Any, options: Sequence[str], fail: Fail) -> int | None:
    """Return the position of a label among the options; None for a missing one."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, list) and len(value) == 1:
        return label_of(value[0], options, fail)
    text = bare(value).strip() if isinstance(value, str) else str(value)
    if not text:
        return None
    if text not in options:
        raise fail(f"the label {brief(repr(value))} is none of the options {', '.join(options)}")
    return options.index(text)


class Answers:
    """Answers gathered row by row: the columns that they make, and what has to be said of them.

    Rows are kept as numbers: a log can hold millions.
    """

    def __init__(self, options: Sequence[str]) -> None:
        self.options = tuple(options)
        self._probs = array("d")
        self._masses = array("d")
        self._probabilities = array("d")
        self._later = array("b")
        self._emitted: list[str] = []
        self._labels: list[int | None] = []

    def add(self, answer: Answer, label: int | None) -> None:
        """Add a row; None for a label that is not known."""
        self._probs.extend(answer.probs)
        self._masses.append(answer.mass)
        self._probabilities.append(answer.probability)
        self._later.append(answer.position > 0)
        self._emitted.append(sys.intern(answer.emitted))
        self._labels.append(label)

    def labelled(self) -> list[bool]:
        """Return for each row whether its label is known; True throughout if none is."""
        known = [label is not None for label in self._labels]
        return known if any(known) else [True] * len(known)

    def columns(self, keep: Sequence[bool]) -> dict[str, Any]:
        """Return probs and labels of the rows to keep, and the token that was emitted.

        `emitted.probability` is its own, `emitted.share` the probability of its option (None
        for a token that is none), `emitted.correct` whether it is the label.
        """
        index = {option: k for k, option in enumerate(self.options)}
        probs = np.array(self._probs).reshape(len(keep), len(self.options))
        told = [index.get(token) for token in self._emitted]
        share = [None if k is None else row[k] for k, row in zip(told, probs.tolist(), strict=True)]
        known = zip(told, self._labels, strict=True)
        correct = [None if label is None else k == label for k, label in known]
        rest: dict[str, Sequence[Any]] = {
            "labels": self._labels,
            "option_mass": self._masses,
            "emitted.token": self._emitted,
            "emitted.probability": self._probabilities,
            "emitted.share": share,
            "emitted.correct": correct,
        }
        columns: dict[str, Any] = {"probs": probs[np.array(keep, bool)]}
        return columns | {name: list(compress(values, keep)) for name, values in rest.items()}

    def notes(self, keep: Sequence[bool]) -> list[str]:
        """Return what has to be said of the rows to keep, of which there is at least one."""
        masses = list(compress(self._masses, keep))
        mean = math.fsum(masses) / len(masses)
        text = f"divided by their sum, the option mass (mean {mean:.3f}, least {min(masses):.3f})"
        width = len(self.options)
        right = enumerate(self._labels)
        missing = sum(y is not None and self._probs[i * width + y] == 0 for i, y in right)
        later = sum(compress(self._later, keep))
        emitted = compress(self._emitted, keep)
        foreign = sum(token not in self.options for token in emitted)
        said = {
            "the right answer is not among the tokens that are listed, so that its probability is "
            "0 and nll is infinite; ask the model for more top_logprobs": missing,
            "the option is not the first token of the answer": later,
            "the emitted token is none of the options": foreign,
        }
        more = [f"{counted(n, 'row')}: {reason}" for reason, n in said.items() if n]
        return [f"probabilities of {', '.join(self.options)}: {text}", *more]
