"""Options that commands share, and what is opened by them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

from calibtool.cli.files import Column, Input, Output

if TYPE_CHECKING:
    from calibtool.data.files.roles import Choice
    from calibtool.data.files.source import Source
    from calibtool.data.readable import Readable
    from calibtool.evaluation.report import Report
    from calibtool.evaluation.resampling import Resampling
    from calibtool.streaming.summary import Summary

F = TypeVar("F", bound=Callable[..., Any])

READING = (
    *("logits", "probs", "score", "labels", "labels_file", "confidence", "correct"),
    *("predictions", "weights", "classes", "renormalize"),
    *("filter", "skip_bad_files", "max_unpacked"),
    *("reader", "split", "id", "join", "scale", "drop_missing", "skip_bad_rows"),
    *("norm", "scorer", "options", "question", "multilabel", "layout", "ignore"),
    *("ordinal", "cut_points", "soft_labels"),
)


def stack(*options: Callable[[F], F]) -> Callable[[F], F]:
    """Return several options as one decorator, shown in the order in which they are listed."""

    def decorate(function: F) -> F:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


def _key(flag: str, text: str) -> Callable[[F], F]:
    """Return the option of a column, or of a key, of the file that is read."""
    return click.option(flag, type=Column(), metavar="KEY", help=text)


reading = stack(
    _key("--logits", "Key or columns that hold logits."),
    _key("--probs", "Key or columns that hold probabilities."),
    _key("--score", "Column of P(class 1), for two classes."),
    _key("--labels", "Key or column of the labels."),
    click.option("--labels-file", type=Input(), metavar="FILE", help="Labels in a separate file."),
    _key("--id", "Column that rows are matched by, with other files."),
    click.option(
        "--join",
        type=click.Choice(["inner"]),
        help="Leave out rows and labels that have no partner, instead of refusing them.",
    ),
    _key("--confidence", "Column of top-label confidences."),
    _key("--correct", "Column of 0 and 1: was the top label correct?"),
    _key("--predictions", "Column of predicted classes."),
    _key("--weights", "Column of row weights."),
    click.option("--classes", metavar="A,B,...", help="Class names, in the order of the columns."),
    click.option("--renormalize", is_flag=True, help="Accept probabilities that do not sum to 1."),
    click.option(
        "--filter", metavar="EXPR", help="Rows to read, such as \"day = '2026-11-01' and p > 0.2\"."
    ),
    click.option("--skip-bad-files", is_flag=True, help="Skip files that cannot be read."),
    click.option("--skip-bad-rows", is_flag=True, help="Skip lines of JSON that cannot be read."),
    click.option(
        "--drop-missing", is_flag=True, help="Leave out rows without a score or a label; counted."
    ),
    click.option(
        "--scale",
        type=float,
        metavar="X",
        help="Divide scores or confidences by X: 100 for percentages.",
    ),
    click.option(
        "--reader", metavar="NAME", help="Format of the file, where its name does not tell."
    ),
    click.option("--split", metavar="NAME", help="Split of a data set that has several."),
    click.option(
        "--norm",
        type=click.Choice(["none", "chars", "bytes", "mutual-info"]),
        help="lm-evaluation-harness, lighteval: what log-likelihoods are divided by.",
    ),
    click.option("--scorer", metavar="NAME", help="Inspect: the scorer to read."),
    click.option(
        "--options",
        metavar="A,B,...",
        help="Logs with log-probabilities of tokens: the answers to choose from.",
    ),
    click.option("--question", metavar="NAME", help="Logs of decisions: the question to read."),
    click.option(
        "--multilabel",
        is_flag=True,
        help="A row holds several labels, each with a probability and a target of its own.",
    ),
    click.option(
        "--layout",
        type=click.Choice(["channels-first", "channels-last"]),
        help="Images, texts: which axis of the scores holds the classes.",
    ),
    click.option(
        "--ignore",
        metavar="N,...",
        help="Labels of rows, or of pixels, that are not measured, such as 255.",
    ),
    click.option(
        "--ordinal",
        is_flag=True,
        help="The classes are levels, such as 1 to 5 stars: their names may be any numbers.",
    ),
    click.option(
        "--cut-points",
        is_flag=True,
        help="Levels: read each row as statements, 'at most 1', 'at most 2', and so on.",
    ),
    _key(
        "--soft-labels",
        "Key or columns of a distribution, or of votes, over the classes of each row.",
    ),
    click.option(
        "--max-unpacked",
        type=click.FloatRange(min=0),
        metavar="GB",
        help="Limit of what compressed arrays of an npz may unpack to.  [default: 0.27 GB, or 16 "
        "times the file]",
    ),
)


def resamples(number: int) -> Callable[[F], F]:
    """Return the option of bootstrap replicates, by default `number` of them."""
    return click.option(
        "--resamples",
        type=int,
        default=number,
        show_default=True,
        metavar="N",
        help="Bootstrap replicates; 0 for no intervals.",
    )


level = click.option(
    "--level",
    type=float,
    default=0.95,
    show_default=True,
    metavar="SHARE",
    help="Confidence level.",
)
seed = click.option(
    "--seed", type=int, default=0, show_default=True, metavar="N", help="Of the replicates."
)


def replicates(number: int = 1000) -> Callable[[F], F]:
    """Return the options of bootstrap replicates, by default `number` of them."""
    return stack(resamples(number), level, seed)


intervals = stack(
    click.option(
        "--ci",
        type=click.Choice(["inverted", "percentile", "basic", "bca", "none"]),
        default="inverted",
        metavar="METHOD",
        help="inverted (by default), percentile, basic, bca or none.",
    ),
    replicates(),
)

cluster = click.option(
    "--cluster",
    type=Column(),
    metavar="COLUMN",
    help="Rows with the same value (one patient) stay together.",
)

dask = click.option(
    "--dask",
    metavar="WHERE",
    help="Read FILE by Dask: local:4, or a scheduler, tcp://host:8786.",
)

passes = stack(
    dask,
    click.option(
        "--state",
        type=Output(),
        metavar="FILE",
        help="Checkpoint, from which an interrupted run resumes.",
    ),
)

form = click.option(
    "--format",
    "format_",
    type=click.Choice(["table", "json", "csv", "markdown"]),
    default="table",
    show_default=True,
    metavar="FORMAT",
    help="table, json, csv or markdown.",
)

to_file = click.option(
    "-o", "--output", type=Output(), metavar="FILE", help="Write to FILE instead."
)

output = stack(form, to_file)


def default_metrics(options: Mapping[str, Any], others: Any) -> Any:
    """Return the metrics that a command measures by default: those of levels, or others."""
    return "ordinal" if options["ordinal"] and not options["cut_points"] else others


def carrying_all(source: Source, used: Collection[str]) -> Source:
    """Return a source with every column that can be written again; say which cannot.

    Columns that are `used` have no missing values in it.
    """
    from calibtool.cli import output as out
    from calibtool.data.files.carry import carried, carrying

    source = source.also(used)
    extra, left = carried(source)
    for name, reason in left:
        out.tell(f"Left out: {name} ({reason})")
    return carrying(source, extra, used)


def choice(options: dict[str, Any]) -> Choice:
    """Remove the reading options from a command's options, and return them as a record."""
    from calibtool.data.files.roles import Choice

    reading = {name: options.pop(name) for name in READING if name in options}
    names = reading.pop("classes", None)
    classes = tuple(name.strip() for name in names.split(",")) if names else ()
    answers = reading.pop("options", None)
    several = tuple(name.strip() for name in answers.split(",")) if answers else ()
    reading["join"] = reading.pop("join", None) or ""
    ignore = _whole_numbers(reading.pop("ignore", None))
    return Choice(**reading, classes=classes, options=several, ignore=ignore)


