"""What the evidence comes to, in words."""

from __future__ import annotations

from calibtool.analysis.monitoring.period import Monitoring, Part
from calibtool.formatting import percent

_SHOWN = 3.0  # standard deviations from which a part of the scores is spoken of


def reading(found: Monitoring) -> str:
    """A sentence or two, and no more than the numbers show."""
    count = len(found.periods)
    if found.alarmed is None or found.changed is None:
        return _quiet(found, count)
    best = found.changed[0]
    names = [period.name for period in found.periods]
    e = e_text(found.periods[found.alarmed].log10_e)
    alarm = f"alarm {_when(found.every)}{names[found.alarmed]}, e = {e}"
    if found.against == "calibrated":
        since = "" if best == 0 else f" since about {names[best]}"
        head = f"The scores are not calibrated{since} ({alarm})"
    else:
        head = f"Calibration changed around {names[best]}{_range(found, names)} ({alarm})"
    if not found.parts or abs(found.parts[0].z) < _SHOWN:
        return f"{head}."
    return f"{head}: {_where(found, found.parts[0])}.{_others(found)}"


def _when(every: str) -> str:
    return {"day": "on ", "week": "in ", "month": "in "}.get(every, "at ")


def _quiet(found: Monitoring, count: int) -> str:
    limit = f"e would have to reach {1 / found.alpha:g}, and is at most {e_text(found.most)} so far"
    if found.against == "calibrated":
        return f"No miscalibration visible in {count:,} periods: {limit}."
    if count == 1:
        return "One period: there is nothing yet that could have changed."
    return f"No change visible in {count:,} periods: {limit}."


def _range(found: Monitoring, names: list[str]) -> str:
    assert found.changed is not None
    _, low, high = found.changed
    return "" if low == high else f", between {names[low]} and {names[high]}"


def _where(found: Monitoring, part: Part) -> str:
    scores = "confidences" if found.view == "top" else "scores"
    now, then = _share(part.was_since), _share(part.was)
    text = f"{scores} of {part.low:.1f} to {part.high:.1f} now come true {now} of the time"
    if found.against == "calibrated":
        return f"{text}, and say {_share(part.said_since)}"
    moved = part.said_since - part.said
    said = "" if abs(moved) < 0.005 else " (their mean has moved too)"
    return f"{text}, before {then}{said}"


def _others(found: Monitoring) -> str:
    """The other parts that have changed."""
    others = [part for part in found.parts[1:] if abs(part.z) >= _SHOWN]
    if not others:
        return ""
    word = "gap" if found.against == "calibrated" else "change"
    up = sum(part.z > 0 for part in others)
    total = len(others)
    ways = "up" if up == total else "down" if not up else f"{up} up, {total - up} down"
    tenths = "tenth" if total == 1 else "tenths"
    return f" {total} more {tenths} of the scores show a {word} ({ways})."


def e_text(log10_e: float) -> str:
    """An e-value as it is printed, from its decimal logarithm.

    >>> e_text(0.5), e_text(2.71), e_text(12.0), e_text(-3.2)
    ('3.2', '513', '1.0e+12', '0.00063')
    """
    if log10_e >= 5:
        whole = int(log10_e)
        return f"{10 ** (log10_e - whole):.1f}e+{whole}".replace("10.0e", "9.9e")
    if log10_e >= 2:
        return f"{10**log10_e:.0f}"
    if log10_e < -300:
        return "0"
    return f"{10**log10_e:.2g}"


def _share(share: float) -> str:
    """Return a percentage with at least two significant digits of it or of its complement."""
    return percent(share, 0 if 0.095 <= share <= 0.905 else 1)
