"""The gallery has a place for every kind of diagram: a picture, its command and its Python."""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path

import pytest

import calibtool as ct
from calibtool.diagrams.registry import KINDS

GALLERY = Path(__file__).parents[2] / "docs" / "gallery"
INDEX, PAGE = ((GALLERY / name).read_text("utf-8") for name in ("index.md", "diagrams.md"))


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_has_a_card_and_a_section_with_command_and_python(kind):
    card = rf"\]\(diagrams\.md#{kind}\)\n\n.*?`calibtool plot {kind} .*?`ct\.plot\."
    assert re.search(card, INDEX, re.DOTALL)
    section = PAGE.partition(f"\n## {kind}\n")[2].partition("\n## ")[0]
    assert re.search(rf"```bash\n.*^calibtool plot {kind} .*```", section, re.DOTALL | re.MULTILINE)
    assert f"`ct.plot.{kind.replace('-', '_')}(" in section


@pytest.mark.parametrize("call", sorted(set(re.findall(r"`(ct\.plot\.\w+\(.*?\))`", INDEX + PAGE))))
def test_a_call_of_the_gallery_is_one_that_there_is(call):
    tree = ast.parse(call, mode="eval").body
    function = getattr(ct.plot, tree.func.attr)
    inspect.signature(function).bind(*tree.args, **{word.arg: None for word in tree.keywords})
