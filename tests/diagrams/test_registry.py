"""A kind of diagram is one file and one line of the table."""

from __future__ import annotations

import ast
import inspect
import json
import subprocess
import sys
from pathlib import Path

import pytest

import calibtool as ct
from calibtool import diagrams, plot
from calibtool.cli.main import main
from calibtool.diagrams.look import Words
from calibtool.diagrams.options import Option, Parameter, parameters, require_choices
from calibtool.diagrams.registry import KINDS, ONE, Kind, module_of

TOY = '''
"""How many rows there are."""

from dataclasses import dataclass
from typing import Annotated

from calibtool.diagrams.inputs import Named, only
from calibtool.diagrams.look import Words
from calibtool.diagrams.options import Option


@dataclass(frozen=True)
class Toy:
    rows: int
    factor: int
    notes: tuple[str, ...] = ()

    @property
    def parts(self):
        return {"count": {"rows": [self.rows], "times": [self.rows * self.factor]}}


def compute(
    predictions: Named,
    *,
    factor: Annotated[int, Option("What to multiply by.", within=(1, 9))] = 2,
    **shared: object,
) -> Toy:
    """Count rows."""
    return Toy(only(predictions).rows, factor)


def height(data, width, style):
    return width


def draw(data, axes, style):
    axes.bar([0], [data.rows * data.factor], gid="bars-0")
'''


@pytest.fixture
def toy(monkeypatch, tmp_path) -> Path:
    """One file beside the other kinds, and one line in the table."""
    (tmp_path / "toy.py").write_text(TOY)
    monkeypatch.setattr(diagrams, "__path__", [*diagrams.__path__, str(tmp_path)])
    monkeypatch.setitem(KINDS, "toy", Kind("Rows, counted.", "More is more.", ONE, "Noah, n. d."))
    yield tmp_path
    sys.modules.pop("calibtool.diagrams.toy", None)


def test_a_toy_diagram_of_one_file_and_one_line(toy, examples, capsys):
    """CONTRIBUTING says so."""
    file, picture, data = examples / "fashion_test.npz", toy / "toy.svg", toy / "toy.json"
    assert main(["plot", "--help"]) == 0
    assert "Rows, counted." in capsys.readouterr().out
    assert main(["plot", "toy", "--help"]) == 0
    page = " ".join(capsys.readouterr().out.split())
    assert "Usage: calibtool plot toy [OPTIONS] FILE Rows, counted. More is more." in page
    assert "--factor INTEGER RANGE What to multiply by. [default: 2; 1<=x<=9]" in page

    words = [str(word) for word in ("plot", "toy", file, "-o", picture, "--data", data)]
    assert main([*words, "--factor", "10"]) == 2
    assert "1<=x<=9" in capsys.readouterr().err
    assert main([*words, "--factor", "3"]) == 0
    record = json.loads(data.read_text())
    assert record["kind"] == "toy"
    assert record["parts"] == {"count": [{"rows": 5000, "times": 15000}]}
    assert 'id="bars-0"' in picture.read_text()

    from matplotlib.figure import Figure

    axes = Figure().subplots()
    assert ct.plot.toy(ct.load(file), ax=axes, factor=4).parts["count"]["times"] == [20000]
    assert len(axes.patches) == 1
    assert inspect.signature(ct.plot.toy).parameters["factor"].annotation is int


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_a_function_with_the_options_of_its_compute(kind):
    name, compute = kind.replace("-", "_"), module_of(kind).compute
    function = getattr(ct.plot, name)
    assert name in ct.plot.__all__
    assert name in dir(ct.plot)
    assert (function.__name__, function.__module__) == (name, "calibtool.plot")
    assert KINDS[kind].summary in function.__doc__
    assert inspect.getdoc(compute).splitlines()[0] in function.__doc__
    own, wanted = inspect.signature(function).parameters, inspect.signature(compute).parameters
    assert [p for p in own if p not in ("ax", *Words.__annotations__)] == list(wanted)
    assert all(own[p].default == wanted[p].default for p in wanted)
    assert all(own[p].kind == wanted[p].kind for p in wanted)
    assert (own["ax"].default, own["style"].default) == (None, "paper")


@pytest.mark.parametrize("kind", KINDS)
def test_every_parameter_of_a_compute_has_an_option(kind):
    """All but what every kind takes: predictions, and how its intervals are made."""
    compute = module_of(kind).compute
    _, *named = inspect.signature(compute).parameters.values()
    wanted = [p.name for p in named if p.kind is not p.VAR_KEYWORD and p.name != "resampling"]
    assert [parameter.name for parameter in parameters(compute)] == wanted


def test_type_checkers_are_told_which_record_a_function_returns():
    tree = ast.parse(Path(plot.__file__).read_text(encoding="utf-8"))
    told = {
        node.target.id: ast.unparse(node.annotation)
        for node in ast.walk(tree)
        if isinstance(node, ast.AnnAssign)
    }
    for name, record in told.items():
        returned = inspect.signature(getattr(ct.plot, name)).return_annotation
        assert record == f"Plot[{returned.__name__}]"
    assert set(told) == {kind.replace("-", "_") for kind in KINDS}


def test_the_table_loads_nothing_heavy():
    code = "import sys, calibtool.diagrams.registry; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"numpy", "matplotlib"} & set(done.stdout.split())


def test_the_list_of_kinds_loads_nothing_heavy():
    code = (
        "import sys; from calibtool.cli.main import main; "
        "main(['plot', '--help']); print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"numpy", "matplotlib"} & set(done.stdout.split())


def test_an_option_is_read_off_type_and_default():
    compute = module_of("shift").compute
    over, groups, *_ = parameters(compute)
    column = Option("Column of numbers or times.", typed="column")
    assert over == Parameter("over", str, (), None, required=True, option=column)
    assert (groups.type, groups.default, groups.option.within) == (int, 10, (2, 1000))
    profile = next(p for p in parameters(module_of("reliability").compute) if p.name == "profile")
    assert (profile.choices, profile.default) == (("equal_width", "equal_mass"), None)
    require_choices(compute, view="top")
    with pytest.raises(ct.CalibtoolError, match=r"view must be one of auto, top, positive"):
        require_choices(compute, view="sideways")
