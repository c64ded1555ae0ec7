"""Exports give what the calibrator gives: every calibrator, every target."""

from __future__ import annotations

import ctypes
import functools
import importlib.util
import itertools
import re
import shutil
import subprocess
import sys
from dataclasses import replace

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper
from simulated import simulate

import calibtool as ct
from calibtool.calibrators.calibrator import Calibrator
from calibtool.calibrators.curves import Steps
from calibtool.calibrators.export.write import TARGETS, export
from calibtool.calibrators.multiclass_curves import MULTICLASS, Curves
from calibtool.calibrators.registry import METHODS
from calibtool.cli.main import main
from calibtool.data.rows import to_probs
from calibtool.errors import InputError, UsageError

NAMES = list(METHODS)
BINARY = [name for name, line in METHODS.items() if line.binary]
SMALL = 300  # rows of a fit: every curve has its edges, and the whole table takes seconds

# (method, options, classes, kind, one column)
PLAIN = [(m, (), k, kind, False) for m in NAMES for k in (2, 5) for kind in ("logits", "probs")]
ONE_COLUMN = [(m, (), 2, kind, True) for m in NAMES for kind in ("logits", "probs")]
SHIFTED = [(m, (("prior", True),), 5, kind, False) for m in NAMES for kind in ("logits", "probs")]
WRAPPED = [
    (m, (("multiclass", wrapper),), k, kind, False)
    for m in BINARY
    for wrapper in MULTICLASS[1:]
    for k, kind in ((2, "logits"), (5, "logits"), (5, "probs"))
]
FOLDED = [
    ("venn-abers", (("folds", 3), ("multiclass", wrapper)), k, kind, False)
    for wrapper in MULTICLASS
    for k, kind in ((2, "logits"), (5, "probs"))
]
CENTRED = [("isotonic", (("centred", True),), 5, "logits", False)]
SMOOTHED = [
    (m, (("smoothing", True), ("multiclass", wrapper)), k, kind, False)
    for m, line in METHODS.items()
    if line.zeros
    for wrapper in MULTICLASS
    for k, kind in ((2, "logits"), (5, "probs"))
]
CASES = [*PLAIN, *ONE_COLUMN, *SHIFTED, *WRAPPED, *FOLDED, *CENTRED, *SMOOTHED]


def name_of(case):
    method, options, classes, kind, one_column = case
    words = [method, *(f"{key}={v}" for key, v in options), str(classes), kind]
    return "-".join([*words, "column"] if one_column else words)


every_case = pytest.mark.parametrize("case", CASES, ids=name_of)


@functools.cache
def fitted(case):
    method, options, classes, kind, one_column = case
    options = dict(options)
    prior = options.pop("prior", False)
    _, p = seen(classes, kind, one_column, np.float32)
    calibrator = ct.fit(method, p, **options)
    return (
        calibrator.for_prior(np.arange(1, 1 + classes) / sum(range(1 + classes)))
        if prior
        else calibrator
    )


@functools.cache
def inputs(classes, kind, one_column, dtype):
    """Rows for a calibrator of this shape: new ones, extreme ones, those of its fit."""
    return tuple(make(classes, kind, one_column, dtype) for make in (fresh, extreme, seen))


def seen(classes, kind, one_column=False, dtype=np.float64):
    """The rows of the fits, the scores of which are edges of curves."""
    return fresh(classes, kind, one_column, dtype, seed=0, count=SMALL)


def fresh(classes, kind, one_column=False, dtype=np.float64, *, seed=1, count=600):
    """Float32 logits or probabilities as a model gives them, and as Predictions, in a dtype."""
    simulated = simulate(count, classes, seed=seed)
    z = simulated.values.astype(np.float32)
    return as_kind(z[:, 1:] - z[:, :1] if one_column else z, simulated.labels, kind, dtype)


