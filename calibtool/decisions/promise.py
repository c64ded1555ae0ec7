"""The promise of a threshold in plain sentences, and what is in the way of one."""

from __future__ import annotations

from calibtool.decisions.point import Point
from calibtool.decisions.target import Target
from calibtool.formatting import capitalized, counted, percent

RULES = {
    "confident": "rows whose confidence is at least the threshold",
    "high": "rows whose P(class 1) is at least the threshold",
    "low": "rows whose P(class 1) is at most the threshold",
}
NOT_PROMISED = (
    "It holds for rows like these: not after a shift, not for another version of the model, and "
    "not for another number of classes or options."
)


def rule(target: Target) -> str:
    """Return which rows are accepted."""
    return RULES[target.subject.accepts]


def line_text(threshold: float) -> str:
    """Return a threshold with all its digits: a rounded one would accept other rows.

    >>> line_text(0.5), line_text(0.9220887)
    ('0.5', '0.9220887')
    """
    return short if float(short := f"{threshold:g}") == threshold else repr(threshold)


def kept(target: Target) -> str:
    """Return what is promised.

    >>> from calibtool.decisions.target import parse_target
    >>> kept(parse_target("accuracy >= 0.95"))
    'at most 5 % of the rows that are accepted are wrong'
    """
    subject = target.subject
    if target.name == "cost":
        return f"{subject.of} {subject.loss} at most {target.limit:g} on average"
    # 9 decimals: 1 - 0.95 is not 0.05 to the last bit
    return f"at most {percent(round(target.risk, 9))} of {subject.of} {subject.loss}"


def promise(target: Target, delta: float, rows: int, groups: int) -> str:
    """Return the promise in a sentence.

    Args:
        target, delta: what is promised, and how often it may be broken.
        rows: that chose the threshold.
        groups: how many have one of their own.
    """
    everywhere = ", in every group at once" if groups > 1 else ""
    sure = percent(round(1 - delta, 9))
    return (
        f"With a probability of at least {sure} over the {rows:,} rows that chose it, "
        f"{kept(target)}{everywhere}."
    )


def corrected(groups: int) -> str:
    """Return how delta is shared by groups, or ""."""
    if groups < 2:
        return ""
    return (
        f"The {groups:,} groups share delta by Holm's method: each has the same part, and a group "
        "whose tests all pass passes its part on."
    )


def lacking(point: Point, target: Target, where: str = "") -> list[str]:
    """Return why there is no threshold, and what these rows allow: sentences.

    Args:
        point: without a threshold.
        target: what was to be promised.
        where: the group, such as "team = a", or "".
    """
    why = point.lacking
    assert why is not None
    of = "rows of class 1" if target.name == "recall" else "rows"
    place = f"{where}: " if where else ""
    limit, delta = f"{target.name} {target.subject.relation}", f"{100 * point.level:.3g} %"
    if why.rows < why.fewest:
        need = "a cost" if target.name == "cost" else "an error"
        asked = f"{target.limit:g}" if target.name == "cost" else percent(round(target.risk, 9))
        there = "is" if why.rows == 1 else "are"
        first = (
            f"{why.fewest:,} {of} without {need} are needed for {asked} at delta {delta}; there "
            f"{there} {why.rows:,}."
        )
    else:
        first = (
            f"no threshold keeps {target.text} at delta {delta} on these "
            f"{counted(why.rows, 'row')}."
        )
    said = [f"{place}{first if place else capitalized(first)}"]
    if why.best is not None and why.at is not None:
        said.append(
            f"The most that these rows could have promised is {limit} "
            f"{why.best:g}, at a threshold of {line_text(why.at)}."
        )
    if why.needed is not None:
        said.append(f"About {why.needed:,} rows like these would do.")
    else:
        said.append("Several times as many rows like these would not do.")
    return said
