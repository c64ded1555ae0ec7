"""docs/reference/commands.md, from the commands themselves.

An option that MANY commands have, with the same text, is told once, below the commands, and named
in each of them.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import click

from calibtool.cli.groups import GROUPS, READING, TOLD, Grouped, Sections, inner
from calibtool.cli.help import OPTIONS, TOPICS
from calibtool.cli.main import COMMANDS, group

MANY = 4  # commands: kinds of diagrams and methods of fits count as one each
HEAD = """\
# Commands

<!-- Made from the code by `just docs`; do not edit. -->

Every command has `--help`. Options of many commands are explained once, [below](#shared-options).
"""
REFERRED = {READING: "reading", **TOLD}  # what `calibtool help` tells
ORDER = [*GROUPS, "Diagrams", "Fits", "Others"]  # of shared options

Record = tuple[str, str]


@dataclass(frozen=True)
class Told:
    """What help says of a command: options by title, in its order."""

    path: str
    about: click.Command
    usage: str
    options: dict[str, list[Record]] = field(default_factory=dict)


def page() -> str:
    """Return the page."""
    told = {title: told_of(names) for title, names in COMMANDS.items()}
    shared = _shared([one for section in told.values() for one in section])
    lines = [HEAD]
    for title, section in told.items():
        lines += [f"## {title}", ""]
        for one in section:
            lines += _command(one, shared)
    lines += ["## Shared options", ""]
    for title in dict.fromkeys(shared.values()):
        records = [record for record, part in shared.items() if part == title]
        lines += [f"### {title}", "", *_table(records), ""]
    for topic, text in TOPICS.items():
        lines += [f"### {topic.capitalize()}", "", _marked(text), "", *_table(_topic(topic)), ""]
    return "\n".join(lines).rstrip() + "\n"


def _topic(name: str) -> list[Record]:
    """Return the options that `calibtool help NAME` tells."""
    known = click.command(name, add_help_option=False)(OPTIONS[name](lambda: None))
    found = _told(click.Context(known, info_name=name))
    return [record for part in found.options.values() for record in part]


def _shared(every: list[Told]) -> dict[Record, str]:
    """Return the options that MANY commands have, and the heading under which each is told."""
    homes: dict[Record, list[Told]] = {}
    titles: dict[Record, str] = {}
    for one in every:
        for title, records in one.options.items():
            for record in records if title not in REFERRED else []:
                homes.setdefault(record, []).append(one)
                titles[record] = title if title != "Options" else titles.get(record, "Others")
    topics = {record for name in TOPICS for record in _topic(name)}
    often = {
        record: title
        for record, title in titles.items()
        if len(homes[record]) >= MANY and record not in topics
    }
    for record in often:
        groups = {one.path.split()[1] for one in homes[record]}
        if len(groups) == 1:
            often[record] = {"plot": "Diagrams", "fit": "Fits"}[groups.pop()]
    return dict(sorted(often.items(), key=lambda item: ORDER.index(item[1])))


def told_of(names: dict[str, tuple[str, str]]) -> list[Told]:
    """Return what is told of the commands of a section, each before its own commands."""
    root = click.Context(group, info_name="calibtool", help_option_names=["-h", "--help"])
    known = [name for name in names if not name.startswith("fit-")]
    return [told for name in known for told in _all(inner(root, name))]


def _all(ctx: click.Context) -> Iterator[Told]:
    yield _told(ctx)
    if isinstance(ctx.command, click.Group):
        for name in ctx.command.list_commands(ctx):
            yield from _all(inner(ctx, name))


def _told(ctx: click.Context) -> Told:
    about = ctx.command
    if isinstance(about, Grouped):
        options = about.grouped(ctx)
    else:
        known = [each for each in about.get_params(ctx) if isinstance(each, click.Option)]
        records = [each.get_help_record(ctx) for each in known]
        options = {"Options": [record for record in records if record is not None]}
    without = {
        title: [record for record in records if "--help" not in record[0]]
        for title, records in options.items()
    }
    usage = " ".join([ctx.command_path, *about.collect_usage_pieces(ctx)])
    return Told(ctx.command_path, about, usage, without)


def _command(one: Told, shared: dict[Record, str]) -> list[str]:
    """Return the part of a command: what it does, its own options, the names of the others."""
    level = "###" if one.path.count(" ") == 1 else "####"
    lines = [f"{level} {one.path}", "", "```text", one.usage, "```", ""]
    for paragraph in inspect.cleandoc(one.about.help or "").split("\n\n"):
        if paragraph.startswith("\b"):
            lines += ["```text", *paragraph.splitlines()[1:], "```", ""]
        else:
            lines += [_marked(" ".join(paragraph.split())), ""]
    if isinstance(one.about, Sections):
        for title, section in one.about.sections().items():
            rows = [
                (f"[{name}](#{anchor(f'{one.path} {name}')})", _marked(text))
                for name, text in section.items()
            ]
            lines += [*_rows((title, ""), rows), ""]
    own, others = [], []
    for title, records in one.options.items():
        if title in REFERRED:
            others.append(f"[{REFERRED[title]} options](#{REFERRED[title]})")
            continue
        others += [f"`{_name(record[0])}`" for record in records if record in shared]
        own += [record for record in records if record not in shared]
    lines += [*_table(own), ""] if own else []
    if others:
        lines += [f"Shared options: {', '.join(others)}.", ""]
    return lines


def _name(text: str) -> str:
    """Return the long name of an option.

    >>> _name("-o, --output FILE"), _name("--plot")
    ('--output', '--plot')
    """
    return str(re.findall(r"--[\w-]+", text)[0])


def _table(records: Sequence[Record]) -> list[str]:
    return _rows(("option", "what it does"), [(_code(a), _marked(b)) for a, b in records])


def _code(text: str) -> str:
    """Return text as code of a table; a bar would end its cell, in code with or without \\."""
    bar = "&#124;"
    return f"`{text}`" if "|" not in text else f"<code>{text.replace('|', bar)}</code>"


def _rows(head: Record, rows: list[Record]) -> list[str]:
    lines = [f"| {head[0]} | {head[1]} |", "| --- | --- |"]
    return lines + [f"| {a} | {b} |" for a, b in rows]


def _marked(text: str) -> str:
    """Return a text of help with its names of options and files as code, and safe in a table."""
    text = " ".join(text.split())
    text = re.sub(r"(?<![`\w-])(--[a-z][\w-]*)(?![\w`-])", r"`\1`", text)
    parts = text.split("`")
    return "`".join(
        part if k % 2 else re.sub(r"([*_<>])", r"\\\1", part) for k, part in enumerate(parts)
    ).replace("|", "\\|")


def anchor(heading: str) -> str:
    """Return the anchor that MkDocs gives a heading."""
    return re.sub(r"[^\w-]+", "-", heading.lower()).strip("-")
