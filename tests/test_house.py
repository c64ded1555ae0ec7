"""The house: its rules (CONTRIBUTING.md, "The house"), checked."""

from __future__ import annotations

import ast
import importlib.util
import inspect
import json
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import calibtool as ct
from calibtool import metrics
from calibtool.cli.main import main
from calibtool.metrics import norms, profiles
from calibtool.reports import metrics as reference

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "calibtool"
FILES = sorted(PACKAGE.rglob("*.py"))
MAX_FILE = 400  # lines of a file
MAX_FUNCTION = 60  # lines of a function
MAX_FACE = 40  # lines of an __init__.py that hands nothing on
# Words that say nothing of what a module defines.
NO_NAMES = {"record", "words", "kept", "named", "subject", "parts", "given", "utils", "helpers"}
# Fields that are written to files, in their order: a file format, which other names would break.
FIELDS = {
    "intervals.estimate.Estimate": (
        "name value corrected low high p_value view better missing signature error ideal least most"
    ),
    "data.predictions.DataInfo": "source rows classes kind weighted filter unit",
    "streaming.summary.DataShape": "kind classes one_column class_names",
    "streaming.summary.Layout": "views edges class_edges scores counts",
    "analysis.candidate.Candidate": (
        "method numbers score behind low high error nll brier accuracy ece classwise_ece "
        "flips ties fit_seconds apply_seconds failed worse phi folds"
    ),
    "analysis.comparison.MetricRow": "spec family better ideal estimates changes best",
    "analysis.slice_search.FoundSlice": (
        "by name rows score outcome low high p_value adjusted explained_by"
    ),
    "analysis.slices.SliceEstimate": "estimate p_value adjusted",
    "analysis.significance.result.Result": (
        "name title view statistic p_value adjusted draws missing"
    ),
    "analysis.monitoring.period.PeriodResult": "name rows said was bias ece log10_e alarm",
    "metrics.conventions.convention.LibraryValue": "library metric value view note",
    "metrics.conventions.convention.LibraryRange": "library rule view value low high",
    "data.files.roles.Roles": "kind values labels correct predictions weights class_names",
    "data.inspection.Inspection": "source columns read problem oddities format notes",
    "calibrators.fitted.FitRecord": (
        "rows kind objective nll_before nll_after gradient prior options notes fingerprint"
    ),
    "train.settings.Settings": (
        "data out model loss val_data test_data val_share test_share inputs labels ids "
        "split layout image_size max_length normalize augment checkpoint fresh freeze epochs "
        "batch_size optimizer lr weight_decay decay_all momentum nesterov schedule "
        "lr_steps warmup clip class_weights gamma_search gamma_folds patience precision "
        "device threads seed save_every reduction group "
        "workers accumulate lr_head"
    ),
}


@cache
def parsed(path):
    return ast.parse(path.read_text(encoding="utf-8"))


def tool(name):
    spec = importlib.util.spec_from_file_location(name, ROOT / "tools" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def layers():
    return tool("layers")


def test_imports_go_one_way_and_never_in_a_circle():
    tool = layers()
    assert tool.check() == []
    graph = tool.packages()
    graph.pop("__main__")  # a script, which nothing imports
    assert tool.depth(graph) <= 11


def test_at_most_nine_modules_stand_beside_thirteen_packages():
    packages = [p for p in PACKAGE.iterdir() if p.is_dir() and p.name != "__pycache__"]
    modules = [p for p in PACKAGE.glob("*.py") if p.name != "__init__.py"]
    assert len([p for p in packages if (p / "__init__.py").exists()]) == 13
    assert len(modules) <= 9


def test_a_face_holds_a_docstring_and_what_it_hands_on():
    for path in PACKAGE.rglob("__init__.py"):
        face = path.parent.relative_to(ROOT).as_posix()
        assert ast.get_docstring(parsed(path)), path
        if face not in ("calibtool", "calibtool/metrics", "calibtool/train"):
            assert len(path.read_text().splitlines()) <= MAX_FACE, path
            assert len(parsed(path).body) == 1, path


def test_a_module_is_named_after_what_it_defines():
    assert [path for path in FILES if path.stem in NO_NAMES] == []


def test_files_are_of_a_few_screens():
    long = {str(p): n for p in FILES if (n := len(p.read_text().splitlines())) > MAX_FILE}
    assert long == {}


def _docstring_lines(node):
    return node.body[0].end_lineno - node.body[0].lineno + 1 if ast.get_docstring(node) else 0


def test_functions_are_of_one_screen():
    long = [
        f"{path}:{node.lineno} {node.name}"
        for path in FILES
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.FunctionDef)
        and node.end_lineno - node.lineno + 1 - _docstring_lines(node) > MAX_FUNCTION
    ]
    assert long == []