def _whole_numbers(text: str | None) -> tuple[int, ...]:
    """Return the numbers of a list such as "255,-100". Raises click.UsageError."""
    try:
        return tuple(int(number) for number in text.split(",")) if text else ()
    except ValueError:
        raise click.UsageError(
            f"--ignore {text!r}: expected labels that are not measured, such as 255"
        ) from None


def matching(options: dict[str, Any]) -> str | None:
    """Return the column by which the rows of several files are matched; it stays an option of
    reading only where labels are joined by it too."""
    column: str | None = options["id"]
    if not options["labels_file"]:
        options["id"] = None
    return column


def resampling(options: dict[str, Any]) -> Resampling:
    """Remove the options of intervals from a command's options, and return them as a record."""
    from calibtool.evaluation.resampling import Resampling

    return Resampling(*(options.pop(name) for name in ("ci", "resamples", "level", "seed")))


def source(path: str, options: dict[str, Any], *, extra: Sequence[str] = ()) -> Source:
    """Open a file by a command's options, and remove those of reading from them."""
    from calibtool.data.files.open import open_source

    cluster, checkpoint = options.pop("dask", None), options.pop("state", None)
    opened = open_source(path, choice(options), extra=extra)
    return opened if cluster is None and checkpoint is None else _run(opened, cluster, checkpoint)


