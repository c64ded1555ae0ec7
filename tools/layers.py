"""The house: which package may import which, checked against every import.

python tools/layers.py              exits 1 and names what breaks a rule
python tools/layers.py --measure    prints the size of the house
python tools/layers.py --picture    prints it as CONTRIBUTING.md shows it
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "calibtool"

# A package imports from packages on the lines above it. Inside a package, files import one another,
# but never in a circle.
LAYERS = (
    ("errors", "types", "parallel", "formatting", "version"),
    ("data", "intervals"),
    ("metrics",),
    ("streaming",),
    ("calibrators",),
    ("evaluation",),
    ("analysis", "decisions"),
    ("gate", "diagrams"),
    ("reports",),
    ("train", "plot", "sklearn", "testing"),
    ("cli",),
    ("__main__",),  # `python -m calibtool`: nothing imports it
)
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}
MAX_DEPTH = 3  # calibtool/train/losses/focal.py
# Faces that hand names on. Elsewhere an import names the module that defines a name.
FACES = ("calibtool", "calibtool.metrics", "calibtool.train")

# The one import that goes up, by name and when a result is printed: results are defined below the
# package that shows them.
UPWARD = {("types", "reports")}

# These packages are slow to import, so they are imported inside the function that needs them, but
# in the files named beside them, which only such functions import.
HEAVY: Mapping[str, tuple[str, ...]] = {
    "dask": (),
    "distributed": (),
    "h5py": (),
    "matplotlib": ("diagrams/room.py",),
    "mlflow": (),
    "numba": (),
    "onnx": (),
    "pandas": (),
    "pyarrow": (
        *(f"data/files/{name}.py" for name in ("arrow", "arrow_batches", "arrow_file", "fetch")),
        "data/files/filter.py",
        *(f"data/files/{name}.py" for name in ("json_lines", "literals", "parquet_file")),
        *(f"data/files/{name}.py" for name in ("partitions", "table_file", "text_file", "values")),
        "data/logs/as_table.py",
    ),
    "rich": ("reports/text.py",),
    "scipy": (),
    "sklearn": ("sklearn.py",),
    "wandb": (),
}
# torch may be imported at the top of any file of train/ but these, which answer without it: they
# hold tables, settings and data.
TORCH_FREE = {
    *("__init__", "settings", "config", "folder", "grammar"),
    *("losses/__init__", "losses/registry", "losses/listing", "losses/spec"),
    *("models/__init__", "models/registry"),
    *("data/__init__", "data/read", "data/dataset", "data/split", "data/validation", "data/text"),
    *("data/factory_spec", "data/arrays", "data/factory", "data/images", "data/unseen"),
}


def main() -> int:
    """Check the house, or print what the option asks for."""
    if "--measure" in sys.argv:
        print(measures())
        return 0
    if "--picture" in sys.argv:
        print(picture())
        return 0
    mistakes = check()
    print(
        "\n".join(mistakes)
        or f"{len(LEVEL)} packages and modules in {len(LAYERS)} layers: imports go one way"
    )
    return 1 if mistakes else 0


# ------------------------------------------------------------------ the rules


def check() -> list[str]:
    """Return what breaks a rule, one line each."""
    mistakes = []
    for module, path in modules().items():
        inside = path.relative_to(PACKAGE)
        if len(inside.parts) > MAX_DEPTH:
            mistakes.append(f"{inside}: at most {MAX_DEPTH} levels of folders")
        if module == "calibtool":
            continue  # the face of all: it names modules of every layer and loads them on use
        if top(module) not in LEVEL:
            mistakes.append(f"{inside}: in no layer; add {top(module)} to tools/layers.py")
            continue
        mistakes += [f"{inside}:{line}: {what}" for line, what in _mistakes(module)]
    mistakes += [f"imports in a circle: {' -> '.join(circle)}" for circle in circles(files())]
    return mistakes


def _mistakes(module: str) -> Iterator[tuple[int, str]]:
    here = top(module)
    for line, name in imported(module):
        there = top(name)
        if there == here:
            if name == f"calibtool.{here}" and name not in FACES:
                yield line, f"import from the module that defines the name, not from {name}"
        elif name in modules() and name != "calibtool" and LEVEL.get(there, 99) >= LEVEL[here]:
            yield line, f"{here} may not import {there}, which is not below it"
    for line, name in loaded(module):
        there = top(name)
        if LEVEL.get(there, -1) > LEVEL[here] and (here, there) not in UPWARD:
            yield line, f"{here} may not load {there}, which is not below it"
    inside = modules()[module].relative_to(PACKAGE).as_posix()
    for node in _tree(module).body:
        for name in _names(node):
            package = name.split(".")[0]
            at_home = inside in HEAVY.get(package, (inside,))
            if package == "torch":
                folder, _, file = inside.removesuffix(".py").partition("/")
                at_home = folder == "train" and file not in TORCH_FREE
            if not at_home:
                yield node.lineno, f"import {package} inside the function that needs it"


# ------------------------------------------------------------------ the imports


@cache
def modules() -> dict[str, Path]:
    """Return the file of every module, by its dotted name."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        found[".".join(parts).removesuffix(".__init__")] = path
    return found


