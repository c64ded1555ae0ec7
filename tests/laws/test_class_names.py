"""Classes are called by their names wherever the file names them, in every output of every command.

The names are words, so that a number behind "class", "label" or "predicted" is a class without its
name. The same command on the same rows without names shows that there is something to be named.
"""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import numpy as np
import pytest

from calibtool.cli.main import main

NAMES = ("alpha", "beta", "gamma", "delta", "epsilon", "zeta")
FEW = ("--resamples", "50")
# what stands before a class: "class 2", "of class 0", "label 1", "predicted=3", "as a label: 2, 4"
NUMBER = re.compile(r"\b(?:class|label|labels|predicted)\b[ =:(]{1,3}[0-5]\b(?![\d.,]*[\d%])")
KEYS = ("class", "label", "predicted", "slice", "name", "group")

LINES = {
    "inspect": "inspect rare.npz",
    "evaluate": "evaluate full.npz --metrics all --resamples 50 --format {table,json,csv,markdown}",
    "background": "evaluate full.npz --background gamma --resamples 50 --format {table,json}",
    "predicted": "evaluate full.npz --by predicted --resamples 50"
    " --format {table,json,csv,markdown}",
    "calibrator": "evaluate full.npz --calibrator t.json --resamples 50",
    "compare": "compare full.npz rare.npz --resamples 50 --format {table,json}",
    "slices": "slices full.npz --columns predicted --format {table,json,csv}",
    "no rows": "fit vector rare.npz",
    "no rows by pass": "fit matrix rare.npz",
    "fit": "fit isotonic full.npz --resamples 50 --format {table,json}",
    "select": "select full.npz --methods temperature,vector --resamples 50 --format {table,json}",
    "sets": "sets full.npz --coverage 0.8 --per-class --format {table,json,csv}",
    "few rows for sets": "sets rare.npz --coverage 0.9 --per-class",
    "evaluate sets": "evaluate full.npz --sets s.json --resamples 50 --format {table,json}",
    "estimate": "estimate full.npz --labelled full.npz --format {table,json}",
    "threshold": "threshold full.npz --target 'accuracy >= 0.7' --by predicted"
    " --format {table,json}",
    "check": "check full.npz --require 'ece <= 0.01 by predicted' --resamples 50"
    " --format {table,json,junit,github,sarif,tap,markdown}",
    "report": "report rare.npz --by predicted --resamples 50 -o {r.html,r.md}",
    "classwise": "plot classwise full.npz --data {d.csv,d.json}",
    "confusion-calibration": "plot confusion-calibration full.npz --data {d.csv,d.json}",
    "apply": "apply t.json full.npz -o {a.csv,a.npz}",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Two files of six classes with names; in one of them, two classes never occur as a label."""
    folder = tmp_path_factory.mktemp("named")
    rng = np.random.default_rng(5)
    for name, absent in (("full", ()), ("rare", (2, 4))):
        z = 1.5 * rng.normal(size=(600, 6))
        labels = rng.integers(0, 6, 600)
        labels[np.isin(labels, absent)] = 1
        z[np.arange(600), labels] += 1.5
        np.savez(folder / f"{name}.npz", logits=z, labels=labels, class_names=np.array(NAMES))
    return folder


def spread(line: str) -> list[list[str]]:
    """Return the words of a line, once for each of the alternatives in braces."""
    found = re.search(r"\{(.*)\}", line)
    each = found[1].split(",") if found else [""]
    return [shlex.split(line.replace(found[0], one) if found else line) for one in each]


def texts(value: object) -> list[str]:
    """Return the texts of a JSON document, and what in it calls a class by a number alone."""
    if isinstance(value, dict):
        named = any(isinstance(v, str) and v in NAMES for v in value.values())
        keys = [k for k in value if k in KEYS and str(value[k]) in {*"012345"} and not named]
        return [f"class {value[k]} under {k}" for k in keys] + texts(list(value.values()))
    if isinstance(value, list):
        return [found for v in value for found in texts(v)]
    return [value] if isinstance(value, str) else []


def said_by(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """Return what a command prints and writes, without the marks of its format."""
    capsys.readouterr()
    written = next((words[k + 1] for k, w in enumerate(words) if w in ("-o", "--data")), "")
    if written:  # or the file of another command would be read where this one fails
        Path(written).unlink(missing_ok=True)
    main(words)
    out, err = capsys.readouterr()
    if written.endswith((".csv", ".json", ".html", ".md")):
        out += Path(written).read_text()
    if "json" in words or written.endswith(".json"):
        out = "\n".join(texts(json.loads(out)))
    out = re.sub(r"<style.*?</style>|<script.*?</script>", " ", out, flags=re.DOTALL)
    return err + re.sub(r"<[^>]*>", " ", out)


@pytest.mark.parametrize(
    "words", [w for line in LINES.values() for w in spread(line)], ids=" ".join
)
def test_no_class_is_called_by_its_number(words, folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    if not Path("s.json").exists():
        assert main(["sets", "full.npz", "--coverage", "0.8", "-o", "s.json"]) == 0
        assert main(["fit", "temperature", "full.npz", *FEW, "-o", "t.json"]) == 0
    text = said_by(words, capsys)
    found = [text[max(m.start() - 30, 0) : m.end() + 30] for m in NUMBER.finditer(text)]
    assert found == []


@pytest.mark.parametrize("name", ["inspect", "no rows", "few rows for sets", "background"])
def test_the_names_are_said(name, folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    main(spread(LINES[name])[0])
    assert "gamma" in "".join(capsys.readouterr())


def test_the_pattern_finds_a_number():
    """It does find what it is there to find."""
    for text in (
        "class 2 has no rows",
        "never occur as a label: 2, 4",
        "P(class 1) is",
        "predicted=3",
    ):
        assert NUMBER.search(text), text
    for text in ("class gamma", "class 10.5 %", "2 classes, 3 rows", "classes 600 rows"):
        assert not NUMBER.search(text), text


TWO = {
    "evaluate": "evaluate two.npz --metrics 'ece(view=positive)' --resamples 50",
    "fit": "fit platt two.npz --undersampled 0.5 --resamples 50",
    "threshold": "threshold two.npz --target 'precision >= 0.7'",
    "recall": "threshold two.npz --target 'recall >= 0.99999'",
}


@pytest.mark.parametrize("words", [spread(line)[0] for line in TWO.values()], ids=" ".join)
def test_class_1_of_two_is_called_by_its_name(words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    p = rng.random(500)
    labels = (rng.random(500) < p**2).astype(int)
    named = {"class_names": np.array(["no", "yes"])}
    for names in ({}, named):
        np.savez("two.npz", probs=np.c_[1 - p, p], labels=labels, **names)
        main(words)
        said = "".join(capsys.readouterr())
        assert bool(re.search(r"[Cc]lass 1\b", said)) == (not names)
        assert (re.search(r"\byes\b", said) is not None) == bool(names)