def extreme(classes, kind, one_column=False, dtype=np.float64):
    """Rows that saturate, tie, and underflow."""
    line = [-900.0, -80, -40, -17, -1e-30, 0, 1e-3, 17, 40, 80, 900]
    if one_column:
        z = np.array(line)[:, None]
    else:
        z = np.array(list(itertools.product(line, repeat=2)))
        z = np.concatenate([z, np.zeros((len(z), classes - 2))], axis=1)
        z = np.concatenate([z, np.full((1, classes), -700.0), np.full((1, classes), 0.1)])
    return as_kind(z.astype(np.float32), None, kind, dtype)


def as_kind(z, labels, kind, dtype):
    p = ct.Predictions.from_logits(z, labels)
    values = (to_probs(p) if kind == "probs" else p).values.astype(dtype)
    make = ct.Predictions.from_probs if kind == "probs" else ct.Predictions.from_logits
    return values, make(values, labels)


def ours(calibrator, p):
    return to_probs(calibrator(p)).matrix()


@functools.cache
def rows_and_wanted(case, dtype=np.float64):
    """All rows for a case, and what its calibrator gives for them."""
    parts = inputs(*case[2:], dtype)
    wanted = np.concatenate([ours(fitted(case), p) for _, p in parts])
    return np.concatenate([values for values, _ in parts]), wanted


# ------------------------------------------------------------------ running what was exported


def run_onnx(data, values, name="probabilities"):
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    (model_input,) = session.get_inputs()
    return session.run([name], {model_input.name: values})[0]