@pytest.mark.parametrize(("record", "names"), FIELDS.items())
def test_fields_that_are_written_to_files_keep_their_names(record, names):
    module, _, name = record.rpartition(".")
    fields = getattr(importlib.import_module(f"calibtool.{module}"), name).__dataclass_fields__
    assert list(fields) == names.split()


def test_randomness_is_keyed_in_one_place():
    """Elsewhere no generator is made; what is left reproduces another library's draws."""
    makers = {"Generator", "SFC64", "PCG64", "SeedSequence", "default_rng", "RandomState"}
    known = {
        "intervals/streams.py",  # the one list
        "data/folds.py",  # scikit-learn's StratifiedKFold, draw for draw
        "metrics/conventions/cumulative.py",  # calzone's own noise
    }
    found = {
        path.relative_to(PACKAGE).as_posix()
        for path in FILES
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in makers
        and "random" in ast.unparse(node.func.value)
    }
    assert {path for path in found if not path.startswith("train/")} <= known


def test_the_public_names_are_listed_once_and_typed():
    """The table of the face, and what it tells type checkers, are the same."""
    face = parsed(PACKAGE / "__init__.py")
    (block,) = (
        n for n in face.body if isinstance(n, ast.If) and "TYPE_CHECKING" in ast.dump(n.test)
    )
    typed = {
        alias.asname: node.module for node in block.body for alias in node.names if alias.asname
    }
    modules = {name for name, home in typed.items() if home == "calibtool"}
    assert {n: home for n, home in typed.items() if n not in modules} == ct._HOME
    assert modules == set(ct._MODULES)
    assert set(ct.__all__) == {*ct._HOME, "__version__"}
    for name in ct.__all__:
        assert getattr(ct, name) is not None


def test_the_face_can_be_looked_at_where_no_extra_is_installed(monkeypatch):
    monkeypatch.setattr(ct, "_installed", lambda package: package is None)
    monkeypatch.delattr(ct, "sklearn", raising=False)  # set once it has been imported
    assert not hasattr(ct, "sklearn")
    assert "sklearn" not in dir(ct)
    assert dict(inspect.getmembers(ct))["evaluate"] is ct.evaluate
    with pytest.raises(AttributeError, match=r"pip install 'calibtool\[sklearn\]'"):
        _ = ct.sklearn


def run(code):
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()


def test_importing_calibtool_loads_nothing_heavy():
    code = "import sys, calibtool; print(*sys.modules)"
    assert not {"numpy", "scipy", "matplotlib", "pyarrow", "rich", "torch"} & set(run(code))


@pytest.mark.parametrize("argument", ["--help", "--version"])
def test_help_loads_nothing_heavy(argument):
    code = (
        "import sys; from calibtool.cli.main import main; "
        f"main(['{argument}']); print(*sys.modules)"
    )
    assert not {"numpy", "scipy", "matplotlib", "pyarrow", "rich", "torch"} & set(run(code))


def test_evaluating_an_npz_loads_neither_scipy_nor_pyarrow_nor_matplotlib(examples):
    file = examples / "fashion_test.npz"
    code = (
        "import sys; from calibtool.cli.main import main; "
        f"main(['evaluate', {str(file)!r}]); print(*sys.modules)"
    )
    assert not {"scipy", "matplotlib", "pyarrow", "torch"} & set(run(code))


def test_evaluating_parquet_does_not_load_pandas(tmp_path):
    """pyarrow.dataset would, and that takes longer than all of pyarrow."""
    file = tmp_path / "scores.parquet"
    pq.write_table(pa.table({"p": np.linspace(0, 1, 200), "label": np.arange(200) % 2}), file)
    code = (
        "import sys; from calibtool.cli.main import main; "
        f"main(['evaluate', {str(file)!r}, '--by', 'p']); print(*sys.modules)"
    )
    assert not {"scipy", "matplotlib", "pandas", "pyarrow.dataset"} & set(run(code))


