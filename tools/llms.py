"""The pages for language models: python tools/llms.py [FOLDER], by default site/.

- llms.txt, by the layout of https://llmstxt.org: the name, what it is, and a link to each page
  with a line about it, by the sections of the site;
- llms-full.txt: the text of all pages, in the order of the site.

Pages and their order are those of `nav` in mkdocs.yml.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import yaml  # MkDocs brings it

ROOT = Path(__file__).parents[1]
OVERVIEW = "Overview"  # the section of pages that stand in none
LINE = 200  # most characters of a line about a page: the first sentences that fit
FENCED = re.compile(r"(^```.*?^```[ ]*$)", re.DOTALL | re.MULTILINE)
COMMENT = re.compile(r"^<!--.*?-->\n?", re.DOTALL | re.MULTILINE)
FRONT = re.compile(r"\A---\n(.*?)\n---\n", re.DOTALL)
NAMED = re.compile(r"^::: ([\w.]+)$(?:\n {4}.*)*", re.MULTILINE)  # for mkdocstrings
LINK = re.compile(r"!?\[([^\]]*)\]\([^)]*\)")
NO_TEXT = ("#", "```", "|", "![", ":::", "<", "- ", "* ", "!!!", "===")  # begins no paragraph


class Loader(yaml.SafeLoader):
    """Reads mkdocs.yml, in which tags such as !!python/name name objects of MkDocs' extensions;
    they say nothing of pages, and nothing is imported."""


Loader.add_multi_constructor("", lambda loader, tag, node: None)


class Page(NamedTuple):
    """A page of the site.

    Attributes:
        sections: the titles that lead to it, the outermost first.
        title: as nav has it, else its first heading.
        link: from the folder of the site, or its address.
        text: its Markdown without comments and front matter; "" for a page elsewhere.
        line: what it is about.
    """

    sections: tuple[str, ...]
    title: str
    link: str
    text: str
    line: str


def main() -> int:
    """Write both files."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "site")
    for name, text in made(ROOT).items():
        (folder / name).write_text(text, encoding="utf-8")
    return 0


def made(root: Path) -> dict[str, str]:
    """The text of both files, by their names."""
    settings = yaml.load((root / "mkdocs.yml").read_text(encoding="utf-8"), Loader)
    found = list(pages(settings, root))
    head = f"# {settings['site_name']}\n\n> {settings['site_description']}\n"
    return {"llms.txt": head + index(found), "llms-full.txt": head + full(found)}


def index(found: list[Page]) -> str:
    """A list of links for each section."""
    lines: list[str] = []
    section = None
    for page in found:
        if page.sections != section:
            section = page.sections
            lines += ["", f"## {': '.join(section) or OVERVIEW}", ""]
        about = f": {page.line}" if page.line else ""
        lines.append(f"- [{page.title}]({page.link}){about}")
    return "\n".join(lines) + "\n"


def full(found: list[Page]) -> str:
    """The text of all pages, each below the link of its page."""
    texts = [f"\n<!-- {page.link} -->\n\n{page.text}" for page in found if page.text]
    return "".join(texts)


def pages(settings: dict[str, Any], root: Path) -> Iterator[Page]:
    """Yield the pages in the order of the site."""
    folder = root / settings.get("docs_dir", "docs")
    base = settings.get("site_url") or ""
    as_folders = settings.get("use_directory_urls", True)
    for sections, title, target in entries(settings["nav"]):
        if "://" in target:
            yield Page(sections, title or target, target, "", "")
            continue
        raw = (folder / target).read_text(encoding="utf-8")
        front = FRONT.match(raw)
        meta = (yaml.load(front[1], Loader) if front else None) or {}
        text = cleaned(FRONT.sub("", raw))
        heading = re.search(r"^# (.+)$", text, re.MULTILINE)
        name = title or meta.get("title") or (heading[1] if heading else target)
        line = meta.get("description") or about(text)
        yield Page(sections, name, base + address(target, as_folders=as_folders), text, line)


def entries(nav: list[Any], sections: tuple[str, ...] = ()) -> Iterator[tuple[Any, str, str]]:
    """Yield sections, title ("" where nav has none) and target of each page."""
    for entry in nav:
        if isinstance(entry, str):
            yield sections, "", entry
            continue
        for title, value in entry.items():
            if isinstance(value, list):
                yield from entries(value, (*sections, title))
            else:
                yield sections, title, value


def address(target: str, *, as_folders: bool) -> str:
    """The address of a page in the site."""
    stem = target.removesuffix(".md")
    if not as_folders:
        return f"{stem}.html"
    return f"{stem.removesuffix('index').rstrip('/')}/".removeprefix("/")


def cleaned(text: str) -> str:
    """A page without comments, in which names of Python are told by their docstrings; blocks of
    code stay as they are."""
    parts = FENCED.split(text)
    for k in range(0, len(parts), 2):  # those at odd places are the blocks
        part = NAMED.sub(described, COMMENT.sub("", parts[k]))
        parts[k] = re.sub(r"\n{3,}", "\n\n", part)
    return "".join(parts).strip() + "\n"


def described(name: re.Match[str]) -> str:
    """The signature and the docstring of an object, which mkdocstrings shows on the site."""
    module, _, attribute = name[1].rpartition(".")
    value = getattr(import_module(module), attribute, None) or import_module(name[1])
    lines = [f"### {name[1]}", ""]
    if callable(value) and not (isinstance(value, type) and issubclass(value, Exception)):
        lines += ["```python", f"{attribute}{inspect.signature(value)}", "```", ""]
    return "\n".join([*lines, inspect.getdoc(value) or ""]).rstrip() + "\n"


def about(text: str) -> str:
    """The first sentences of a page, as many as fit into a line."""
    blocks = re.split(r"\n\s*\n", FENCED.sub("", text))
    first = next((block for block in blocks if block.strip() and not _skipped(block)), "")
    plain = LINK.sub(r"\1", " ".join(first.split()))
    sentences = re.split(r"(?<=[.!?:]) (?=[A-Z`\"])", plain)
    line = sentences[0]
    for sentence in sentences[1:]:
        if len(line) + 1 + len(sentence) > LINE or not sentence.endswith((".", "!", "?")):
            break
        line += f" {sentence}"
    return f"{line[:-1]}." if line.endswith(":") else line


def _skipped(block: str) -> bool:
    return block.lstrip().startswith(NO_TEXT)


if __name__ == "__main__":
    sys.exit(main())