@cache
def _tree(module: str) -> ast.Module:
    return ast.parse(modules()[module].read_text(encoding="utf-8"))


def top(module: str) -> str:
    """Return the package or module beside them that a module belongs to."""
    return module.split(".")[1] if "." in module else module


@cache
def imported(module: str) -> tuple[tuple[int, str], ...]:
    """Return line and module of every import of the project's own, inside functions too."""
    return tuple(
        (node.lineno, name)
        for node in ast.walk(_tree(module))
        for name in _names(node)
        if name.split(".")[0] == "calibtool"
    )


def loaded(module: str) -> Iterator[tuple[int, str]]:
    """Yield line and module of every call of `import_module` on the project's own."""
    for node in ast.walk(_tree(module)):
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
            text = node.args[0]
            if isinstance(text, ast.JoinedStr):  # a name that is put together begins with a package
                text = text.values[0]
            if isinstance(text, ast.Constant) and str(text.value).startswith("calibtool."):
                yield node.lineno, str(text.value)


def _names(node: ast.AST) -> list[str]:
    """Return the modules that a statement imports."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom) and node.module:
        inner = [f"{node.module}.{alias.name}" for alias in node.names]
        return [name if name in modules() else node.module for name in inner]
    return []


def files() -> dict[str, set[str]]:
    """Return which modules each module imports, the face of the whole package left out."""
    return {
        module: {name for _, name in imported(module)} & (modules().keys() - {module, "calibtool"})
        for module in modules()
        if module != "calibtool"
    }


def packages() -> dict[str, set[str]]:
    """Return which packages, and modules beside them, each of them imports."""
    graph: dict[str, set[str]] = {name: set() for name in LEVEL}
    for module, names in files().items():
        graph[top(module)] |= {top(name) for name in names} - {top(module)}
    return graph


def circles(graph: Mapping[str, set[str]]) -> list[list[str]]:
    """Return one circle for every module from which a chain of imports leads back to it."""
    found: list[list[str]] = []
    done: set[str] = set()

    def visit(module: str, chain: list[str]) -> None:
        if module in chain:
            found.append([*chain[chain.index(module) :], module])
        elif module not in done:
            for name in sorted(graph.get(module, ())):
                visit(name, [*chain, module])
            done.add(module)

    for module in sorted(graph):
        visit(module, [])
    return found


def depth(graph: Mapping[str, set[str]]) -> int:
    """Return the number of modules in the longest chain of imports; 0 if there are circles."""
    if circles(graph):
        return 0

    @cache
    def length(module: str) -> int:
        return 1 + max(map(length, graph.get(module, ())), default=0)

    return max(map(length, graph))


# ------------------------------------------------------------------ the size of the house


def measures() -> str:
    """Return the numbers that tell how much a reader has to cross."""
    lines = {
        path.relative_to(PACKAGE): path.read_text(encoding="utf-8").count("\n")
        for path in modules().values()
    }
    graph = packages()
    graph.pop("__main__")
    folders = [name for name in LEVEL if (PACKAGE / name).is_dir()]
    longest = max(lines, key=lambda path: lines[path])
    arrows = sum(len(graph[name] & set(folders)) for name in folders)
    imports = sum(len(names) for names in files().values())
    rows = {
        "files": f"{len(lines):,}",
        "lines": f"{sum(lines.values()):,}",
        "longest file": f"{longest} ({lines[longest]} lines)",
        "packages": str(len(folders)),
        "modules beside them": str(len(LEVEL) - len(folders)),  # __main__ among them
        "import levels, packages": str(depth(graph)),
        "import levels, files": str(depth(files())),
        "arrows between packages": str(arrows),
        "imports between files": f"{imports:,}",
    }
    return "\n".join(f"{name:<24} {value}" for name, value in rows.items())


def picture() -> str:
    """Return the packages, from the top down: what each holds and what it imports."""
    graph = packages()
    names = [n for layer in reversed(LAYERS) for n in layer if (PACKAGE / n).is_dir()]
    rows = []
    for name in names:
        doc = (ast.get_docstring(_tree(f"calibtool.{name}")) or "").split("\n")[0]
        below = [other for other in names if other in graph[name]]
        rows += [f"{name:<12} {doc}", f"{'':<12} -> {', '.join(below)}" if below else "", ""]
    ground = sorted(n for n in LAYERS[0])
    rows += [f"Below all of them: {', '.join(ground)}."]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(rows))


if __name__ == "__main__":
    sys.exit(main())
