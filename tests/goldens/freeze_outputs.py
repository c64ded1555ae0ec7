"""What every command prints for the example files, kept: whoever changes a line sees it in review.

    python tests/goldens/freeze_outputs.py          write the outputs that have changed
    python tests/goldens/freeze_outputs.py --check  name those that have changed, and exit 1
    python tests/goldens/freeze_outputs.py --exact  the same, to the last digit

A restructuring must leave them as they are, to the last digit. --check, which lint runs, allows
what another processor may round otherwise.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import shlex
import shutil
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent / "outputs"
EXAMPLES = Path(__file__).resolve().parents[2] / "docs" / "examples"
NUMBER = re.compile(r"\d+\.\d+(?:e[+-]?\d+)?")
SECONDS = re.compile(r'(?<=seconds": )[\d.e+-]+')

# name -> command line; they run in this order, in a folder that holds the example files
LINES = {
    "evaluate": "evaluate fashion_test.npz --resamples 200",
    "evaluate-json": "evaluate fashion_test.npz --resamples 200 --format json",
    "evaluate-csv": "evaluate fashion_test.npz --resamples 200 --format csv",
    "evaluate-md": "evaluate fashion_test.npz --resamples 200 --format markdown",
    "evaluate-all-binary": "evaluate digits_binary.parquet --metrics all --resamples 50"
    " --format json",
    "evaluate-all-binary-table": "evaluate digits_binary.parquet --metrics all --resamples 50",
    "evaluate-binned": "evaluate fashion_val.npz --metrics binned --resamples 50 --format json",
    "evaluate-scores": "evaluate fashion_val.npz --metrics scores,ranking --resamples 50"
    " --format json",
    "evaluate-answers": "evaluate answers.csv --resamples 100 --format json",
    "evaluate-answers-table": "evaluate answers.csv --resamples 100 --signatures",
    "evaluate-percentile": "evaluate fashion_test.npz --ci percentile --resamples 100"
    " --format json",
    "evaluate-clusters": "evaluate visits.parquet --cluster user_id --resamples 100 --format json",
    "evaluate-by": "evaluate visits.parquet --by country,device --metrics ece,nll --resamples 100",
    "evaluate-by-json": "evaluate visits.parquet --by country --metrics ece,nll --resamples 100"
    " --format json",
    "evaluate-ood": "evaluate fashion_test.npz --ood fashion_val.npz"
    " --metrics ood-auroc,ood-fpr95 --resamples 50 --format json",
    "evaluate-conventions": "evaluate digits_binary.parquet --conventions",
    "evaluate-as": "evaluate fashion_test.npz --as netcal --format json",
    "evaluate-filter": "evaluate visits.parquet --filter \"country = 'PL' and age > 50\""
    " --metrics ece,nll --resamples 100",
    "fit-temperature": "fit-temperature fashion_val.npz -o temperature.json",
    "fit-temperature-json": "fit-temperature fashion_val.npz --format json",
    "fit-platt": "fit-platt digits_binary.parquet -o platt.json",
    "fit-isotonic": "fit-isotonic fashion_val.npz -o isotonic.json",
    "fit-histogram": "fit-histogram digits_binary.parquet --bins 10 --format json",
    "evaluate-calibrator": "evaluate fashion_test.npz --calibrator temperature.json"
    " --resamples 100",
    "evaluate-calibrator-json": "evaluate fashion_test.npz --calibrator temperature.json"
    " --resamples 100 --format json",
    "evaluate-plot": "evaluate answers.csv --resamples 50 --plot",
    "apply": "apply temperature.json fashion_test.npz -o scaled.npz",
    "inspect": "inspect scaled.npz",
    "inspect-visits": "inspect visits.parquet",
    "select": "select fashion_val.npz --methods temperature,vector,platt --resamples 50",
    "select-json": "select digits_binary.parquet --methods temperature,platt,isotonic"
    " --resamples 50 --format json",
    "check-fails": "check fashion_test.npz --require 'ece <= 0.03' --require 'nll <= 0.45'"
    " --resamples 200",
    "check-json": "check fashion_test.npz --require 'ece <= 0.07' --require 'accuracy >= 85 %'"
    " --resamples 200 --format json",
    "check-github": "check fashion_test.npz --require 'ece <= 0.03' --resamples 100"
    " --format github",
    "check-junit": "check fashion_test.npz --require 'ece <= 0.03' --resamples 100 --format junit",
    "check-sarif": "check fashion_test.npz --require 'ece <= 0.03' --resamples 100 --format sarif",
    "check-tap": "check fashion_test.npz --require 'ece <= 0.03' --resamples 100 --format tap",
    "check-by": "check visits.parquet --require 'ece <= 0.05 by country' --resamples 100",
    "check-baseline": "check scaled.npz --baseline fashion_test.npz --require 'delta(nll) <= 0'"
    " --resamples 100 --format json",
    "check-time": "check days.parquet --time day --every day --require 'e(change) < 20'",
    "check-init": "check fashion_test.npz --init calibtool.toml --resamples 100",
    "compare": "compare fashion_test.npz scaled.npz --metrics accuracy,nll,ece --resamples 100",
    "compare-json": "compare fashion_test.npz scaled.npz --metrics accuracy,nll,ece"
    " --resamples 100 --format json",
    "compare-latex": "compare fashion_test.npz scaled.npz --metrics accuracy,nll,ece"
    " --resamples 100 --format latex",
    "slices": "slices visits.parquet",
    "slices-json": "slices visits.parquet --format json",
    "test": "test fashion_test.npz --tests consistency,cox,skce --resamples 100",
    "test-json": "test digits_binary.parquet --resamples 100 --format json",
    "monitor": "monitor days.parquet --time day --every week --resamples 100",
    "monitor-json": "monitor days.parquet --time day --every week --resamples 100 --format json",
    "cells": "cells visits.parquet -o visits.cells",
    "cells-digits": "cells digits_binary.parquet -o digits.cells",
    "merge": "merge visits.cells digits.cells -o both.cells",
    "evaluate-cells": "evaluate both.cells --metrics default,auroc --resamples 100 --format json",
    "evaluate-cells-table": "evaluate visits.cells --resamples 100",
    "plot-terminal": "plot reliability fashion_test.npz",
    "plot-data": "plot reliability fashion_test.npz --resamples 50 --data plot.csv -o plot.svg",
    "report-md": "report answers.csv --format md --resamples 100",
    "report-two": "report fashion_val.npz fashion_test.npz --format md --resamples 50",
    "export-python": "export temperature.json --to python -o calibrate.py",
    "export-c": "export platt.json --to c -o calibrate.h",
    "sets": "sets fashion_val.npz -o sets.json",
    "sets-per-class": "sets fashion_val.npz --method lac --per-class --format json",
    "apply-sets": "apply sets.json fashion_test.npz -o with_sets.parquet",
    "evaluate-sets": "evaluate fashion_test.npz --sets sets.json --resamples 100",
    "evaluate-sets-json": "evaluate fashion_test.npz --sets sets.json --by predicted"
    " --resamples 100 --format json",
    "check-sets": "check fashion_test.npz --sets sets.json --require 'set-coverage >= 0.88'"
    " --require 'worst(set-size by class) <= 2' --resamples 100",
    "plot-sets": "plot sets fashion_test.npz --sets sets.json --resamples 50 --data sets.csv"
    " -o sets.svg",
    "metrics": "metrics",
    "losses": "losses",
    "bad-file": "evaluate nothing.npz",
    "bad-metric": "evaluate fashion_test.npz --metrics ecee",
    "bad-level": "evaluate fashion_test.npz --level 2",
    "bad-column": "evaluate visits.parquet --score nothing",
}
# files that the lines above write; what they hold is part of the output
WRITTEN = (
    *("temperature.json", "platt.json", "isotonic.json", "calibtool.toml", "plot.csv"),
    *("calibrate.py", "calibrate.h", "sets.json", "sets.csv"),
)


def outputs() -> dict[str, str]:
    """Run every line in an empty folder; return name -> exit code, output, errors."""
    from calibtool.cli.main import main

    texts = {}
    before = Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            for example in EXAMPLES.glob("*.*"):
                shutil.copy(example, folder)
            for name, line in LINES.items():
                out, err = io.StringIO(), io.StringIO()
                with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                    code = main(shlex.split(line))
                texts[name] = (
                    f"$ calibtool {line}\n{_steady(out.getvalue())}"
                    f"{_steady(err.getvalue())}exit code {code}\n"
                )
            for name in WRITTEN:
                texts[name] = _steady((Path(folder) / name).read_text(encoding="utf-8"))
        finally:
            os.chdir(before)
    return texts


def _steady(text: str) -> str:
    """Without what differs from run to run: seconds that something took."""
    return SECONDS.sub("SECONDS", text)


# Sums over candidate truths are of float32 (calibtool.intervals.inversion.TIED): with other vector
# instructions, the end of an interval moves by this share of it.
ROUNDING = 1e-7


def same(a: str, b: str) -> bool:
    """Return whether two outputs differ in nothing but the rounding of their numbers."""
    if NUMBER.sub("#", a) != NUMBER.sub("#", b):
        return False
    pairs = zip(NUMBER.findall(a), NUMBER.findall(b), strict=True)
    return all(
        abs(float(x) - float(y)) <= max(_unit(x), ROUNDING * abs(float(x))) for x, y in pairs
    )


def _unit(number: str) -> float:
    """Return a unit in the last printed place, at most 1e-4: tables print four decimals."""
    decimals = len(number.partition(".")[2])
    return 1.01 * 0.1**decimals if 4 <= decimals <= 9 else 0.0


def main() -> int:
    """Write the outputs, or name those that have changed."""
    if unknown := set(sys.argv[1:]) - {"--check", "--exact"}:  # --help must not write
        sys.exit(f"{', '.join(unknown)}?\n{__doc__}")
    check, exact = "--check" in sys.argv, "--exact" in sys.argv
    os.environ |= {"COLUMNS": "80", "NO_COLOR": "1", "TERM": "dumb", "CALIBTOOL_QUIET": "1"}
    HERE.mkdir(exist_ok=True)
    changed = []
    for name, text in outputs().items():
        path = HERE / f"{name}.txt"
        before = path.read_text(encoding="utf-8") if path.exists() else ""
        if before == text or (check and same(before, text)):
            continue
        changed.append(name)
        if not (check or exact):
            path.write_text(text, encoding="utf-8")
    print("\n".join(changed) or "nothing has changed")
    return 1 if changed and (check or exact) else 0


if __name__ == "__main__":
    sys.exit(main())
