"""Absurd input finds nothing: a few hundred cases of tools/fuzz.py; and the fuzzer finds defects.

`python tools/fuzz.py --count 60000 --jobs 2` is the long version.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from random import Random

import click
import pytest
from fuzzing import bytes as raw
from fuzzing import commands, documents, seeds, tree
from fuzzing.hostile import TEXTS, forged, unprintable
from fuzzing.kinds import case, kinds

from calibtool.cli.main import COMMANDS
from calibtool.data.files import find
from calibtool.data.files.formats import SUFFIXES

ROOT = Path(__file__).parents[2]
TOOLS = ROOT / "tools"
CASES = 1000
SEED = "suite"


def python(*arguments):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(TOOLS)])}
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
        timeout=120,
    )


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    return kinds(tmp_path_factory.mktemp("kinds"))


def test_some_hundred_absurd_inputs_break_nothing(table):
    # training is left out: importing torch takes as long as all other cases
    only = ",".join(name for name in table if name != "train")
    run = python(TOOLS / "fuzz.py", "--count", CASES, "--seed", SEED, "--only", only)
    assert run.returncode == 0, run.stdout + run.stderr
    assert f"{CASES:,} cases" in run.stdout


def test_every_reader_has_good_files_to_damage(table):
    assert seeds.missing() == []
    assert {suffix[1:] for suffix in SUFFIXES} <= set(table)
    assert all(seeds.of_readers().values())


def test_a_new_reader_is_fuzzed_by_its_line(monkeypatch, tmp_path):
    monkeypatch.setitem(find.ARROW_FORMATS, ".toy", "ipc")
    monkeypatch.setattr(seeds, "SUFFIXES", (*seeds.SUFFIXES, ".toy"))
    assert kinds(tmp_path, ["toy"])["toy"].suffix == ".toy"
    monkeypatch.setitem(find.ARROW_FORMATS, ".toy", "a format that nothing here writes")
    assert seeds.missing() == [".toy"]


def test_every_command_is_tried():
    tried = {name.partition(" ")[0] for name, weight in tree.weights().items() if weight}
    named = {template.split()[0] for kind in commands.TEMPLATES.values() for _, template in kind}
    everything = {name for section in COMMANDS.values() for name in section}
    assert everything - {"predict"} <= tried | named  # it needs a trained run


def test_every_option_is_given_values_that_suit_it():
    """An option that takes text is tried with values of its own, but those of trained runs."""
    for name, command in tree.leaves().items():
        for option in command.get_params(click.Context(command)):
            if (
                isinstance(option, click.Option)
                and tree.is_tried(option)
                and name
                not in (
                    "train",
                    "predict",
                )
            ):
                free = not (option.is_flag or isinstance(option.type, click.Choice))
                assert not free or option.required or tree.pool_of(option), (name, option.name)


def test_every_file_that_an_option_names_is_there(table, tmp_path):
    kinds(tmp_path)
    named = {file for files in (*tree.SUITED.values(), tree.FILES_BESIDE) for file in files}
    named |= {f"{seeds.GOOD}/{name}" for name in tree.FILES_GOOD}
    assert not [file for file in named if not (tmp_path / file).exists()]


def test_templates_are_filled_in():
    for kind, templates in commands.TEMPLATES.items():
        for k in range(40 * len(templates)):
            argv = commands.reading(Random(k), kind, "case.npz", "out")
            assert not [word for word in argv if "{" in word or (word[:2] == "--" and " " in word)]


def test_a_case_follows_from_seed_and_number(table):
    assert [case("1", k, table) for k in range(20)] == [case("1", k, table) for k in range(20)]
    assert case("1", 0, table) != case("2", 0, table)


def test_damage_to_documents_leaves_its_table_of_values_alone():
    before = repr(documents.ODD_VALUES)
    for k in range(3000):
        documents.damage_json(Random(k), b'{"a": [1, {"b": []}]}')
    assert repr(documents.ODD_VALUES) == before


@pytest.mark.parametrize("way", raw.DAMAGES)
def test_damage_takes_any_bytes(way):
    for data in (b"", b"a", bytes(range(256))):
        for k in range(50):
            assert isinstance(way(Random(k), data), bytes)


def test_hostile_texts_are_recognised():
    printed = [text for text in TEXTS if unprintable(text)]
    assert len(printed) >= 6
    for format_, text in (
        ("tap", "ok 1 - a\nok 999 - forged"),
        ("csv", "a,b\n1,+1+cmd|' /C forged'!A0\n"),
        ("html", "<td><script>forged()</script>"),
        ("markdown", "| [x](javascript:forged()) |"),
    ):
        assert forged(text, format_)
    for format_, text in (
        ("csv", "a,b\n1,'+1+cmd|' /C forged'!A0\n"),
        ("html", "<td>&lt;script&gt;forged()"),
        ("markdown", r"| [x\](javascript:forged()) |"),
        ("table", "a ok 999 - forged"),
    ):
        assert not forged(text, format_)


def test_planted_defects_are_found_and_shrunk(tmp_path):
    run = python(Path(__file__).parent / "planted.py", tmp_path)
    assert run.returncode == 0, run.stderr
    result = json.loads(run.stdout)
    expected = {
        "bug": "exception ValueError at planted.py:bug",
        "hang": "hang",
        "memory": "memory: ",
        "crash": "signal SIGABRT",
        "warn": "warning RuntimeWarning",
        "nan": "nan in standard output",
        "library": "output of a library",
        "mute": "no message",
        "odd_code": "exit code 7",
        "injection": "forged 'ok 999'",
        "terminal": "unprintable '\\x1b'",
        "partial_file": "left: a partial file",
        "overwritten": "left: the input was changed",
        "harmless": "",
        "hungry": "",
    }
    assert set(result["said"]) == set(expected)
    for name, start in expected.items():
        assert result["said"][name].startswith(start), name
        assert bool(result["said"][name]) == bool(start), name
    assert result["small"] == ["!", "hungry", "--bad"]