def _run(opened: Source, cluster: str | None, checkpoint: str | None) -> Source:
    """Return a source that is read on a cluster, which is connected until the command ends, or with
    a checkpoint file."""
    from dataclasses import replace
    from pathlib import Path

    from calibtool.cli.output import tell
    from calibtool.streaming.engines.engine import RunOptions

    engine = None
    if cluster is not None:
        from calibtool.streaming.engines.dask_cluster import connected

        engine = click.get_current_context().with_resource(connected(cluster))
    path = None if checkpoint is None else Path(checkpoint)
    return replace(opened, run=RunOptions(engine, path, tell))


def readable(path: str, options: dict[str, Any], columns: Sequence[str] = ()) -> Readable:
    """Open a file, or load the summary of a file of cells; `columns` are read too."""
    if is_cells(path):
        _refuse(path, [name for name in ("dask", "state") if options.pop(name, None)])
        return opened(path, choice(options))
    return source(path, options).also(columns)


def is_cells(path: str) -> bool:
    """Return whether a file is one of cells, by its name."""
    return path.endswith(".cells")


def opened(path: str, chosen: Choice, columns: Sequence[str] = ()) -> Source | Summary:
    """Open a file as `readable` does, with the reading options as a record. Options that would have
    no effect on cells are refused.

    Raises UsageError.
    """
    from calibtool.data.files.open import open_source
    from calibtool.data.files.roles import Choice
    from calibtool.streaming.cells_file import load_cells

    if not is_cells(path):
        return open_source(path, chosen).also(columns)
    plain = Choice()
    _refuse(path, [n for n in READING if getattr(chosen, n) != getattr(plain, n)])
    return load_cells(path)


def _refuse(path: str, names: Sequence[str]) -> None:
    """Raise UsageError if there are names, those of options that only apply to rows."""
    from calibtool.errors import UsageError

    if names:
        option = names[0].replace("_", "-")
        raise UsageError(
            f"{path}: holds cells, no rows; --{option} only applies to rows (`calibtool cells`)"
        )


def again(context: click.Context) -> str:
    """Return the command that was typed, quoted for a shell."""
    return f"{context.command_path} {_typed(context)}".rstrip()


def flags_of(context: click.Context) -> str:
    """Return the options of reading that were typed, for the commands that a result names."""
    from calibtool.formatting import printable

    return printable(_typed(context, READING))


def with_flags(report: Report, context: click.Context) -> Report:
    """Return a report whose advice on the next command repeats the options of reading that were
    typed for this one."""
    from dataclasses import replace

    from calibtool.formatting import Lines

    flags = flags_of(context)
    head, found, command = report.reading.rpartition("Next: calibtool ")
    if not flags or not found:
        return report
    words, _, rest = command.partition(" -o ")
    reading = Lines(f"{head}{found}{words} {flags} -o {rest}")
    return replace(report, reading=reading)


def _typed(context: click.Context, only: Sequence[str] | None = None) -> str:
    """Return the arguments and options that were typed, or some of the options, quoted for a
    shell."""
    import shlex

    from calibtool.data.files.secrets import without_secrets

    words: list[str] = []
    for parameter in context.command.params:
        name = str(parameter.name)
        if only is not None and name not in only:
            continue
        value = context.params.get(name)
        if context.get_parameter_source(name) is not click.core.ParameterSource.COMMANDLINE:
            continue
        values = value if isinstance(value, tuple) else (value,)
        for text in values:
            option = [] if isinstance(parameter, click.Argument) else [parameter.opts[0]]
            flag = isinstance(parameter, click.Option) and parameter.is_flag
            words += option if flag else [*option, without_secrets(str(text))]
    return shlex.join(words)
