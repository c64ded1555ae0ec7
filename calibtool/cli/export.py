"""calibtool export: write a calibrator or a threshold as code without calibtool."""

from __future__ import annotations

from typing import Any

import click

from calibtool.calibrators.export.write import TARGETS
from calibtool.cli.files import Input, Output


def command(name: str) -> click.Command:
    """Return the command."""
    return export


@click.command()
@click.argument("document", type=Input())
@click.option("--to", required=True, type=click.Choice(list(TARGETS)), help="What to write.")
@click.option(
    "-o", "--output", type=Output(), required=True, metavar="FILE", help="A .onnx, .py or .h file."
)
@click.option(
    "--input",
    "kind",
    type=click.Choice(["logits", "probs"]),
    help="What will be calibrated. [default: what the calibrator was fitted on]",
)
@click.option(
    "--one-column", is_flag=True, help="The input is one column, that of class 1 of two classes."
)
@click.option(
    "--after", type=Input(), metavar="MODEL", help="Append the calibrator to this model; ONNX only."
)
@click.option(
    "--output-name", metavar="NAME", help="The output of MODEL to calibrate, if it has several."
)
@click.option(
    "--name", metavar="NAME", help="The function to call; Python and C only. [default: FILE's name]"
)
def export(
    document: str, to: str, output: str, kind: Any, name: str | None, **options: Any
) -> None:
    """Write the calibrator or the threshold in DOCUMENT as ONNX, Python or C.

    None of them needs calibtool: the ONNX graph takes any number of rows, the Python module needs
    only `math`, the C header only <math.h>. A threshold also says which rows it accepts.

    \b
    calibtool export temperature.json --to onnx -o calibrate.onnx
    """
    import re
    from pathlib import Path

    from calibtool.calibrators.calibrator import Calibrator
    from calibtool.calibrators.export.write import export as export_calibrator
    from calibtool.cli import output as out
    from calibtool.data.files.write import whole_file
    from calibtool.decisions.applied import load_applied
    from calibtool.decisions.export import export_threshold
    from calibtool.decisions.threshold import Threshold
    from calibtool.errors import UsageError

    target = TARGETS[to]
    if Path(output).suffix.lower() != target.suffix:
        raise UsageError(f"{output}: the file of {target.title} must end in {target.suffix}")
    if name is None and to != "onnx":
        name = re.sub(r"\W", "_", Path(output).stem, flags=re.ASCII)
    fitted = load_applied(document)
    if isinstance(fitted, Threshold):
        data = export_threshold(fitted, to, kind=kind, name=name, source=document, **options)
    elif isinstance(fitted, Calibrator):
        kind = kind or fitted.fitted.kind or "logits"
        data = export_calibrator(fitted, to, kind=kind, name=name, source=document, **options)
    else:
        raise UsageError(
            f"{document}: holds {fitted.describe()}, which cannot be exported; export a "
            "calibrator or a threshold"
        )
    with whole_file(output) as file:
        file.write(data)
    out.tell(f"Wrote {fitted.describe()} as {target.title} to {output}")
