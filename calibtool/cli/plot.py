"""calibtool plot KIND."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import click

from calibtool.cli import options as shared
from calibtool.diagrams.registry import KINDS, Kind

if TYPE_CHECKING:
    from calibtool.data.readable import Readable

CALIBRATED = click.option(
    "--calibrator",
    "calibrators",
    metavar="JSON",
    multiple=True,
    help="Overlay what this calibrator makes of it; may be given several times.",
)
RESAMPLES = click.option("--resamples", type=int, default=1000, show_default=True, metavar="N")
VIEW = click.option(
    "--view",
    type=click.Choice(["auto", "top", "positive"]),
    default="auto",
    show_default=True,
    help="Confidence of the predicted class, or P(class 1).",
)


def bins(default: int) -> Callable[..., Any]:
    """How many bins."""
    return click.option("--bins", type=click.IntRange(1, 1000), default=default, show_default=True)


def top(default: int) -> Callable[..., Any]:
    """How many classes."""
    return click.option(
        "--top",
        type=click.IntRange(1, 60),
        default=default,
        show_default=True,
        help="Of many classes, the worst so many.",
    )


# the options that a kind has besides those of all
OWN: dict[str, tuple[Callable[..., Any], ...]] = {
    "reliability": (
        CALIBRATED,
        click.option("--smooth", "form", flag_value="smooth", help="A kernel curve: smooth ECE."),
        click.option("--corp", "form", flag_value="corp", help="Isotonic: MCB, DSC and UNC."),
        click.option("--logit-axis", "logit", is_flag=True, help="Tell 0.99 from 0.999."),
        click.option(
            "--by",
            metavar="COLUMN",
            help="A small diagram for each of its values; also country,device, `predicted` or "
            "`confidence`.",
        ),
        bins(15),
        click.option(
            "--profile",
            type=click.Choice(["equal_width", "equal_mass"]),
            help="Which bins; of equal width, unless the axis is a logit axis.",
        ),
        click.option(
            "--intervals",
            type=click.Choice(["clopper-pearson", "bootstrap"]),
            default="clopper-pearson",
            show_default=True,
            help="Of the bins.",
        ),
        click.option(
            "--bands",
            type=click.Choice(["confidence", "consistency", "both", "none"]),
            help="Where the curve could be, or where that of a perfect model would be; both, "
            "unless several curves are overlaid.",
        ),
        VIEW,
        RESAMPLES,
    ),
    "classwise": (top(8), bins(15), RESAMPLES),
    "confusion-calibration": (top(20), RESAMPLES),
    "confidence": (bins(20), VIEW, RESAMPLES),
    "bins": (RESAMPLES,),
    "temperature": (bins(15), RESAMPLES),
    "risk-coverage": (CALIBRATED, RESAMPLES),
    "shift": (
        click.option("--over", metavar="COLUMN", required=True, help="Numbers or times."),
        click.option(
            "--groups",
            type=click.IntRange(2, 1000),
            default=10,
            show_default=True,
            help="Stretches of about as many rows each.",
        ),
        bins(15),
        VIEW,
        RESAMPLES,
    ),
    "gain": (
        click.option("--methods", metavar="LIST", help="Calibrators; all, unless said."),
        click.option("--test", metavar="FILE", help="Measure on this file; no cross-fitting."),
        RESAMPLES,
    ),
    "belt": (VIEW, RESAMPLES),
    "compare": (VIEW, RESAMPLES),
}
OF_ALL = shared.stack(
    click.option(
        "-o",
        "--output",
        metavar="FILE",
        help="png, svg or pdf; KIND.png unless said. A plain reliability diagram is drawn in the "
        "terminal instead.",
    ),
    click.option(
        "--data",
        metavar="FILE",
        help="Write what is drawn, as csv or json; without -o, there is no picture then.",
    ),
    click.option("--width", metavar="WIDTH", help="Such as 3.25in or 82mm."),
    click.option(
        "--style",
        type=click.Choice(["paper", "talk", "dark"]),
        default="paper",
        show_default=True,
    ),
    click.option("--title", help="A title; on paper there is none by default."),
    click.option("--level", type=float, default=0.95, show_default=True, metavar="SHARE"),
    click.option("--seed", type=int, default=0, show_default=True, metavar="N"),
    shared.reading,
)


class Diagrams(click.Group):
    """A command a kind, by the table."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(KINDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        return _kind(name, KINDS[name]) if name in KINDS else None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in KINDS and not args[0].startswith("-"):
            raise click.UsageError(
                f"there is no diagram {args[0]!r}; there are {', '.join(KINDS)}", ctx
            )
        return super().resolve_command(ctx, args)


