"""Imports go one way: the packages in order, checked.

python tools/layers.py   exits 1 and names each import that breaks the rule.
"""

from __future__ import annotations

import ast
import sys
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "calibtool"

# a package imports from packages on lines above it; inside one, files may import one another
LAYERS = (
    ("errors", "version"),
    ("types", "parallel", "formatting"),
    ("data", "intervals"),
    ("metrics",),
    ("streaming",),
    ("calibrators",),
    ("evaluation",),
    ("analysis",),
    ("gate", "diagrams"),
    ("reports",),
    ("train", "plot", "sklearn", "testing"),
    ("cli",),
    ("__main__",),
)
# imports that go the other way: (file, package)
KNOWN: frozenset[tuple[str, str]] = frozenset(
    {
        # a result that is printed finds its renderer, which stands above it, when it is printed
        ("types.py", "reports"),
    }
)
ANYWHERE = {"__init__"}  # the façade names things lazily and is imported by nobody inside
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}
MOST_LEVELS = 3  # calibtool/train/losses/focal.py
HEAVY = {
    "dask",
    "distributed",
    "mlflow",
    "pandas",
    "pyarrow",
    "matplotlib",
    "scipy",
    "rich",
    "torch",
    "onnx",
    "sklearn",
    "wandb",
}
# where a heavy package may be imported at the top of a file
HOME = {
    "pyarrow": tuple(
        f"data/files/{name}.py"
        for name in ("arrow", "arrow_file", "fetch", "filter", "partitions", "values")
    ),
    "rich": ("reports/text.py",),
    "sklearn": ("sklearn.py",),
}
# torch is at home all over train/, but for what answers without it: lists, settings, data
TORCH_FREE = {
    *("__init__", "settings", "config", "folder", "grammar"),
    *("losses/__init__", "losses/registry", "losses/listing", "losses/spec"),
    *("models/__init__", "models/registry"),
    *("data/__init__", "data/read", "data/dataset", "data/split", "data/validation", "data/text"),
    *("data/factory_spec", "data/arrays", "data/bytes", "data/factory", "data/images"),
}


def main() -> int:
    """Check every file of the package."""
    mistakes, used = [], set()
    for path in sorted(PACKAGE.rglob("*.py")):
        inside = path.relative_to(PACKAGE)
        own = inside.parts[0].removesuffix(".py")
        if own in ANYWHERE:
            continue
        if own not in LEVEL:
            mistakes.append(f"{inside}: belongs to no layer; add it to tools/layers.py")
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for line, other, what in _mistakes(tree, own, inside.as_posix()):
            if (inside.as_posix(), other) in KNOWN:
                used.add((inside.as_posix(), other))
            else:
                mistakes.append(f"{inside}:{line}: {what}")
        if len(inside.parts) > MOST_LEVELS:
            mistakes.append(f"{inside}: two levels of folders, no deeper")
    mistakes += [f"{file} no longer imports {other}: drop it" for file, other in KNOWN - used]
    known = f"; {len(KNOWN)} known imports go the other way" if KNOWN else ""
    print(
        "\n".join(mistakes)
        or f"{len(LEVEL)} modules in {len(LAYERS)} layers: imports go one way{known}"
    )
    return 1 if mistakes else 0


def _mistakes(tree: ast.Module, own: str, inside: str) -> list[tuple[int, str, str]]:
    found = []
    for node in ast.walk(tree):
        for name in _imported(node):
            other = name.split(".")[1] if name.startswith("calibtool.") else None
            if other is None or other in (own, "__init__"):
                continue
            if LEVEL.get(other, len(LAYERS)) >= LEVEL[own]:
                what = f"{own} may not import {other}, which is not below it"
                found.append((node.lineno, other, what))
    for node in tree.body:
        for name in _imported(node):
            package = name.split(".")[0]
            if (
                package in HEAVY
                and inside not in HOME.get(package, ())
                and not _torch(package, inside)
            ):
                what = f"import {package} inside the function that needs it"
                found.append((node.lineno, package, what))
    return found


def _torch(package: str, inside: str) -> bool:
    """Whether this is torch in a module that only training imports."""
    folder, _, module = inside.removesuffix(".py").partition("/")
    return package == "torch" and folder == "train" and module not in TORCH_FREE


def _imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom) and node.module == "calibtool":
        return [f"calibtool.{alias.name}" for alias in node.names]
    if isinstance(node, ast.ImportFrom) and node.module:
        return [node.module]
    if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
        return [text for text in map(_beginning, node.args[:1]) if text.startswith("calibtool.")]
    return []


def _beginning(node: ast.expr) -> str:
    """The text that an argument begins with: a name that is built is known up to its package."""
    if isinstance(node, ast.JoinedStr) and node.values:
        node = node.values[0]
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


if __name__ == "__main__":
    sys.exit(main())
