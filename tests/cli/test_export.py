"""export: the names of exported functions."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from scipy.special import softmax

import calibtool as ct

COMPILER = shutil.which("cc")
STRICT = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic", "-O1"]
TWO = """#include <stdio.h>
#include "topic.h"
#include "sentiment-v2.h"
int main(void) {
    const double in[TOPIC_K] = {1, 2, 3};
    double a[TOPIC_K], b[SENTIMENT_V2_K];
    topic(in, a);
    sentiment_v2(in, b);
    printf("%s %.9f %.9f", TOPIC_VERSION, a[0], b[0]);
    return 0;
}
"""
ROW = [[1.0, 2.0, 3.0]]


@pytest.fixture
def fitted(run, folder):
    """A temperature, a table of isotonic regression, and a threshold, all of three classes."""
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(300, 3)) * 3
    labels = (logits + rng.gumbel(size=(300, 3))).argmax(1)
    np.savez("val.npz", logits=logits, labels=labels)
    for method in ("temperature", "isotonic"):
        assert run(f"fit-{method}", "val.npz", "-o", f"{method}.json", "--ci", "none").code == 0
    assert run("threshold", "val.npz", "--target", "risk <= 20 %", "-o", "gate.json").code == 0
    return folder


@pytest.mark.skipif(COMPILER is None, reason="there is no C compiler (cc) here")
def test_two_headers_in_one_program(run, fitted):
    for document, header in (("temperature", "topic"), ("isotonic", "sentiment-v2")):
        assert run("export", f"{document}.json", "--to", "c", "-o", f"{header}.h").code == 0
    Path("two.c").write_text(TWO)
    subprocess.run([COMPILER, *STRICT, "two.c", "-o", "two", "-lm"], check=True)
    printed = subprocess.run(["./two"], capture_output=True, text=True, check=True).stdout.split()
    assert printed[0] == ct.__version__
    for number, document in zip(printed[1:], ("temperature", "isotonic"), strict=True):
        out = ct.load_calibrator(f"{document}.json")(ct.read((ROW, [0])))
        right = softmax(out.values, axis=1) if out.kind == "logits" else out.values
        assert float(number) == pytest.approx(right[0, 0], abs=1e-9)


@pytest.mark.parametrize(("arguments", "name"), [([], "topic"), (["--name", "f"], "f")])
def test_python_functions_have_the_name_of_the_file_or_that_given(run, fitted, arguments, name):
    for document, functions in (("isotonic", [name]), ("gate", [f"{name}_calibrate", name])):
        exported = ["export", f"{document}.json", "--to", "python", "-o", "topic.py"]
        assert run(*exported, *arguments).code == 0
        module = {}
        exec(Path("topic.py").read_text(), module)
        assert len(module[functions[0]](ROW[0])) == 3
    assert module[name](ROW[0])[0] == 2


@pytest.mark.parametrize(
    "file", ["exp.h", "int.h", "3.h", "softmax.py", "class.py", "sum.py", "é.py"]
)
def test_names_that_mean_something_else(run, refused, fitted, file):
    to = "c" if file.endswith("h") else "python"
    for document in ("temperature.json", "gate.json"):
        refused("export", document, "--to", to, "-o", file, says=("--name",))
    assert run("export", "gate.json", "--to", to, "-o", file, "--name", "gate").code == 0
    assert re.search(r"\bgate\(", Path(file).read_text())


def test_a_graph_has_no_function(refused, fitted):
    says = ("--name", "ONNX")
    refused("export", "gate.json", "--to", "onnx", "-o", "g.onnx", "--name", "g", says=says)