def command(name: str) -> click.Command:
    """The group of diagrams."""
    return plot


@click.command(cls=Diagrams)
def plot() -> None:
    """Draw a diagram of the predictions in a file."""


def _kind(name: str, kind: Kind) -> click.Command:
    def run(files: Sequence[str], **options: Any) -> None:
        _plot(name, kind, [files] if isinstance(files, str) else files, options)

    run.__doc__ = f"{kind.summary}\n\n{kind.text}\n\n({kind.source})".replace("\n\n\n\n", "\n\n")
    one = kind.files == (1, 1)
    argument = (
        click.argument("files", metavar="FILE")
        if one
        else click.argument("files", metavar="FILE...", nargs=-1, required=True)
    )
    decorated = shared.stack(argument, *OWN[name], OF_ALL)(run)
    return click.command(name, short_help=kind.summary)(decorated)


def _plot(name: str, kind: Kind, files: Sequence[str], options: dict[str, Any]) -> None:
    from calibtool.cli import output as out
    from calibtool.data.files.write import require_writable
    from calibtool.diagrams import data_file, figure, style
    from calibtool.diagrams.registry import module_of

    output, data = options.pop("output"), options.pop("data")
    look = {key: options.pop(key) for key in ("width", "style", "title")}
    letters = output is None and data is None and _in_letters(name, options, look)
    if output is None and data is None and not letters:
        output = f"{name}.png"
    if output:
        figure.require_suffix(output)
    if data:
        data_file.require_suffix(data)
    style.inches(look["width"])
    for path in (output, data):
        if path:
            require_writable(path)
    _require_number(name, kind, files)
    predictions = _read(kind, files, options)
    asked = {key: value for key, value in options.items() if value is not None}
    with out.progress() as progress:
        diagram = module_of(name).compute(predictions, progress=progress, **asked)
    if data:
        data_file.save(name, diagram, data)
    if output:
        figure.save(name, diagram, output, **look)
    if letters:
        from calibtool.diagrams import terminal

        text = terminal.reliability(diagram, **out.terminal(), letters=out.letters())
        out.emit(text, None)
    for note in diagram.notes:
        click.echo(f"Note: {note}", err=True)
    wrote = [path for path in (output, data) if path]
    if wrote:
        click.echo(f"Wrote {' and '.join(wrote)}", err=True)


def _in_letters(name: str, options: dict[str, Any], look: dict[str, Any]) -> bool:
    """Whether a diagram of no more than bins is asked for, and no picture's looks."""
    more = any(options.get(key) for key in ("form", "logit", "by"))
    looks = look["width"] or look["title"] or look["style"] != "paper"
    return name == "reliability" and not more and not looks


def _require_number(name: str, kind: Kind, files: Sequence[str]) -> None:
    least, most = kind.files
    if len(files) < least or (most is not None and len(files) > most):
        wanted = "one file" if most == 1 else f"{least} files"
        raise click.UsageError(f"plot {name} draws {wanted}, not {len(files)}")


def _read(
    kind: Kind, files: Sequence[str], options: dict[str, Any]
) -> Readable | dict[str, Readable]:
    """The files, open, by what to call them; calibrators are loaded and their columns carried."""
    from calibtool.calibrators.fit import load_calibrator
    from calibtool.data.files.open import open_source
    from calibtool.formatting import names_of

    choice = shared.choice(options)
    columns = [options[key] for key in kind.columns if options.get(key)]
    if "calibrators" in options:
        fitted = [load_calibrator(path) for path in options["calibrators"]]
        columns += [column for one in fitted for column in one.columns]
        options["calibrators"] = fitted
    if options.get("methods"):
        options["methods"] = [name.strip() for name in options["methods"].split(",")]
    if options.get("test"):
        options["test"] = open_source(options["test"], choice).load()
    sources = [_open(path, choice, columns) for path in files]
    if kind.files == (1, 1):
        return sources[0]
    if len(set(files)) < len(files):
        raise click.UsageError("the same file is given twice")
    return dict(zip(names_of(files), sources, strict=True))


def _open(path: str, choice: Any, columns: Sequence[str]) -> Readable:
    if shared.is_cells(path):
        return shared.opened(path, choice)
    from calibtool.data.files.open import open_source
    from calibtool.data.slicing import carrying

    return carrying(open_source(path, choice), columns)
