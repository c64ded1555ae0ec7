"""The evidence of a change in words."""

from __future__ import annotations

import math
from collections.abc import Sequence

from calibtool.analysis.monitoring.period import Monitoring, ScoreRange
from calibtool.formatting import joined, percent

# Standard deviations from which a range of the scores is mentioned. Of ten ranges without a change,
# one exceeds 3 in fewer than 3 % of cases.
_SHOWN = 3.0
_HIGHEST = 6  # decimal logarithm of the largest e-value that is shown; more makes no difference
_TOLD = 3  # slices with an alarm that the summary tells about; the table names all


def reading(monitoring: Monitoring) -> str:
    """Return one or two sentences that claim no more than the numbers show."""
    count = len(monitoring.periods)
    if monitoring.alarmed is None or monitoring.changed is None:
        return _quiet(monitoring, count)
    best = monitoring.changed[0]
    names = [period.name for period in monitoring.periods]
    e = e_text(monitoring.periods[monitoring.alarmed].log10_e, highest_of(monitoring.alpha))
    alarm = f"alarm {_when(monitoring.every)}{names[monitoring.alarmed]}, e {_is(e)}"
    if monitoring.against == "calibrated":
        since = "" if best == 0 else f" since about {names[best]}"
        head = f"The scores are not calibrated{since} ({alarm})"
    else:
        head = f"Calibration changed around {names[best]}{_range(monitoring, names)} ({alarm})"
    if not monitoring.parts or abs(monitoring.parts[0].z) < _SHOWN:
        return f"{head}."
    return f"{head}: {_where(monitoring, monitoring.parts[0])}.{_others(monitoring)}"


def _when(every: str) -> str:
    """Return the preposition for the name of a period."""
    return {"day": "on ", "week": "in ", "month": "in "}.get(every, "at ")


def _quiet(monitoring: Monitoring, count: int) -> str:
    """Return the sentence for no alarm."""
    largest = e_text(monitoring.most, highest_of(monitoring.alpha))
    needed = limit_text(monitoring.alpha)
    limit = f"e would have to reach {needed}, and is at most {largest} so far"
    if monitoring.against == "calibrated":
        return f"No miscalibration visible in {count:,} periods: {limit}."
    if count == 1:
        return "One period: there is nothing yet that could have changed."
    return f"No change visible in {count:,} periods: {limit}."


def _range(monitoring: Monitoring, names: list[str]) -> str:
    """Return the range of periods in which the change came; "" for a single one."""
    assert monitoring.changed is not None
    _, low, high = monitoring.changed
    return "" if low == high else f", between {names[low]} and {names[high]}"


def _where(monitoring: Monitoring, part: ScoreRange) -> str:
    """Return what changed in a range of the scores."""
    scores = "confidences" if monitoring.view == "top" else "scores"
    now, then = _percent(part.was_since), _percent(part.was)
    text = f"{scores} of {part.low:.1f} to {part.high:.1f} now come true {now} of the time"
    if monitoring.against == "calibrated":
        return f"{text}, and say {_percent(part.said_since)}"
    moved = part.said_since - part.said
    # half a per cent: the text shows whole per cents
    note = "" if abs(moved) < 0.005 else " (their mean has moved too)"
    return f"{text}, before {then}{note}"


def _others(monitoring: Monitoring) -> str:
    """Return how many other ranges of the scores have changed; "" if none."""
    others = [part for part in monitoring.parts[1:] if abs(part.z) >= _SHOWN]
    if not others:
        return ""
    word = "gap" if monitoring.against == "calibrated" else "change"
    up = sum(part.z > 0 for part in others)
    total = len(others)
    ways = "up" if up == total else "down" if not up else f"{up} up, {total - up} down"
    tenths = "tenth" if total == 1 else "tenths"
    return f" {total} more {tenths} of the scores show a {word} ({ways})."


def slices_reading(slices: Sequence[tuple[str, Monitoring]], alpha: float) -> str:
    """Return a few sentences about slices, of which those with the most evidence come first."""
    count = len(slices)
    alarms = [pair for pair in slices if pair[1].alarmed is not None]
    many = f"{count:,} slices" if count > 1 else "the only slice"
    promise = (
        f"If nothing changes, the probability that any slice ever raises an alarm is at most "
        f"{alpha:g}."
    )
    if not alarms:
        name, first = slices[0]
        largest = e_text(first.most, highest_of(first.alpha))
        return (
            f"No alarm in {many}. The most evidence is in {name}: e would have to reach "
            f"{limit_text(first.alpha)}, and is at most {largest} so far. {promise}"
        )
    told = " ".join(f"{name}: {monitoring.reading}" for name, monitoring in alarms[:_TOLD])
    others = [name for name, _ in alarms[_TOLD:]]
    more = f" Alarms also in {joined(others[:10])}" if others else ""
    more += f" and {len(others) - 10:,} more" if len(others) > 10 else ""
    what = f"Alarm in {len(alarms):,} of {many}." if count > 1 else "Alarm in the only slice."
    return f"{what} {told}{more}{'.' if more else ''} {promise}"


def highest_of(alpha: float) -> int:
    """Return the decimal logarithm of the largest e-value that is shown: a million, or a hundred
    times what raises an alarm."""
    return max(_HIGHEST, math.ceil(-math.log10(alpha)) + 2)


def limit_text(alpha: float) -> str:
    """Return the e-value that raises an alarm.

    >>> limit_text(0.05), limit_text(0.05 / 12), limit_text(1e-8)
    ('20', '240', '1e+08')
    """
    return f"{1 / alpha:.4g}"


def e_text(log10_e: float, highest: int = _HIGHEST) -> str:
    """Return an e-value as text, from its decimal logarithm; of the largest one that is shown, too.

    >>> e_text(0.5), e_text(2.71), e_text(5.5), e_text(12.0), e_text(-3.2)
    ('3.2', '513', '3.2e+5', '> 1e6', '0.00063')
    """
    if log10_e > highest:
        return f"> 1e{highest}"
    if log10_e >= 5:
        whole = int(log10_e)
        return f"{10 ** (log10_e - whole):.1f}e+{whole}".replace("10.0e", "9.9e")
    if log10_e >= 2:
        return f"{10**log10_e:.0f}"
    if log10_e < -300:
        return "0"
    return f"{10**log10_e:.2g}"


def _is(e: str) -> str:
    """Return what follows "e" in a sentence."""
    return e if e.startswith(">") else f"= {e}"


def _percent(share: float) -> str:
    """Return a percentage with at least two significant digits of it or of its complement."""
    return percent(share, 0 if 0.095 <= share <= 0.905 else 1)
