"""Write a first configuration, with thresholds from today's numbers."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from calibtool.data.files.write import write_text
from calibtool.data.readable import Readable, Recalibrator, variants_of
from calibtool.errors import UsageError
from calibtool.evaluation.evaluate import evaluate_variants, report_of
from calibtool.evaluation.execution import Execution
from calibtool.evaluation.report import Report
from calibtool.evaluation.request import Request
from calibtool.evaluation.resampling import Resampling
from calibtool.formatting import interval, json_text, number, printable
from calibtool.gate.config import read_table
from calibtool.gate.seed_noise import CLOSE, noise
from calibtool.intervals.estimate import Estimate
from calibtool.metrics.resolve import defaults, resolve, written_out

METRICS = ("ece", "classwise-ece", "nll", "accuracy")
HEAD = """\
# Written by `calibtool check --init` from {source}, {rows:,} rows.
# Each threshold is the far end of today's {level:g} % interval, with room for the noise of another
# seed, rounded to two digits away from the model. Beside it stand today's estimate of the true
# value and its interval.
"""


def write_config(
    path: str | Path,
    predictions: Readable,
    settings: dict[str, Any],
    *,
    calibrator: Recalibrator | None = None,
    cluster: str | None = None,
    resampling: Resampling | None = None,
    execution: Execution | None = None,
) -> Report:
    """Write requirements that today's predictions meet, with room for sampling noise.

    Args:
        path: path of the TOML file; the table is added at the end of an existing file.
        predictions: today's predictions.
        settings: further keys of the table, such as `file`, their path.
        calibrator: apply this calibrator to the predictions first.
        cluster: column of rows that are resampled together.
        resampling: how intervals are made.
        execution: threads and progress.

    Raises UsageError if the file has the table already, or is not TOML.
    """
    path = Path(path)
    before = ""
    if path.exists():
        if read_table(path) is not None:
            raise UsageError(f"{path}: already has the table [tool.calibtool.check]; edit it there")
        before = path.read_text(encoding="utf-8").rstrip("\n") + "\n\n"
    # the file is read again with other data, of another shape perhaps: it names every view
    specs = [written_out(spec) for spec in resolve(defaults(METRICS), predictions)]
    request = Request.of(
        predictions,
        specs,
        variants_of(calibrator),
        cluster=cluster,
        resampling=resampling,
        execution=execution,
    )
    report = report_of(evaluate_variants(request))
    measured = report.after or report.estimates
    resampling = resampling or Resampling()
    known = [line for line in (_line(e, CLOSE * noise(e, resampling)) for e in measured) if line]
    if not known:
        raise UsageError(
            f"{report.data.source}: no metric has an interval that a threshold could be taken from"
        )
    write_text(path, before + _table(path, report, known, settings))
    return report


def _table(path: Path, report: Report, lines: list[str], settings: dict[str, Any]) -> str:
    head = HEAD.format(
        source=printable(report.data.source),
        rows=report.data.rows,
        level=100 * (report.level or 0.95),
    )
    name = "tool.calibtool.check" if path.name == "pyproject.toml" else "check"
    return "\n".join(
        [
            f"{head}[{name}]",
            *(f"{key} = {_written(value)}" for key, value in settings.items()),
            'mode = "tolerate"',
            "require = [",
            *lines,
            "]",
            "",
        ]
    )


def _line(estimate: Estimate, room: float) -> str:
    """Return a line with a requirement, `room` away from the far end, and what it was taken from;
    "" for a metric without an interval, or if its range ends there: every model would meet that."""
    low, high = estimate.low, estimate.high
    if low is None or high is None or not math.isfinite(high):
        return ""
    if estimate.better == "higher":
        if low - room <= estimate.least:
            return ""
        text = f"{estimate.name} >= {_outward(low - room, estimate, down=True)}"
    else:
        if high + room >= estimate.most:
            return ""
        text = f"{estimate.name} <= {_outward(high + room, estimate)}"
    today = f"{number(estimate.corrected)} {interval(low, high)}"
    return f"  {_quoted(text)},  # today {today}"


def _outward(value: float, estimate: Estimate, *, down: bool = False) -> str:
    """Return a threshold rounded to two digits, away from the model. Values close to the upper end
    of the range keep two digits of what is missing to it.

    >>> ece = Estimate("ece", 0.5, least=0, most=1)
    >>> _outward(0.0192, ece), _outward(0.8794, ece, down=True), _outward(0.9991, ece, down=True)
    ('0.02', '0.87', '0.9991')
    """
    least, most = estimate.least, estimate.most
    room = most - value if math.isfinite(most) and value > (most + max(least, 0)) / 2 else value
    if room == 0:  # an end of the range itself
        return f"{value:g}"
    digits = 1 - math.floor(math.log10(abs(room)))
    step = 10.0**-digits
    # 1e-9: a value that has two digits already is not moved by its rounding error
    rounded = math.floor(value / step + 1e-9) if down else math.ceil(value / step - 1e-9)
    text = f"{rounded * step:.{max(digits, 0)}f}"
    while float(text) > value if down else float(text) < value:
        rounded += -1 if down else 1
        text = f"{rounded * step:.{max(digits, 0)}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _written(value: Any) -> str:
    """Return a value as TOML."""
    if isinstance(value, bool):
        return str(value).lower()
    return _quoted(value) if isinstance(value, str) else repr(value)


def _quoted(text: str) -> str:
    """Return a text as a TOML string, whose escapes are those of JSON.

    Raises UsageError for half of a surrogate pair, which TOML cannot hold.
    """
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise UsageError(f"{text}: is not UTF-8, which TOML needs; rename it") from error
    return json_text(text)
