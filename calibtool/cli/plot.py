"""calibtool plot KIND: a command per line of the table of diagrams."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import click

from calibtool.cli import options as shared
from calibtool.cli.files import Input, Output, writes
from calibtool.cli.groups import Grouped, Sections
from calibtool.cli.options import F
from calibtool.cli.progress import quiet, shown
from calibtool.diagrams.registry import KINDS, Kind, module_of

if TYPE_CHECKING:
    from calibtool.data.files.roles import Choice
    from calibtool.data.readable import Readable
    from calibtool.diagrams.options import Parameter

METAVARS = {
    "column": "COLUMN",
    "names": "LIST",
    "predictions": "FILE",
    "calibrators": "JSON",
    "sets": "JSON",
}
# of the options below, those of how a picture looks
LOOK = ("width", "height", "style", "title", "caption", "stats", "names", "rename", "transparent")
# options of every kind, below those that `compute` names
OF_ALL = shared.stack(
    shared.resamples(1000),
    click.option(
        "-o",
        "--output",
        type=Output(),
        metavar="FILE",
        help="Picture: png, svg or pdf. By default KIND.png; a plain reliability diagram is drawn "
        "in the terminal instead.",
    ),
    click.option(
        "--data",
        type=Output(),
        metavar="FILE",
        help="Write what is drawn as csv or json; without -o, no picture is drawn.",
    ),
    click.option("--width", metavar="WIDTH", help="Width of the picture, such as 3.25in or 82mm."),
    click.option("--height", metavar="HEIGHT", help="Height; by default that of what is drawn."),
    click.option(
        "--style",
        type=click.Choice(["paper", "talk", "poster", "dark"]),
        default="paper",
        show_default=True,
    ),
    click.option("--title", help="Title; by default none on paper, otherwise the file names."),
    click.option(
        "--caption",
        metavar="TEXT",
        help="Small print, `none` for none; by default it explains the marks.",
    ),
    click.option(
        "--stats",
        type=click.Choice(["all", "none"]),
        help="Whether numbers are written into the picture.",
    ),
    click.option(
        "--name",
        "names",
        metavar="NAME",
        multiple=True,
        help="What the key calls a FILE or calibrator: once for each, in their order.",
    ),
    click.option(
        "--rename",
        metavar="OLD=NEW",
        multiple=True,
        help="Another name of an axis, panel or series; can be repeated.",
    ),
    click.option("--transparent", is_flag=True, help="Draw no background."),
    shared.level,
    shared.seed,
    quiet,
    shared.reading,
)


class Diagrams(Sections):
    """One command per line of the table."""

    noun = "diagram"

    def sections(self) -> dict[str, dict[str, str]]:
        return {"Diagrams": {name: kind.summary for name, kind in KINDS.items()}}

    def make(self, name: str) -> click.Command:
        return DiagramCommand(name, KINDS[name])


class DiagramCommand(Grouped):
    """The command of one kind. Its options are read off `compute` only when they are needed: the
    list of kinds, which makes every command, imports none of their modules."""

    def __init__(self, name: str, kind: Kind) -> None:
        text = f"{kind.summary}\n\n{kind.text}\n\n({kind.source})"
        super().__init__(name, callback=self._draw, help=text, short_help=kind.summary)
        self.kind = kind

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        if not self.params:
            self.params = _params(str(self.name), self.kind)
        return super().get_params(ctx)

    def _draw(self, files: str | Sequence[str], **options: Any) -> None:
        paths = [files] if isinstance(files, str) else files
        _plot(str(self.name), self.kind, paths, options)


def command(name: str) -> click.Command:
    """Return the group of diagrams."""
    return plot


@click.command(cls=Diagrams)
def plot() -> None:
    """Draw a diagram of the predictions in a file."""


def _params(name: str, kind: Kind) -> list[click.Parameter]:
    """Return the argument and the options of a kind."""
    only = kind.files == (1, 1)

    @click.command(cls=Grouped)
    @click.argument(
        "files",
        type=Input(),
        metavar="FILE" if only else "FILE...",
        nargs=1 if only else -1,
        required=True,
    )
    @shared.stack(*(_option(parameter) for parameter in _parameters(name)))
    @OF_ALL
    def listed() -> None: ...

    return listed.params


def _parameters(name: str) -> list[Parameter]:
    from calibtool.diagrams.options import parameters

    return parameters(module_of(name).compute)


def _option(parameter: Parameter) -> Callable[[F], F]:
    """Return the option of a parameter, or a flag for each of its values, as a decorator."""
    option, name = parameter.option, parameter.name
    if option.flags:
        flags = option.flags.items()
        return shared.stack(
            *(
                click.option(f"--{value}", name, flag_value=value, help=text)
                for value, text in flags
            )
        )
    settings: dict[str, Any] = {"help": option.help}
    if parameter.type is bool:
        settings |= {"is_flag": True}
    elif parameter.choices:
        settings |= {"type": click.Choice(parameter.choices)}
    elif option.within is not None:
        settings |= {"type": click.IntRange(*option.within)}
    else:
        settings |= {
            "metavar": METAVARS.get(option.typed),
            "multiple": option.typed in ("calibrators", "sets"),
            "type": Input() if option.typed in ("calibrators", "predictions", "sets") else None,
        }
    if parameter.required:
        settings |= {"required": True}
    elif option.typed == "value" and parameter.default is not None:
        settings |= {"default": parameter.default, "show_default": parameter.type is not bool}
    return click.option(f"--{(option.name or name).replace('_', '-')}", name, **settings)


def _plot(name: str, kind: Kind, files: Sequence[str], options: dict[str, Any]) -> None:
    from calibtool.calibrators.processes import allowed
    from calibtool.cli import output as out
    from calibtool.data.files.write import require_writable
    from calibtool.diagrams import data_file, figure, style
    from calibtool.diagrams.look import pairs_of
    from calibtool.formatting import joined

    output, data = options.pop("output"), options.pop("data")
    look: Any = {key: options.pop(key) for key in LOOK}
    in_terminal = output is None and data is None and _in_terminal(name, options, look)
    if output is None and data is None and not in_terminal:
        output = f"{name}.png"
        writes(click.get_current_context(), output, "-o")
    if output:
        figure.require_suffix(output)
    if data:
        data_file.require_suffix(data)
    style.inches(look["width"])
    style.inches(look["height"], "--height")
    look["rename"] = pairs_of(look["rename"])
    for path in (output, data):
        if path:
            require_writable(path)
    _require_number(name, kind, files)
    predictions = _read(name, kind, files, options)
    settings = {key: value for key, value in options.items() if value is not None}
    with shown() as progress, allowed():
        diagram = module_of(name).compute(predictions, progress=progress, **settings)
    if data:
        data_file.save(name, diagram, data)
    pictures = figure.save(name, diagram, output, **look) if output else []
    if in_terminal:
        from calibtool.diagrams import terminal

        text = terminal.reliability(diagram, **out.terminal(), letters=out.encoding())
        out.emit(text, None)
    for note in diagram.notes:
        out.tell(f"Note: {note}")
    wrote = [*map(str, pictures), *([data] if data else [])]
    if wrote:
        out.tell(f"Wrote {joined(wrote)}")


def _in_terminal(name: str, options: dict[str, Any], look: dict[str, Any]) -> bool:
    """Return whether the terminal can show the diagram: bins alone, no style of a picture."""
    more = any(options.get(key) for key in ("form", "logit", "by"))
    plain = {"style": "paper"}
    looks = any(value for key, value in look.items() if value != plain.get(key))
    return name == "reliability" and not more and not looks


def _require_number(name: str, kind: Kind, files: Sequence[str]) -> None:
    smallest, largest = kind.files
    if len(files) < smallest or (largest is not None and len(files) > largest):
        needed = "one file" if largest == 1 else f"{smallest} files"
        raise click.UsageError(f"plot {name} draws {needed}, not {len(files)}")


def _read(
    name: str, kind: Kind, files: Sequence[str], options: dict[str, Any]
) -> Readable | dict[str, Readable]:
    """Open the files, by their names in the key; turn what was typed in `options` into what
    `compute` takes. Columns that an option or a calibrator names are carried along."""
    from calibtool.calibrators.fit import load_calibrator
    from calibtool.data.files.open import open_source
    from calibtool.decisions.prediction_sets import load_sets
    from calibtool.formatting import names_of

    choice = shared.choice(options)
    columns: list[str] = []
    for parameter in _parameters(name):
        value, typed = options[parameter.name], parameter.option.typed
        if not value:
            continue
        if typed == "column":
            columns.append(value)
        elif typed == "calibrators":
            calibrators = [load_calibrator(path) for path in value]
            columns += [column for calibrator in calibrators for column in calibrator.columns]
            options[parameter.name] = calibrators
        elif typed == "sets":
            rules = [load_sets(path) for path in value]
            columns += [column for rule in rules for column in rule.columns]
            options[parameter.name] = rules
        elif typed == "names":
            options[parameter.name] = [word.strip() for word in value.split(",")]
        elif typed == "predictions":
            options[parameter.name] = open_source(value, choice).load()
    sources = [_open(path, choice, columns) for path in files]
    if kind.files == (1, 1):
        return sources[0]
    if len(set(files)) < len(files):
        raise click.UsageError("the same file is given twice")
    return dict(zip(names_of(files), sources, strict=True))


def _open(path: str, choice: Choice, columns: Sequence[str]) -> Readable:
    if shared.is_cells(path):
        return shared.opened(path, choice)
    from calibtool.data.files.open import open_source
    from calibtool.data.slicing import carrying

    return carrying(open_source(path, choice), columns)
