"""Run significance tests of perfect calibration, with Monte Carlo p-values.

The null hypothesis is that the scores are the probabilities of the outcomes. It determines the
distribution of the outcomes given the scores, so every p-value comes from redrawn outcomes: the
share of them, the observed ones included, whose statistic is at least as large. Such a p-value is
valid for any number of rows and any scores. Chi-squared and normal approximations are not: they
fail for confident scores, where few outcomes are uncertain.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from calibtool.analysis.significance.detect import detectable
from calibtool.analysis.significance.inputs import Inputs, choose, read
from calibtool.analysis.significance.null import EXACT, Null, monte_carlo
from calibtool.analysis.significance.result import (
    LEVEL,
    Observed,
    RedrawOptions,
    Result,
    Test,
    TestResults,
)
from calibtool.analysis.significance.statistics import ece
from calibtool.analysis.significance.wording import reading
from calibtool.data.predictions import DataInfo
from calibtool.data.readable import Readable
from calibtool.data.unit import unit_of, unit_text
from calibtool.errors import NotAvailableError
from calibtool.evaluation.resampling import require_resamples, require_seed
from calibtool.intervals.multiple import holm
from calibtool.metrics.resolve import one_score_view
from calibtool.parallel import Work
from calibtool.streaming.read import read as read_data
from calibtool.streaming.streamed import max_rows
from calibtool.types import Progress, silent

# Seconds on a core of 2026, on which progress alone depends: per row that is read, per cell and
# redraw and statistic, per row and redraw of a test of whole rows, per cell of the smallest error.
READING, REDRAWING, OF_ROWS, DETECTING = 3e-7, 2e-8, 2e-7, 2e-5
MOST_OF_ROWS = 3.0  # seconds: with more rows, such a test redraws less
FEWEST = 19  # with fewer redraws the smallest p-value, 1 / (redraws + 1), exceeds 5 %


def significance(
    predictions: Any,
    *,
    tests: str | Iterable[str] | None = None,
    view: str = "auto",
    resamples: int = 1000,
    seed: int = 0,
    progress: Progress | None = None,
    **keys: Any,
) -> TestResults:
    """Test predictions for perfect calibration.

    Args:
        predictions: all that `ct.read` takes: a path, `Predictions`, a data frame and more.
        tests: names from `TESTS`, as a list or as "ks,cox"; None for all that fit the data.
        view: "top", "positive" (two classes), or "auto": positive for one column, top otherwise.
        resamples: number of times the outcomes are redrawn, at least 19.
        seed: seed of the redrawn outcomes; equal seeds give equal digits.
        progress: called with the name of the step and the share of it that is done.
        keys: which column has which role, as for `ct.load`.

    Raises:
        InputError: there are no labels, or all weights are zero.
        UsageError: an option is out of range, or a test or view does not fit the data.

    >>> from calibtool import Predictions
    >>> p = Predictions.from_probs([0.9] * 40, [1, 0] * 20)
    >>> significance(p, tests="consistency", resamples=199)["consistency"].p_value
    0.005
    """
    options = _options(resamples, seed, progress)
    predictions = read_data(predictions, **keys)
    chosen = choose(tests, predictions)
    view = one_score_view(view, predictions)
    whole = any(test.rows for test in chosen)
    work = Work(options.progress, _costs(chosen, max_rows(predictions), resamples))
    options = replace(options, progress=work)
    work.next("reading")
    inputs = read(predictions, view, whole=whole, progress=work)
    null = Null.of(inputs.score, inputs.outcome, inputs.weights)
    results, critical = _results(chosen, inputs, null, view, options, work)
    work.next("detectable")
    findings = TestResults(
        _data(predictions, inputs),
        view,
        _adjusted(results),
        detectable(null, critical, seed, work),
        resamples,
        seed,
    )
    return replace(findings, reading=reading(findings), warnings=tuple(_warnings(predictions)))


def _warnings(predictions: Readable) -> Iterator[str]:
    unit = unit_of(predictions)
    if unit is not None:
        yield (
            f"{unit.text}: these tests take predictions to be independent; those of one "
            f"{unit.column} are not, so that true p-values are larger"
        )


def _options(resamples: int, seed: int, progress: Progress | None) -> RedrawOptions:
    """Check the options. Raises UsageError."""
    require_resamples(resamples, FEWEST)
    require_seed(seed)
    return RedrawOptions(resamples, seed, progress or silent)


def _costs(chosen: Sequence[Test], rows: int, resamples: int) -> dict[str, float]:
    """Return about how many seconds the parts take: redrawing all statistics of cells, of which
    there are no more than EXACT, and each test of whole rows."""
    cells, of_rows = min(rows, EXACT), min(OF_ROWS * rows * resamples, MOST_OF_ROWS)
    return {
        "reading": READING * rows,
        "redrawing": REDRAWING * cells * resamples * (1 + len(chosen)),
        **{test.name: of_rows for test in chosen if not test.statistic},
        **{test.name: 0.0 for test in chosen if test.statistic},  # but for rows with weights
        "detectable": DETECTING * cells,
    }


def _results(
    chosen: Sequence[Test],
    inputs: Inputs,
    null: Null,
    view: str,
    options: RedrawOptions,
    work: Work,
) -> tuple[list[Result], float]:
    """Return the result of each test, and the 95 % quantile of the ECE of redrawn outcomes."""
    on_cells = [t for t in chosen if t.statistic and (inputs.weights is None or t.weighted)]
    # the ECE is always redrawn: the detectable error needs its critical value
    statistics = [ece, *(test.statistic for test in on_cells if test.statistic)]
    work.next("redrawing")
    (_, errors), *compared = null.compare(statistics, options)
    observed = {test.name: values for test, values in zip(on_cells, compared, strict=True)}
    results = []
    for test in chosen:
        if test.name in observed:
            results.append(_of_cells(test, view, null, observed[test.name]))
        else:
            work.next(test.name)
            results.append(_of_rows(test, view, inputs, options))
    return results, float(np.quantile(errors, 1 - LEVEL, method="higher"))


def _of_cells(test: Test, view: str, null: Null, values: Observed) -> Result:
    """Return the result of a test of one score per row."""
    observed, drawn = values
    if np.isnan(observed):
        why = "no score that could be surprised"
        return Result(test.name, test.title, view, missing=why)
    shown = test.shown or test.statistic
    assert shown is not None
    value = float(shown(null.exact))
    p_value = monte_carlo(observed, drawn)
    return Result(test.name, test.title, view, value, p_value, draws=len(drawn))


def _of_rows(test: Test, view: str, inputs: Inputs, options: RedrawOptions) -> Result:
    """Return the result of a test of whole rows, or why the test cannot be run."""
    missing = Result(test.name, test.title, "class" if test.rows else view)
    if test.rows is None:
        return replace(missing, missing="not for rows of different weights")
    if inputs.whole is None:
        return replace(missing, missing="the probabilities of all rows do not fit in memory")
    try:
        observed, drawn = test.rows(inputs.whole, options)
    except NotAvailableError as error:
        return replace(missing, missing=str(error))
    p_value = monte_carlo(observed, drawn)
    return Result(test.name, test.title, inputs.whole.view, observed, p_value, draws=len(drawn))


def _adjusted(results: Sequence[Result]) -> tuple[Result, ...]:
    """Add the p-values after Holm's correction for the number of tests that have one."""
    p_values = {r.name: r.p_value for r in results if r.p_value is not None}
    adjusted = dict(zip(p_values, holm(list(p_values.values())), strict=True))
    return tuple(replace(result, adjusted=adjusted.get(result.name)) for result in results)


def _data(predictions: Readable, inputs: Inputs) -> DataInfo:
    """Return the description of the predictions."""
    return DataInfo(
        predictions.source,
        len(inputs.score),
        predictions.classes,
        predictions.kind,
        inputs.weighted,
        unit=unit_text(predictions),
    )
