"""llms.txt and llms-full.txt, made of the pages in the order of the site."""

from __future__ import annotations

import pytest

llms = pytest.importorskip("llms", reason="tools/ is not part of the sdist")

SITE = """\
site_name: toolname
site_description: What it is
docs_dir: pages
use_directory_urls: false
markdown_extensions:
  - pymdownx.emoji:
      emoji_index: !!python/name:material.extensions.emoji.twemoji
      options: !ENV [WHERE, nowhere]
plugins: [search]
nav:
  - Home: index.md
  - Start:
      - start/first.md
      - Named here: start/second.md
  - How-to:
      - Your data:
          - how/data.md
      - Elsewhere: https://example.org/
"""
PAGES = {
    "index.md": "# Welcome\n\n![picture](a.png)\n\nIt [measures](b.md) things. It also mends.\n",
    "start/first.md": (
        "# First\n\n<!-- Made from the code; do not edit. -->\n\n```console\n$ tool\n"
        "<!-- stays -->\n\n\n\n# no heading\n```\n\nBegin here:\n\n- now\n"
    ),
    "start/second.md": "---\ndescription: Of the page itself.\n---\n# Second\n\nText.\n",
    "how/data.md": (
        "# Data\n\n| a |\n| - |\n\nOne. Two says `e.g. this` more. " + "Long " * 40 + "end.\n\n"
        "::: calibtool.errors.brief\n    options: {a: 1}\n\n::: calibtool.testing\n"
    ),
}
INDEX = """\
# toolname

> What it is

## Overview

- [Home](index.html): It measures things. It also mends.

## Start

- [First](start/first.html): Begin here.
- [Named here](start/second.html): Of the page itself.

## How-to: Your data

- [Data](how/data.html): One. Two says `e.g. this` more.

## How-to

- [Elsewhere](https://example.org/)
"""


@pytest.fixture
def site(tmp_path):
    (tmp_path / "mkdocs.yml").write_text(SITE, encoding="utf-8")
    for name, text in PAGES.items():
        path = tmp_path / "pages" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return tmp_path


def test_the_index_has_a_line_for_each_page(site):
    assert llms.made(site)["llms.txt"] == INDEX


def test_the_full_text_is_that_of_all_pages_in_order(site):
    text = llms.made(site)["llms-full.txt"]
    assert text.startswith("# toolname\n\n> What it is\n\n<!-- index.html -->\n\n# Welcome\n")
    order = [text.index(f"\n# {title}\n") for title in ("Welcome", "First", "Second", "Data")]
    assert order == sorted(order)
    assert "Made from the code" not in text
    assert "$ tool\n<!-- stays -->\n\n\n\n# no heading\n" in text, "code stays as it is"
    assert "description: Of the page" not in text


def test_names_of_python_are_told_by_their_docstrings(site):
    text = llms.made(site)["llms-full.txt"]
    assert "### calibtool.errors.brief\n\n```python\nbrief(text" in text
    assert "Return what was typed, or read, for a message" in text
    assert "### calibtool.testing\n\n" in text
    assert ":::" not in text
    assert "options:" not in text


@pytest.mark.parametrize(
    ("target", "as_folders", "link"),
    [
        ("index.md", True, ""),
        ("index.md", False, "index.html"),
        ("a/index.md", True, "a/"),
        ("a/b.md", True, "a/b/"),
        ("a/b.md", False, "a/b.html"),
    ],
)
def test_links_are_those_of_the_site(target, as_folders, link):
    assert llms.address(target, as_folders=as_folders) == link


def test_links_begin_with_the_address_of_the_site(site):
    path = site / "mkdocs.yml"
    path.write_text("site_url: https://example.com/docs/\n" + SITE, encoding="utf-8")
    assert "(https://example.com/docs/start/first.html)" in llms.made(site)["llms.txt"]


def test_main_writes_both(site, monkeypatch, tmp_path):
    monkeypatch.setattr(llms, "ROOT", site)
    monkeypatch.setattr("sys.argv", ["llms.py", str(tmp_path)])
    assert llms.main() == 0
    assert {path.name for path in tmp_path.glob("llms*.txt")} == {"llms.txt", "llms-full.txt"}
