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
from calibtool.gate.config import read_table
from calibtool.intervals.estimate import Estimate
from calibtool.metrics.spec import defaults, resolve, written_out

METRICS = ("ece", "classwise-ece", "nll", "accuracy")
HEAD = """\
# Written by `calibtool check --init` from {source}, {rows:,} rows.
# Each threshold is the far end of today's {level:g} % interval, the worst that this model may be.
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
    known = [e for e in measured if e.high is not None and math.isfinite(e.high)]
    if not known:
        raise UsageError(
            f"{report.data.source}: no metric has an interval, which thresholds are taken from"
        )
    write_text(path, before + _table(path, report, known, settings))
    return report


def _table(path: Path, report: Report, known: list[Estimate], settings: dict[str, Any]) -> str:
    head = HEAD.format(
        source=report.data.source, rows=report.data.rows, level=100 * (report.level or 0.95)
    )
    name = "tool.calibtool.check" if path.name == "pyproject.toml" else "check"
    lines = [f"  {text},  # today {today:.4f}" for text, today in map(_line, known)]
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


def _line(estimate: Estimate) -> tuple[str, float]:
    """Return a requirement, and today's value."""
    name, value, low, high = estimate.name, estimate.value, estimate.low, estimate.high
    assert value is not None
    assert low is not None
    assert high is not None
    if estimate.better == "higher":
        return _quoted(f"{name} >= {_outward(low, down=True)}"), value
    # the interval of a calibration error may lie below its value, which is biased upward
    return _quoted(f"{name} <= {_outward(max(high, value))}"), value


def _outward(value: float, *, down: bool = False) -> str:
    """Return a threshold rounded to two digits, away from the model. Shares close to 1 keep two
    digits of what is missing to 1.

    >>> _outward(0.0192), _outward(0.8794, down=True), _outward(0.9991, down=True)
    ('0.02', '0.87', '0.9991')
    """
    if value <= 0:
        return "0"
    room = 1 - value if down and 0.5 < value < 1 else value
    digits = 1 - math.floor(math.log10(room))
    step = 10.0**-digits
    # 1e-9: a value that has two digits already is not moved by its rounding error
    rounded = math.floor(value / step + 1e-9) if down else math.ceil(value / step - 1e-9)
    return f"{rounded * step:.{max(digits, 0)}f}".rstrip("0").rstrip(".")


def _written(value: Any) -> str:
    """Return a value as TOML."""
    if isinstance(value, bool):
        return str(value).lower()
    return _quoted(value) if isinstance(value, str) else repr(value)


def _quoted(text: str) -> str:
    """Return a text as a TOML string."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
