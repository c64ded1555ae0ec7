"""The metric mce-slices: the multicalibration error of the slices of a search."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from calibtool.analysis.slice_sums import Grouping, Sums
from calibtool.metrics.multicalibration import in_sigmas, kuiper_ranges, range_tail
from calibtool.types import Progress, silent

ALL = "all rows"


@dataclass(frozen=True)
class SliceError:
    """The largest error of a slice, as Kuiper's range over its standard deviation.

    Attributes:
        value: the error, in standard deviations of calibrated scores.
        by, name: the columns and the values of the slice; `by` is "" for all rows.
        slices: the number of slices, all rows included.
        p_value: the probability of so large an error if every score is the probability of its
            outcome, after Bonferroni's correction for all slices. None with clusters, whose rows
            are no independent outcomes.
    """

    value: float
    by: str
    name: str
    slices: int
    p_value: float | None


def slice_error(
    sums: Sums, slices: Sequence[tuple[Grouping, int]], progress: Progress = silent
) -> SliceError:
    """Return the multicalibration error over all rows and some slices.

    It has no interval: the largest of many values is biased upwards, and a bootstrap adds to that.
    """
    order = np.argsort(sums.score, kind="stable")
    order = order.astype(np.min_scalar_type(len(order)))
    by_score = sums.take(order)
    whole = Grouping("", (ALL,), np.zeros(len(order), np.uint8))
    wanted: dict[int, tuple[Grouping, list[int]]] = {id(whole): (whole, [0])}
    for part, k in slices:
        wanted.setdefault(id(part), (part, []))[1].append(k)
    worst = (-1.0, "", "")
    for done, (part, numbers) in enumerate(wanted.values()):
        progress("measuring slices", done / len(wanted))
        sorted_ = part.take(order)
        ranges = kuiper_ranges(by_score.score, by_score.residual, sorted_.codes, len(sorted_.names))
        sigmas = in_sigmas(ranges, by_score.deviation(sorted_))[numbers]
        first = int(sigmas.argmax())
        if sigmas[first] > worst[0]:
            worst = (float(sigmas[first]), part.by, part.names[numbers[first]])
    count = len(slices) + 1
    p_value = None
    if sums.cluster is None:
        p_value = min(1.0, count * float(range_tail(np.array(worst[0]))))
    return SliceError(*worst, count, p_value)
