"""What makes the pages: blocks are run, and the page of commands leaves out nothing."""

from __future__ import annotations

import re
from functools import cache

import blocks
import commands_page
import pytest
import tables

import calibtool as ct
from calibtool.cli.main import COMMANDS
from calibtool.gate.requirement import parse_requirement

FLAGS = re.MULTILINE | re.DOTALL
PAGES = [blocks.ROOT / "README.md", *sorted((blocks.ROOT / "docs").rglob("*.md"))]


def test_a_command_is_followed_by_what_it_prints_and_a_file_of_the_page_is_there():
    page = (
        '```text title="a/b.txt"\nhello\n```\n\n```console\n$ cat a/b.txt\nold\n$ git init\n```\n'
    )
    assert blocks.with_output(page).endswith("```console\n$ cat a/b.txt\nhello\n$ git init\n```\n")


def test_python_blocks_share_one_session_in_the_folder_of_the_page():
    page = (
        "```python\nfrom pathlib import Path\n```\n"
        '```python\nPath("x").write_text("1")\n```\n'
        "```console\n$ cat x\n```\n"
    )
    assert blocks.with_output(page).endswith("$ cat x\n1\n```\n")


def test_a_python_block_that_fails_is_an_error_unless_the_page_says_why_it_is_not_run():
    block = "```python\nundefined\n```\n"
    with pytest.raises(RuntimeError, match="NameError: name 'undefined'"):
        blocks.with_output(block)
    page = f"<!-- not run: needs a GPU -->\n{block}"
    assert blocks.with_output(page) == page


def test_commands_whose_output_is_kept_are_run_and_must_succeed():
    page = "<!-- output kept: digits of a training -->\n```console\n$ echo {}\nold\n```\n"
    page += "```console\n$ cat x\n```\n"
    made = blocks.with_output(page.format("new | tee x"))
    assert made == page.format("new | tee x").replace("cat x\n", "cat x\nnew\n")
    with pytest.raises(RuntimeError, match="a console block fails"):
        blocks.with_output(page.format("new; false"))


def test_the_page_of_commands_has_every_option_of_every_command():
    page = commands_page.page()
    parts = dict(re.findall(r"^#{3,4} (calibtool [^\n]+)\n(.*?)(?=^#{2,4} |\Z)", page, FLAGS))
    told = page.split("\n## Shared options\n")[1]
    for section in COMMANDS.values():
        for one in commands_page.told_of(section):
            part = parts[one.path]
            for title, records in one.options.items():
                for names, _ in records:
                    name = re.findall(r"--[\w-]+", names)[0]
                    own = rf"\| (`|<code>)(-\w, )?{name}\b"
                    if title in commands_page.REFERRED:
                        assert re.search(own, told), (one, name)
                    else:
                        assert re.search(rf"[:,] `{name}`|{own}", part), (one, name)


def test_links_of_the_page_of_commands_lead_to_its_headings():
    page = commands_page.page()
    headings = {commands_page.anchor(text) for text in re.findall(r"^#+ ([^\n]+)$", page, FLAGS)}
    assert set(re.findall(r"\]\(#([\w-]+)\)", page)) <= headings


# tables made of the code; all others hold what benchmarks measured
OF_CODE = {"beside", "beside_all", "beside_names", "calibrators", "conventions", "house", "losses"}


def test_a_table_of_a_benchmark_stands_on_one_page_and_that_is_evidence():
    evidence = blocks.ROOT / "docs" / "evidence"
    made = [
        (name, page.parent == evidence)
        for page in PAGES
        for name in re.findall(r"^<!-- made by tools/docs\.py: (\w+) -->$", page.read_text(), FLAGS)
    ]
    assert sorted(name for name, shown in made if shown) == sorted(tables.MADE.keys() - OF_CODE)
    assert {name for name, shown in made if not shown} <= OF_CODE


# flags that pages show of gh, pip, torchrun, lm-evaluation-harness and of our own benchmarks
OTHERS = {
    *("--workflow", "--branch", "--status", "--limit", "--json", "--jq"),
    *("--beside", "--large"),
    *("--no-index", "--find-links", "--nproc-per-node", "--log_samples"),
}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(blocks.ROOT)))
def test_every_flag_that_a_page_names_exists(page):
    named = set(re.findall(r"(?<![\w-])--[a-z][\w-]+", page.read_text(encoding="utf-8")))
    assert named <= flags() | OTHERS


@cache
def flags():
    told = [one for section in COMMANDS.values() for one in commands_page.told_of(section)]
    texts = [names for one in told for part in one.options.values() for names, _ in part]
    return {"--help", "--version", *re.findall(r"--[\w-]+", " ".join(texts))}


def test_requirements_that_their_page_calls_refused_are():
    page = (blocks.ROOT / "docs" / "reference" / "requirements.md").read_text(encoding="utf-8")
    refused = re.findall(r"`([\w-]+ [<>]=? -?\d+)`", page.split("## Refused")[1])
    assert len(refused) == 3
    for text in refused:
        with pytest.raises(ct.CalibtoolError, match="lies in"):
            parse_requirement(text)
