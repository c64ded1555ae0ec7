"""Files that a command reads and writes: what options name them, and that none is both.

`Input` and `Output` are the types of such options and arguments. Each file is held against those
named before it, so that a command ends before it reads anything if it would replace what it reads.
"""

from __future__ import annotations

import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

STANDARD_OUTPUT = "-"
OVERWRITE = "overwrite"  # the option by which a command may replace what it reads
_KEY = "calibtool.cli.files"  # in click's context, which a command shares with its groups


@dataclass
class _Named:
    """What was named so far: name of the option and path, in this order."""

    inputs: list[tuple[Input, str]] = field(default_factory=list)
    outputs: list[tuple[str, str]] = field(default_factory=list)


class File(click.ParamType[str]):
    """What names a file, which a shell completes."""

    name = "text"

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem[str]]:
        from click.shell_completion import CompletionItem

        return [CompletionItem(incomplete, type="file")]


@dataclass(frozen=True)
class Input(File):
    """A file, folder, glob or address that is read.

    Attributes:
        same_kind: whether --overwrite may replace it, since the output is of its kind.
    """

    same_kind: bool = False

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        text = str(value)
        if ctx is not None:
            reads(ctx, text, self)
        return text


class Output(File):
    """A file that is written; "-" is standard output."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        text = str(value)
        if ctx is not None and param is not None:
            writes(ctx, text, param.opts[0])
        return text


class Column(click.ParamType[str]):
    """A column, or a key, of the file that is read; or several, between commas."""

    name = "text"

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem[str]]:
        from click.shell_completion import CompletionItem

        from calibtool.cli.columns import columns

        # click gives up on a line that ends in an option, and keeps the words of before
        given = ctx.params.get("file") or ctx.params.get("files") or ctx.args
        before, comma, last = incomplete.rpartition(",")
        names = columns([given] if isinstance(given, str) else given)
        return [CompletionItem(before + comma + n) for n in names if n.startswith(last)]


overwrite = click.option(
    f"--{OVERWRITE}",
    is_flag=True,
    is_eager=True,  # before the files that it is about
    help="Let the output replace a file that is read.",
)


rows_output = click.option(
    "-o",
    "--output",
    type=Output(),
    required=True,
    metavar="FILE",
    help="npz, parquet, feather, arrow or csv.",
)


def reads(context: click.Context, text: str, kind: Input | None = None) -> None:
    """Note a file that is read, where no option of the command line names it.

    Raises UsageError if it is an output too, InputError if it is neither a file nor a folder.
    """
    named = context.meta.setdefault(_KEY, _Named())
    kind = kind or Input()
    _require_file(text)
    for option, output in named.outputs:
        _require_apart(context, option, output, kind, text)
    named.inputs.append((kind, text))


def writes(context: click.Context, path: str, option: str) -> None:
    """Note a file that is written; raise UsageError if it is read too, or written twice."""
    from calibtool.data.files.overlap import same_target
    from calibtool.errors import UsageError

    if path == STANDARD_OUTPUT:
        return
    named = context.meta.setdefault(_KEY, _Named())
    for kind, text in named.inputs:
        _require_apart(context, option, path, kind, text)
    for other, output in named.outputs:
        if same_target(path, output):
            raise UsageError(f"{option} {path}: {other} writes this file too; give another name")
    named.outputs.append((option, path))


def _require_apart(
    context: click.Context, option: str, output: str, kind: Input, text: str
) -> None:
    """Check that an output replaces nothing that is read, unless --overwrite allows it."""
    from calibtool.data.files.overlap import file_replaced
    from calibtool.errors import UsageError

    file = file_replaced(output, text)
    if file is None:
        return
    may = kind.same_kind and file == text  # not one of many files by the sum of all
    if may and context.params.get(OVERWRITE):
        return
    advice = f"give another name{f', or --{OVERWRITE}' if may else ''}"
    what = "it" if file == output else file
    raise UsageError(f"{option} {output}: would replace {what}, which is read; {advice}")


def _require_file(text: str) -> None:
    """Check that what is read, if it exists, is a file or a folder: a pipe may never end."""
    from calibtool.data.files.store import require_regular

    try:
        mode = Path(text).stat().st_mode
    except (OSError, ValueError):  # opening it will say so
        return
    if not stat.S_ISDIR(mode):
        require_regular(mode, text)