def run_python(data, values, folder):
    path = folder / "exported.py"
    path.write_bytes(data)
    spec = importlib.util.spec_from_file_location("exported", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return np.array([module.calibrate(row) for row in values.tolist()])


COMPILER = shutil.which("cc")
compiled = pytest.mark.skipif(COMPILER is None, reason="there is no C compiler (cc) here")
LOOP = """
void run_NAME(const double *in, double *out, int rows, int columns) {
    for (int i = 0; i < rows; i++) {
        NAME(in + i * columns, out + i * CALIBRATE_K);
    }
}
"""


def compile_c(code, folder):
    (folder / "run.c").write_bytes(code)
    strict = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic", "-O1", "-shared", "-fPIC"]
    process = subprocess.run(
        [COMPILER, *strict, "run.c", "-o", "run.so", "-lm"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    return ctypes.CDLL(str(folder / "run.so"))


def run_function(function, values, classes):
    values = np.ascontiguousarray(values, np.float64)
    out = np.empty((len(values), classes))
    pointer = ctypes.POINTER(ctypes.c_double)
    function(values.ctypes.data_as(pointer), out.ctypes.data_as(pointer), *values.shape)
    return out


def classes_of(data):
    return int(re.search(rb"CALIBRATE_K (\d+)", data)[1])


def run_c(data, values, folder):
    (folder / "exported.h").write_bytes(data)
    loop = '#include "exported.h"\n' + LOOP.replace("NAME", "calibrate")
    function = compile_c(loop.encode(), folder).run_calibrate
    return run_function(function, values, classes_of(data))


@pytest.fixture(scope="module")
def c_functions(tmp_path_factory):
    """The exports of a method's cases to C, by case: one file, since starting a compiler takes
    longer than its work. Each case has names of its own in it."""

    @functools.cache
    def of(method):
        cases = [case for case in CASES if case[0] == method]
        headers = [export(fitted(case), "c", **options_of(case)) for case in cases]
        code = b""
        for k, header in enumerate(headers):
            whole = header + LOOP.replace("NAME", "calibrate").encode()
            code += re.sub(rb"(?i)calibrate(?=\W|_)", rb"\g<0>_%d" % k, whole)
        library = compile_c(code, tmp_path_factory.mktemp("c"))
        return {
            case: (library[f"run_calibrate_{k}"], classes_of(header))
            for k, (case, header) in enumerate(zip(cases, headers, strict=True))
        }

    return of


def options_of(case):
    return {"kind": case[3], "one_column": case[4]}


# ------------------------------------------------------------------ every calibrator


@every_case
def test_onnx(case):
    data = export(fitted(case), "onnx", **options_of(case))
    onnx.checker.check_model(onnx.load_model_from_string(data), full_check=True)
    values, wanted = rows_and_wanted(case, np.float32)
    outputs = run_onnx(data, values)
    assert outputs.dtype == np.float32
    np.testing.assert_allclose(outputs, wanted, atol=1e-6)


@every_case
def test_python(case, tmp_path):
    data = export(fitted(case), "python", **options_of(case))
    assert set(re.findall(r"^ *(?:import|from) (\w+)", data.decode(), re.MULTILINE)) <= {"math"}
    values, wanted = rows_and_wanted(case)
    np.testing.assert_allclose(run_python(data, values, tmp_path), wanted, atol=1e-12)


@compiled
@every_case
def test_c(case, c_functions):
    values, wanted = rows_and_wanted(case)
    function, classes = c_functions(case[0])[case]
    outputs = run_function(function, values, classes)
    np.testing.assert_allclose(outputs, wanted, atol=1e-12)


# ------------------------------------------------------------------ the parts


SOME = ("isotonic", (), 5, "logits", False)


@pytest.mark.parametrize("count", [0, 1, 7])
def test_an_onnx_graph_takes_any_number_of_rows(count):
    for method in ("temperature", "venn-abers"):
        case = (method, *SOME[1:])
        values, p = fresh(5, "logits", dtype=np.float32, count=7)
        outputs = run_onnx(export(fitted(case), "onnx"), values[:count])
        assert outputs.shape == (count, 5)
        np.testing.assert_allclose(outputs, ours(fitted(case), p)[:count], atol=1e-6)


def test_long_curves_are_searched_and_not_compared_edge_by_edge():
    """Nodes grow by five a doubling of the edges, and no tensor has an axis of edges."""
    rng = np.random.Generator(np.random.PCG64(0))
    edges, values = np.unique(rng.random(100_000)), rng.random(100_001)
    steps = Steps(edges, values[: len(edges) + 1])
    calibrator = Calibrator("isotonic", Curves("shared", (steps,), 1e-9, np.full(5, 0.2)), 5)
    data = export(calibrator, "onnx")
    assert len(onnx.load_model_from_string(data).graph.node) < 120
    assert len(data) < 2.1e6  # what the numbers take, and little more
    values, p = fresh(5, "logits", dtype=np.float32, count=20_000)
    np.testing.assert_allclose(run_onnx(data, values), ours(calibrator, p), atol=1e-6)


def test_curves_of_different_lengths_keep_to_their_own_edges():
    curves = [Steps(np.arange(1, n + 1) / (n + 1), np.arange(n + 1) / n) for n in (1, 6, 40)]
    curves[1:1] = [Steps(np.array([]), np.array([0.25]))]
    calibrator = Calibrator(
        "isotonic", Curves("one-vs-rest", tuple(curves), 1e-9, np.full(4, 0.25)), 4
    )
    values, p = fresh(4, "logits", dtype=np.float32)
    np.testing.assert_allclose(
        run_onnx(export(calibrator, "onnx"), values), ours(calibrator, p), atol=1e-6
    )


def test_rows_that_get_no_probability_get_the_prior(tmp_path):
    never = Steps(np.array([0.9]), np.array([0.0, 1.0]))
    prior = np.array([0.5, 0.3, 0.2])
    calibrator = Calibrator("isotonic", Curves("shared", (never,), 1e-9, prior), 3)
    values = np.zeros((2, 3), np.float32)
    np.testing.assert_allclose(run_onnx(export(calibrator, "onnx"), values), [prior] * 2, atol=1e-7)
    np.testing.assert_array_equal(
        run_python(export(calibrator, "python"), values, tmp_path), [prior] * 2
    )


@compiled
def test_no_name_of_a_file_gets_out_of_the_comment(tmp_path):
    source = 'a"""*/ /* ??/ \\ \n {x} \x00.json'
    values, p = fresh(5, "logits", count=9)
    for run, to in ((run_python, "python"), (run_c, "c")):
        outputs = run(export(fitted(SOME), to, source=source), values, tmp_path)
        np.testing.assert_allclose(outputs, ours(fitted(SOME), p), atol=1e-12)


def test_a_python_module_refuses_rows_of_another_length(tmp_path):
    with pytest.raises(ValueError, match="3 numbers; 5 logits are expected"):
        run_python(export(fitted(SOME), "python"), np.zeros((1, 3)), tmp_path)


def test_a_group_cannot_be_exported_and_the_message_says_what_can():
    p = replace(simulate(400, 3), extra={"country": np.arange(400) % 2})
    calibrator = ct.fit("temperature", p, by="country")
    for each in (calibrator, calibrator.for_prior([0.2, 0.3, 0.5])):
        for to in TARGETS:
            with pytest.raises(UsageError, match=r"country.*without --by, and export each"):
                export(each, to)


def test_what_was_fitted_on_logits_alone_is_not_exported_for_probabilities():
    for method in ("vector", "matrix"):
        calibrator = fitted((method, *SOME[1:]))
        for each in (calibrator, calibrator.for_prior(np.full(5, 0.2))):
            with pytest.raises(UsageError, match=r"was fitted on logits.*export it for logits"):
                export(each, "onnx", kind="probs")


@pytest.mark.parametrize("to", ["python", "c"])
def test_text_has_a_most(to, monkeypatch):
    monkeypatch.setattr("calibtool.calibrators.export.text_targets.MOST", 10)
    with pytest.raises(UsageError, match=r"cal\.json: holds \d+ numbers; .* may hold 10\."):
        export(fitted(SOME), to, source="cal.json")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"to": "java"}, r"one of onnx, python, c \(got 'java'\)"),
        ({"to": "onnx", "one_column": True}, "has 5 classes; --one-column needs two"),
        ({"to": "c", "after": "model.onnx"}, "for ONNX models, not for c"),
        ({"to": "onnx", "output_name": "logits"}, "give both"),
    ],
)
def test_what_cannot_be_exported_is_an_error(options, says):
    with pytest.raises(UsageError, match=says):
        export(fitted(SOME), **options)


