"""Tests of perfect calibration, with p-values that are right where calibration is perfect.

The null hypothesis is that the scores are the probabilities of the outcomes. It says everything
that is needed to draw other outcomes for the same scores, so every p-value comes from such redrawn
outcomes: the share of them, the observed ones included, whose statistic is as large or larger.
That is valid at any number of rows and for any scores, where chi-squared and normal approximations
are not: those of confident scores, of which few outcomes can surprise.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from calibtool.analysis.significance.detect import detectable
from calibtool.analysis.significance.inputs import Inputs, choose, read, settle
from calibtool.analysis.significance.null import Null, monte_carlo
from calibtool.analysis.significance.result import LEVEL, How, Observed, Result, Test, TestResults
from calibtool.analysis.significance.statistics import ece
from calibtool.analysis.significance.wording import reading
from calibtool.data.predictions import DataInfo
from calibtool.data.readable import Readable
from calibtool.errors import NotAvailableError, UsageError
from calibtool.intervals import multiple
from calibtool.types import Progress, silent

FEWEST = 19  # redraws, of which one test can reject at 5 %


def significance(
    predictions: Readable,
    *,
    tests: str | Iterable[str] | None = None,
    view: str = "auto",
    resamples: int = 1000,
    seed: int = 0,
    progress: Progress | None = None,
) -> TestResults:
    """Test predictions for perfect calibration.

    Args:
        predictions: `Predictions`, or a `Source` to be read in blocks.
        tests: names out of `TESTS`, or "ks,cox"; None for all that fit the data.
        view: "top", "positive" (two classes), or "auto": positive for one column, top otherwise.
        resamples: how often the outcomes are redrawn.
        seed: of the redrawn outcomes; the digits depend on nothing else.
        progress: called now and then with what is being done and the share that is done.

    Raises InputError, UsageError.

    >>> from calibtool import Predictions
    >>> p = Predictions.from_probs([0.9] * 40, [1, 0] * 20)
    >>> significance(p, tests="consistency", resamples=199)["consistency"].p_value
    0.005
    """
    how = _how(resamples, seed, progress)
    chosen = choose(tests, predictions)
    view = settle(view, predictions)
    whole = any(test.rows for test in chosen)
    inputs = read(predictions, view, whole=whole, progress=how.progress)
    null = Null.of(inputs.score, inputs.outcome, inputs.weights)
    results, critical = _results(chosen, inputs, null, view, how)
    found = TestResults(
        _data(predictions, inputs),
        view,
        _adjusted(results),
        detectable(null, critical, seed, how.progress),
        resamples,
        seed,
    )
    return replace(found, reading=reading(found))


def holm(p_values: dict[str, float]) -> dict[str, float]:
    """The p-values adjusted for their number: those at 0.05 or below are rejected at 5 % over all
    of them together (Holm 1979).

    >>> holm({"a": 0.04, "b": 0.01, "c": 0.03})
    {'a': 0.06, 'b': 0.03, 'c': 0.06}
    """
    return dict(zip(p_values, multiple.holm(list(p_values.values())), strict=True))


def _how(resamples: int, seed: int, progress: Progress | None) -> How:
    if resamples < FEWEST:
        raise UsageError(f"--resamples must be at least {FEWEST}, not {resamples}")
    if seed < 0:
        raise UsageError(f"--seed must not be negative, not {seed}")
    return How(resamples, seed, progress or silent)


def _results(
    chosen: Sequence[Test], inputs: Inputs, null: Null, view: str, how: How
) -> tuple[list[Result], float]:
    """What each test found, and the ECE that redrawn outcomes exceed in 5 % of cases."""
    able = [t for t in chosen if t.statistic and (inputs.weights is None or t.weighted)]
    rules = [ece, *(test.statistic for test in able if test.statistic)]
    (_, errors), *compared = null.compare(rules, how)
    of_cells = {test.name: one for test, one in zip(able, compared, strict=True)}
    results = [
        _of_cells(test, view, null, of_cells[test.name])
        if test.name in of_cells
        else _of_rows(test, view, inputs, how)
        for test in chosen
    ]
    return results, float(np.quantile(errors, 1 - LEVEL, method="higher"))


def _of_cells(test: Test, view: str, null: Null, found: Observed) -> Result:
    observed, drawn = found
    if np.isnan(observed):
        why = "no score that could be surprised"
        return Result(test.name, test.title, view, missing=why)
    shown = test.shown or test.statistic
    assert shown is not None
    value = float(shown(null.exact))
    p_value = monte_carlo(observed, drawn)
    return Result(test.name, test.title, view, value, p_value, draws=len(drawn))


def _of_rows(test: Test, view: str, inputs: Inputs, how: How) -> Result:
    missing = Result(test.name, test.title, "class" if test.rows else view)
    if test.rows is None:
        return replace(missing, missing="not for rows of different weights")
    if inputs.whole is None:
        return replace(missing, missing="whole rows of so many probabilities do not fit in memory")
    try:
        observed, drawn = test.rows(inputs.whole, how)
    except NotAvailableError as error:
        return replace(missing, missing=str(error))
    p_value = monte_carlo(observed, drawn)
    own = inputs.whole.view
    return Result(test.name, test.title, own, observed, p_value, draws=len(drawn))


def _adjusted(results: Sequence[Result]) -> tuple[Result, ...]:
    adjusted = holm({r.name: r.p_value for r in results if r.p_value is not None})
    return tuple(replace(result, adjusted=adjusted.get(result.name)) for result in results)


def _data(predictions: Readable, inputs: Inputs) -> DataInfo:
    return DataInfo(
        predictions.source,
        len(inputs.score),
        predictions.classes,
        predictions.kind,
        inputs.weighted,
    )
