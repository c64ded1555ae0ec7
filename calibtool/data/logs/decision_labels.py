"""Labels of decisions: which option was right, whichever way that is written."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from calibtool.data.logs.decision_answers import (
    REFUSAL,
    SCORE,
    YES_NO,
    Answer,
    Asked,
    DamagedAnswerError,
    key_of,
    level_of,
    number,
    parse,
    value_of,
)
from calibtool.errors import echo

_WORDS = {"true": 1, "yes": 1, "1": 1, "false": 0, "no": 0, "0": 0}  # of yes/no questions
_ANSWERED = ("choice", "score", "noul", "probability")  # keys of what was answered
_MOST_LISTED = 8  # options that a message names


def right_option(label: Any, answer: Answer) -> int | None:
    """Return the index of the option that a label names; None if it names none.

    Raises DamagedAnswerError for a label that is none of the options.

    >>> team = Answer("choice", ("=a", "=b"), ("a", "b"), (0.9, 0.1))
    >>> right_option("b", team), right_option({"a": 0.2, "b": 0.8}, team), right_option(None, team)
    (1, 1, None)
    """
    if label is None or (label == "" and key_of("") not in answer.keys):
        return None
    if isinstance(label, float) and math.isnan(label):
        return None
    if isinstance(label, dict):
        return _of_object(label, answer)
    if isinstance(label, list):
        return _of_list(label, answer)
    if answer.type in YES_NO:
        found = _yes_no(label)
    elif answer.type == SCORE:
        found = _level(label, answer)
    else:
        found = _option(label, answer)
    if found is None:
        names = ", ".join(map(echo, answer.names[:_MOST_LISTED]))
        more = ", ..." if len(answer.names) > _MOST_LISTED else ""
        shown = echo(label) if isinstance(label, str) else str(label).lower()
        raise DamagedAnswerError(f"the label {shown} is none of the options {names}{more}")
    return found


def _yes_no(label: Any) -> int | None:
    if isinstance(label, str):
        return _WORDS.get(label.strip().lower())
    p = number(int(label) if isinstance(label, bool) else label, "a label")
    return int(p > 0.5) if 0 <= p <= 1 else None  # a share of true: the larger part, false on ties


def _level(label: Any, answer: Answer) -> int | None:
    """Return the level that a number or a text names: a level's text before its number."""
    if isinstance(label, str):
        hits = [i for i, name in enumerate(answer.names) if name == label]
        hits = hits or [i for i, name in enumerate(answer.names) if name.strip() == label.strip()]
        if len(hits) > 1:
            raise DamagedAnswerError(f"the label {echo(label)} is the text of several levels")
        if hits:
            return hits[0]
    return _index(answer, level_of(label))


def _option(label: Any, answer: Answer) -> int | None:
    """Return the option of a choice that a value names.

    A boolean is not its text where the log tells the two apart; elsewhere all options are texts.
    """
    key = level_of(label) if isinstance(label, float) else key_of(label)
    found = _index(answer, key)
    if found is None and key is not None and not (answer.typed and isinstance(label, bool)):
        found = _index(answer, f"={key}")
    return found


def _index(answer: Answer, key: str | None) -> int | None:
    return answer.keys.index(key) if key in answer.keys else None


def _of_object(label: Mapping[str, Any], answer: Answer) -> int | None:
    """Return the option of a distribution over the options, or of a whole answer."""
    if not label:
        return None
    shares = _shares(label, answer)
    if shares is not None:
        return _largest(shares, answer)
    if label.get("probabilities"):
        whole = parse({"type": answer.type, **label}, Asked(), renormalize=True)
        if isinstance(whole, Answer):
            return right_option(value_of(whole.keys[whole.top]), answer)
    values = [label[key] for key in _ANSWERED if key in label]
    if not values and label.get("type") != REFUSAL:
        raise DamagedAnswerError(
            "a label that is an object must be an answer, or shares of the options"
        )
    return next((right_option(value, answer) for value in values if value is not None), None)


def _shares(label: Mapping[str, Any], answer: Answer) -> dict[int, float] | None:
    """Return the share of each option; None if the keys are not options or names of levels."""
    if any(
        isinstance(share, bool) or not isinstance(share, int | float) for share in label.values()
    ):
        return None
    numbered = all(level_of(key) in answer.keys for key in label)
    places = [_place(level_of(key) if numbered else key, answer) for key in label]
    if None in places:
        return None
    return {
        place: number(share, "the share", key)
        for place, (key, share) in zip(places, label.items(), strict=True)
        if place is not None
    }


def _place(key: str | None, answer: Answer) -> int | None:
    """Return the option that a key of JSON names, which is a text: that text, else its value."""
    found = _index(answer, f"={key}" if f"={key}" in answer.keys else key)
    if found is None and answer.names.count(str(key)) == 1:
        return answer.names.index(str(key))
    return found


def _of_list(label: Sequence[Any], answer: Answer) -> int | None:
    """Return the option of a distribution that is written as a list."""
    if not label:
        return None
    if all(isinstance(item, dict) and "value" in item for item in label):
        shares = {}
        for item in label:
            place = right_option(item["value"], answer)
            if place is not None:
                shares[place] = number(item.get("probability"), "the probability of a label")
        return _largest(shares, answer)
    if answer.type == SCORE and len(label) == len(answer.keys):
        return _largest(dict(enumerate(number(x, "a share") for x in label)), answer)
    raise DamagedAnswerError(
        "a label must be an option, or an object of options and their shares (got a list)"
    )


def _largest(shares: Mapping[int, float], answer: Answer) -> int:
    """Return the option of the largest share, the first of equal ones."""
    if min(shares.values()) < 0 or max(shares.values()) <= 0:
        raise DamagedAnswerError("the shares of a label must be at least 0, and one above 0")
    return max(range(len(answer.keys)), key=lambda i: shares.get(i, 0.0))
