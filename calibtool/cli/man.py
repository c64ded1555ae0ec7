"""calibtool man FOLDER: the manual pages, from the same source as the help."""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Iterator

import click

from calibtool.cli.files import Output
from calibtool.cli.groups import Grouped, Sections, inner
from calibtool.cli.main import BAD, FAILED, INCONCLUSIVE, OK
from calibtool.version import __version__

WIDTH = 60  # of the lines of a page, which escapes lengthen; mandoc wants at most 80
EXIT_STATUS = {
    OK: "Done; of check: every requirement is met.",
    FAILED: "Of check: a requirement is not met.",
    BAD: "Bad use or bad input.",
    INCONCLUSIVE: "Of check and threshold: there are too few rows to decide.",
}


def command(name: str) -> click.Command:
    """Return the command."""
    return man


@click.command()
@click.argument("folder", type=Output())
@click.pass_context
def man(ctx: click.Context, folder: str) -> None:
    """Write the manual pages of all commands to FOLDER, such as ~/.local/share/man/man1.

    \b
    calibtool man man1
    man -l man1/calibtool-evaluate.1
    """
    from pathlib import Path

    from calibtool.cli import output as out
    from calibtool.data.files.write import make_folder, write_text

    target = Path(folder)
    make_folder(target)
    written = dict(pages(ctx.find_root()))
    for name, text in written.items():
        write_text(target / f"{name}.1", text)
    out.say(f"{len(written)} pages -> {target}")
    out.say(f"Next: man -l {target / 'calibtool.1'}")


def pages(ctx: click.Context) -> Iterator[tuple[str, str]]:
    """Return names and texts of the pages of a command and of its commands, each once.

    `fit-platt` is `fit platt` under another name, and has its page.
    """
    yield ctx.command_path.replace(" ", "-"), "\n".join(_page(ctx)) + "\n"
    group = ctx.command
    for name in group.list_commands(ctx) if isinstance(group, click.Group) else []:
        if ctx.parent is not None or not name.startswith("fit-"):
            yield from pages(inner(ctx, name))


def _page(ctx: click.Context) -> Iterator[str]:
    """Return the lines of a page."""
    path, about = ctx.command_path, ctx.command
    name = path.replace(" ", "-")
    text = inspect.cleandoc(about.help or "")
    summary = " ".join(text.partition("\n\n")[0].split()).rstrip(".:")
    yield f'.TH {roff(name.upper())} 1 "" "calibtool {__version__}" "calibtool"'
    first, *rest = _lines(summary)
    yield from (".SH NAME", f"{roff(name)} \\- {first}", *rest, ".SH SYNOPSIS")
    yield f".B {roff(path)}"
    yield roff(" ".join(about.collect_usage_pieces(ctx)))
    yield ".SH DESCRIPTION"
    for k, paragraph in enumerate(text.split("\n\n")):
        yield from [".PP"] * bool(k)
        yield from _paragraph(paragraph)
    for title, records in _options(ctx).items():
        yield f'.SH "{roff(title.upper())}"'
        yield from _list(records)
    if ctx.parent is None:
        yield ".SH EXIT STATUS"
        yield from _list([(str(code), text) for code, text in EXIT_STATUS.items()])
    else:
        yield ".SH SEE ALSO"
        yield f".BR {roff(ctx.parent.command_path.replace(' ', '-'))} (1)"


def _paragraph(text: str) -> Iterator[str]:
    r"""Return a paragraph, which is filled unless it begins with click's mark \b."""
    first, *lines = text.split("\n")
    if first == "\b":
        yield from (".nf", *map(roff, lines), ".fi")
    else:
        yield from _lines(text)


def _list(records: list[tuple[str, str]]) -> Iterator[str]:
    """Return names, in bold, and what they are."""
    for name, text in records:
        yield from (".TP", f"\\fB{roff(name)}\\fR", *_lines(text))


def _lines(text: str) -> list[str]:
    """Return text in short lines, which roff fills."""
    lines = textwrap.wrap(text, WIDTH, break_long_words=False, break_on_hyphens=False)
    return [roff(line) for line in lines]


def _options(ctx: click.Context) -> dict[str, list[tuple[str, str]]]:
    """Return the options of a command by their groups or, of a group, its commands by theirs."""
    about = ctx.command
    found: dict[str, list[tuple[str, str]]] = {}
    if isinstance(about, Sections):
        found = {title: list(part.items()) for title, part in about.sections().items()}
    if isinstance(about, Grouped):
        return {title.partition(" (")[0]: records for title, records in about.grouped(ctx).items()}
    records = [parameter.get_help_record(ctx) for parameter in about.get_params(ctx)]
    return {**found, "Options": [record for record in records if record is not None]}


def roff(text: str) -> str:
    r"""Return text on one line that roff prints as it is, in ASCII.

    >>> print(roff("--pm ± 'x'"), roff(".5 a\\b"))
    \-\-pm \[u00B1] \[aq]x\[aq] \&.5 a\eb
    """
    signs = {"\\": "\\e", "-": "\\-", "'": "\\[aq]", "`": "\\[ga]", "^": "\\[ha]", "~": "\\[ti]"}
    signs['"'] = "\\[dq]"
    line = "".join(signs.get(sign) or (sign if sign < "\x7f" else _code(sign)) for sign in text)
    return f"\\&{line}" if line.startswith(".") else line


def _code(sign: str) -> str:
    return f"\\[u{ord(sign):04X}]"
