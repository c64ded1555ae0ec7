"""Options that commands share, and what becomes of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from calibtool.data.files.roles import Choice
    from calibtool.data.files.source import Source
    from calibtool.data.readable import Readable
    from calibtool.streaming.summary import Summary

F = TypeVar("F", bound=Callable[..., Any])

READING = (
    *("logits", "probs", "score", "labels", "labels_file", "confidence", "correct"),
    *("predictions", "weights", "classes", "renormalize"),
    *("filter", "skip_bad_files"),
)


def stack(*options: Callable[[F], F]) -> Callable[[F], F]:
    """Several options as one decorator, shown in the order they are listed."""

    def decorate(function: F) -> F:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


reading = stack(
    click.option("--logits", metavar="KEY", help="Key or columns that hold logits."),
    click.option("--probs", metavar="KEY", help="Key or columns that hold probabilities."),
    click.option("--score", metavar="KEY", help="Column of P(class 1), for two classes."),
    click.option("--labels", metavar="KEY", help="Key or column of the labels."),
    click.option("--labels-file", metavar="NPY", help="Labels in a file of their own."),
    click.option("--confidence", metavar="KEY", help="Column of top-label confidences."),
    click.option("--correct", metavar="KEY", help="Column of 0 and 1: was the top label right?"),
    click.option("--predictions", metavar="KEY", help="Column of predicted classes."),
    click.option("--weights", metavar="KEY", help="Column of row weights."),
    click.option("--classes", metavar="A,B,...", help="Class names, in the order of the columns."),
    click.option("--renormalize", is_flag=True, help="Accept probabilities that do not sum to 1."),
    click.option(
        "--filter", metavar="EXPR", help="Rows, such as \"day = '2026-11-01' and p > 0.2\"."
    ),
    click.option("--skip-bad-files", is_flag=True, help="Leave out files that cannot be read."),
)

intervals = stack(
    click.option(
        "--ci",
        type=click.Choice(["inverted", "percentile", "basic", "bca", "none"]),
        default="inverted",
        show_default=True,
        help="How the intervals are made.",
    ),
    click.option("--resamples", type=int, default=1000, show_default=True, metavar="N"),
    click.option("--level", type=float, default=0.95, show_default=True, metavar="SHARE"),
    click.option("--seed", type=int, default=0, show_default=True, metavar="N"),
)

cluster = click.option(
    "--cluster",
    metavar="COLUMN",
    help="Rows with the same value hang together: the bootstrap draws them together.",
)

dask = click.option(
    "--dask",
    metavar="WHERE",
    help="Read FILE on a Dask cluster: local:4 for four processes here, or the address of a "
    "scheduler, tcp://host:8786. The digits are those of one thread.",
)

passes = stack(
    dask,
    click.option(
        "--state",
        metavar="FILE",
        help="Keep how far the reading has come; an interrupted run goes on there.",
    ),
)

form = click.option(
    "--format",
    "format_",
    type=click.Choice(["table", "json", "csv", "markdown"]),
    default="table",
    show_default=True,
)

output = stack(
    form,
    click.option("-o", "--output", metavar="FILE", help="Write to a file, whole or not at all."),
)


def choice(options: dict[str, Any]) -> Choice:
    """The reading options, taken out of a command's options."""
    from calibtool.data.files.roles import Choice

    found = {name: options.pop(name) for name in READING if name in options}
    names = found.pop("classes", None)
    classes = tuple(name.strip() for name in names.split(",")) if names else ()
    return Choice(**found, classes=classes)


def source(path: str, options: dict[str, Any], **how: Any) -> Source:
    """The file, open, with the reading options taken out of a command's options."""
    from calibtool.data.files.open import open_source

    where, kept = options.pop("dask", None), options.pop("state", None)
    found = open_source(path, choice(options), **how)
    return found if where is None and kept is None else _run(found, where, kept)


def _run(found: Source, where: str | None, kept: str | None) -> Source:
    """The file, to be read on a cluster that is there until the command ends, or with what was
    read kept."""
    from dataclasses import replace
    from pathlib import Path

    from calibtool.streaming.engines.engine import RunOptions

    engine = None
    if where is not None:
        from calibtool.streaming.engines.dask_cluster import connected

        engine = click.get_current_context().with_resource(connected(where))
    say = lambda text: click.echo(text, err=True)
    return replace(found, run=RunOptions(engine, None if kept is None else Path(kept), say))


def readable(path: str, options: dict[str, Any], columns: Sequence[str] = ()) -> Readable:
    """The file, open, or the state in a file of cells; columns are carried along."""
    if is_cells(path):
        _refuse(path, [name for name in ("dask", "state") if options.pop(name, None)])
        return opened(path, choice(options))
    return source(path, options).also(columns)


def is_cells(path: str) -> bool:
    """Whether a file is named as one of cells."""
    return path.endswith(".cells")


def opened(path: str, chosen: Choice, columns: Sequence[str] = ()) -> Source | Summary:
    """As `readable`, with the reading options in a choice: of cells, none may be left that would
    have no say."""
    from calibtool.data.files.open import open_source
    from calibtool.data.files.roles import Choice
    from calibtool.streaming.cells_file import load_cells

    if not is_cells(path):
        return open_source(path, chosen).also(columns)
    plain = Choice()
    _refuse(path, [n for n in READING if getattr(chosen, n) != getattr(plain, n)])
    return load_cells(path)


def _refuse(path: str, given: Sequence[str]) -> None:
    from calibtool.errors import UsageError

    if given:
        option = given[0].replace("_", "-")
        raise UsageError(f"{path}: holds cells, no rows; --{option} was for `calibtool cells`")


def again(context: click.Context) -> str:
    """The command that was typed, for a shell to read back."""
    import shlex

    from calibtool.data.files.secrets import without_secrets

    words = context.command_path.split()
    for parameter in context.command.params:
        name = str(parameter.name)
        value = context.params.get(name)
        if context.get_parameter_source(name) is not click.core.ParameterSource.COMMANDLINE:
            continue
        values = value if isinstance(value, tuple) else (value,)
        for one in values:
            option = [] if isinstance(parameter, click.Argument) else [parameter.opts[0]]
            flag = isinstance(parameter, click.Option) and parameter.is_flag
            words += option if flag else [*option, without_secrets(str(one))]
    return shlex.join(words)