# ------------------------------------------------------------------ behind a model

WEIGHT = np.random.Generator(np.random.PCG64(0)).normal(size=(4, 5))
INPUTS = np.random.Generator(np.random.PCG64(1)).normal(size=(50, 4)).astype(np.float32)
KINDS = {
    np.float16: TensorProto.FLOAT16,
    np.float32: TensorProto.FLOAT,
    np.float64: TensorProto.DOUBLE,
    np.int64: TensorProto.INT64,
}


def linear(dtype=np.float32, opset=17, columns=5, out="logits", shape="known", more=False):
    """A model: `logits` are (N, 4) times a matrix."""
    kind = KINDS[dtype]
    nodes = [
        helper.make_node("MatMul", ["x", "weight"], ["product"]),
        helper.make_node("Cast", ["product"], [out], to=kind),
    ]
    shapes = {"known": ["rows", columns], "unknown": None, "deep": ["rows", columns, 1]}
    outputs = [helper.make_tensor_value_info(out, kind, shapes[shape])]
    if more:
        nodes.append(helper.make_node("Neg", ["product"], ["probabilities"]))
        outputs.append(helper.make_tensor_value_info("probabilities", KINDS[np.float32], None))
    graph = helper.make_graph(
        nodes,
        "linear",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["rows", 4])],
        outputs,
        [onnx.numpy_helper.from_array(WEIGHT[:, :columns].astype(np.float32), "weight")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def behind(model, case, folder, **options):
    onnx.save(model, folder / "model.onnx")
    return export(fitted(case), "onnx", after=folder / "model.onnx", **options)


def logits_of(model):
    session = onnxruntime.InferenceSession(model.SerializeToString())
    return session.run([model.graph.output[0].name], {"x": INPUTS})[0]


@pytest.mark.parametrize("opset", [11, 13, 17, 18, 21])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_behind_a_model(opset, dtype, tmp_path):
    model = linear(dtype, opset)
    p = ct.Predictions.from_logits(logits_of(model), None)
    for case in (SOME, ("platt", *SOME[1:]), ("temperature", *SOME[1:])):
        data = behind(model, case, tmp_path)
        wide = replace(p, values=p.values.astype(np.float64))
        np.testing.assert_allclose(run_onnx(data, INPUTS), ours(fitted(case), wide), atol=1e-6)
        (left,) = onnx.load_model_from_string(data).graph.output
        assert left.name == "probabilities"


def test_behind_a_model_that_gives_probabilities(tmp_path):
    model = linear(out="product_2")
    model.graph.node.append(helper.make_node("Softmax", ["product_2"], ["probs"], axis=1))
    model.graph.output[0].name = "probs"
    case = ("histogram", (), 5, "probs", False)
    p = ct.Predictions.from_probs(logits_of(model), None)
    outputs = run_onnx(behind(model, case, tmp_path, kind="probs"), INPUTS)
    np.testing.assert_allclose(outputs, ours(fitted(case), p), atol=1e-6)


def test_behind_a_model_of_one_column(tmp_path):
    case = ("beta", (), 2, "logits", True)
    model = linear(columns=1)
    p = ct.Predictions.from_logits(logits_of(model), None)
    outputs = run_onnx(behind(model, case, tmp_path), INPUTS)
    np.testing.assert_allclose(outputs, ours(fitted(case), p), atol=1e-6)


def test_one_column_behind_a_model_of_two_is_an_error(tmp_path):
    case = ("beta", (), 2, "logits", True)
    with pytest.raises(UsageError, match="logits has 2 columns; omit --one-column"):
        behind(linear(columns=2), case, tmp_path, one_column=True)


def test_behind_a_model_of_unknown_shape(tmp_path):
    model = linear(shape="unknown")
    p = ct.Predictions.from_logits(logits_of(model), None)
    outputs = run_onnx(behind(model, SOME, tmp_path), INPUTS)
    np.testing.assert_allclose(outputs, ours(fitted(SOME), p), atol=1e-6)


def test_other_outputs_stay_and_names_do_not_meet(tmp_path):
    """Twice behind one model, which already calls another output `probabilities`."""
    once = behind(linear(more=True), SOME, tmp_path, output_name="logits")
    model = onnx.load_model_from_string(once)
    assert [output.name for output in model.graph.output] == [
        "calibrated_probabilities",
        "probabilities",
    ]
    twice = behind(model, SOME, tmp_path, output_name="probabilities")
    names = [output.name for output in onnx.load_model_from_string(twice).graph.output]
    assert names == ["calibrated_probabilities", "calibrated_calibrated_probabilities"]
    both = onnxruntime.InferenceSession(twice).run(names, {"x": INPUTS})
    z = INPUTS @ WEIGHT.astype(np.float32)
    for outputs, logits in zip(both, (z, -z), strict=True):
        p = ct.Predictions.from_logits(logits, None)
        np.testing.assert_allclose(outputs, ours(fitted(SOME), p), atol=1e-6)


def a_map():
    """What scikit-learn's converter gives unless told otherwise."""
    model = linear()
    inner = helper.make_tensor_type_proto(TensorProto.FLOAT, None)
    kind = helper.make_sequence_type_proto(helper.make_map_type_proto(TensorProto.INT64, inner))
    model.graph.output[0].CopyFrom(helper.make_value_info("logits", kind))
    return model


def of_old_operators():
    model = linear(opset=7)
    model.graph.node[1].CopyFrom(helper.make_node("Celu", ["product"], ["logits"]))
    return model


@pytest.mark.parametrize(
    ("model", "options", "says"),
    [
        (lambda: linear(columns=4), {}, "logits has 4 columns.* fitted for 5 classes"),
        (lambda: linear(more=True), {}, "2 outputs.*--output-name: logits, probabilities"),
        (linear, {"output_name": "x"}, "has no output 'x'; its outputs are logits"),
        (lambda: linear(np.int64), {}, "logits holds int64"),
        (lambda: linear(shape="deep"), {}, "logits has 3 dimensions"),
        (a_map, {}, "is not a tensor.*zipmap=False"),
        (of_old_operators, {}, r"opset 7 .* export the model again with opset 13 or later"),
    ],
)
def test_a_model_that_does_not_fit_is_an_error(model, options, says, tmp_path):
    with pytest.raises(UsageError, match=says):
        behind(model(), SOME, tmp_path, **options)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "No such file"),
        (b"", "not an ONNX model"),
        (b"this is text", "not an ONNX model"),
        (b"\x80\x04K\x01.", "not an ONNX model"),
        (linear().SerializeToString()[:-40], "not an ONNX model"),
    ],
    ids=["missing", "empty", "text", "pickle", "truncated"],
)
def test_a_file_that_is_no_model_is_an_error(content, says, tmp_path):
    if content is not None:
        (tmp_path / "model.onnx").write_bytes(content)
    with pytest.raises(InputError, match=says):
        export(fitted(SOME), "onnx", after=tmp_path / "model.onnx")