def test_lists_named_labels_and_gaps_of_parquet_do_not_load_pandas(tmp_path):
    """It takes 60 MB and half a second of a processor."""
    file = tmp_path / "logits.parquet"
    z = np.random.default_rng(0).normal(size=(200, 3))
    names = pa.array(["a", "b", None, "c"] * 50).dictionary_encode()
    pq.write_table(pa.table({"logits": list(z), "label": names}), file)
    code = (
        "import sys; from calibtool.cli.main import main; "
        f"main(['evaluate', {str(file)!r}, '--drop-missing']); print(*sys.modules)"
    )
    loaded = set(run(code))
    assert "pyarrow" in loaded
    assert not {"matplotlib", "pandas", "pyarrow.dataset"} & loaded


def test_nothing_seeds_the_global_generator(overconfident):
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    ct.evaluate(overconfident, resamples=50)
    np.testing.assert_array_equal(before, np.random.get_state()[1])  # noqa: NPY002


def fourth(q):
    """Fourth root of the mean fourth power of a bin's gap."""
    ratio = np.divide(q.gap, q.mass, out=np.zeros_like(q.gap), where=q.mass > 0)
    return (q.mass * ratio**4).sum(-1) ** 0.25


def hinge(rows, *, margin: float = 0.5):
    """Mean of max(0, margin - p(label))."""
    return np.maximum(0, margin - rows.prob)


def test_a_toy_metric_of_two_lines_reaches_the_help_the_json_and_the_docs(
    monkeypatch, capsys, examples
):
    """CONTRIBUTING shows these lines."""
    line = metrics.BinnedError("toy-ce", "Toy error", "4-norm of the gaps", "", norm="fourth")
    score = metrics.Score("toy-hinge", "Toy hinge", "mean shortfall", "", hinge, needs=("prob",))
    monkeypatch.setitem(metrics.NORMS, "fourth", fourth)
    monkeypatch.setitem(metrics.SECTIONS, "binned", (*metrics.BINNED, line))
    monkeypatch.setitem(metrics.SECTIONS, "scores", (*metrics.SCORES, score))
    monkeypatch.setitem(metrics.METRICS, "toy-ce", line)
    monkeypatch.setitem(metrics.METRICS, "toy-hinge", score)

    assert main(["metrics"]) == 0
    assert "toy-ce" in capsys.readouterr().out
    assert "[toy-hinge](metrics/toy-hinge.md) | Toy hinge: mean shortfall |" in reference.page()
    assert "| margin | 0.5 |" in reference.metric_page(score)

    file = str(examples / "fashion_test.npz")
    specs = "toy-ce(bins=10),toy-hinge(margin=0.9),ece(norm=fourth)"
    assert main(["evaluate", file, "--metrics", specs, "--format", "json"]) == 0
    found = json.loads(capsys.readouterr().out)["metrics"]
    names = [entry["name"] for entry in found]
    assert names == ["toy-ce(bins=10)", "toy-hinge(margin=0.9)", "ece(norm=fourth)"]
    assert all(entry["low"] <= entry["value"] <= entry["high"] for entry in found[1:2])
    assert found[0]["p_value"] < 0.05
    assert main(["check", file, "--require", "toy-ce <= 0.9"]) == 0


def test_norms_and_views_are_options_of_ece(overconfident):
    specs = ["ece(norm=l2)", "rmsce", "ece(view=class)", "classwise-ece", "ece(norm=worst)", "mce"]
    found = [e.value for e in ct.evaluate(overconfident, specs, ci="none")]
    assert found[0::2] == found[1::2]


def test_norms_take_leading_axes():
    rng = np.random.Generator(np.random.PCG64(0))
    gap, mass = rng.normal(size=(2, 3, 5)), rng.random((2, 3, 5))
    for norm in (norms.l1, norms.l2, norms.worst):
        whole = norm(profiles.Profile(gap, mass))
        assert whole.shape == (2, 3)
        assert whole[1, 2] == pytest.approx(float(norm(profiles.Profile(gap[1, 2], mass[1, 2]))))


@pytest.mark.parametrize("page", [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))])
def test_counts_in_prose_are_those_of_the_tables(page):
    text = page.read_text(encoding="utf-8")
    assert tool("counts").with_counts(text) == text


def test_every_count_stands_somewhere():
    pages = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    text = "\n".join(page.read_text(encoding="utf-8") for page in pages)
    for pattern in tool("counts").counts():
        assert re.search(pattern, text), pattern


def test_every_public_name_is_in_the_python_reference():
    page = (ROOT / "docs" / "reference" / "python.md").read_text(encoding="utf-8")
    shown = set(re.findall(r"^::: calibtool\.(\w+)$", page, re.MULTILINE))
    former = {"State", "__version__"}
    assert shown == {*ct.__all__, *ct._MODULES, "testing"} - former