def test_without_onnx_the_message_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(UsageError, match=r"pip install 'calibtool\[onnx\]'"):
        export(fitted(SOME), "onnx")
    assert export(fitted(SOME), "c")


# ------------------------------------------------------------------ the command


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    fitted(SOME).save("cal.json")
    return tmp_path


@pytest.mark.parametrize("to", TARGETS)
def test_the_command_writes_what_the_function_gives(to, folder, capsys):
    file = f"out{TARGETS[to].suffix}"
    assert main(["export", "cal.json", "--to", to, "-o", file]) == 0
    assert file in capsys.readouterr().err
    name = None if to == "onnx" else "out"
    exported = export(fitted(SOME), to, name=name, source="cal.json")
    assert (folder / file).read_bytes() == exported
    assert b"cal.json" in (folder / file).read_bytes()


def test_the_command_puts_it_behind_a_model(folder):
    onnx.save(linear(more=True), "model.onnx")
    words = ["export", "cal.json", "--to", "onnx", "--after", "model.onnx"]
    assert main([*words, "--output-name", "logits", "-o", "model.onnx"]) == 2
    assert main([*words, "--output-name", "logits", "-o", "whole.onnx"]) == 0
    assert run_onnx((folder / "whole.onnx").read_bytes(), INPUTS, "calibrated_probabilities").any()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("cal.json --to java -o x.java", "'java' is not one of"),
        ("cal.json -o x.py", "Missing option '--to'"),
        ("cal.json --to c", "Missing option '-o'"),
        ("missing.json --to c -o x.h", "no such file"),
        ("cal.json --to c -o x.py", "the file of a C header must end in .h"),
        ("cal.json --to onnx -o x", "the file of an ONNX graph must end in .onnx"),
        ("groups.json --to onnx -o x.onnx", "export each"),
        ("cal.json --to onnx --one-column -o x.onnx", "--one-column needs two"),
        ("cal.json --to python -o missing/x.py", "missing/x.py: cannot be written: No such file"),
        ("cal.json --to python -o folder.py", "is a folder"),
        ("cal.json --to python -o cal.json/x.py", "cannot be written: Not a directory"),
        ("cal.json --to onnx -o x.onnx --after missing.onnx", "missing.onnx: No such file"),
        ("cal.json --to onnx -o x.onnx --after cal.json", "not an ONNX model"),
        ("half.json --to c -o x.h", "truncated"),
    ],
)
def test_bad_use_is_an_error_that_leaves_nothing(words, says, folder, capsys):
    (folder / "half.json").write_text((folder / "cal.json").read_text()[:300])
    (folder / "folder.py").mkdir()
    p = replace(simulate(400, 3), extra={"country": np.arange(400) % 2})
    ct.fit("temperature", p, by="country").save("groups.json")
    before = sorted(folder.rglob("*"))
    assert main(["export", *words.split()]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert says in err
    assert "Traceback" not in err
    assert "internal error" not in err
    assert sorted(folder.rglob("*")) == before


def test_help_of_the_command_loads_nothing_heavy():
    heavy = ["numpy", "onnx", "google.protobuf", "scipy"]
    code = (
        "import sys; from calibtool.cli.main import main; main(['export', '--help']); "
        f"print([name for name in {heavy} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("\n[]\n")
