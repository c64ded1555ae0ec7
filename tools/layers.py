"""Imports only point down, and siblings never import one another: the layers, checked.

python tools/layers.py   exits 1 and names each import that breaks the rule.
"""

from __future__ import annotations

import ast
import sys
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "calibtool"

# from the bottom up; a folder is one entry, and inside it files may import one another
LAYERS = (
    ("errors", "version"),
    ("checks", "threads", "multiple"),
    ("saddlepoint",),
    ("predictions",),
    ("draws", "statistic", "scores", "views", "folds", "files"),
    ("classview", "clusters", "metrics", "slices"),
    ("collect", "calibrators"),
    ("spec", "report", "intervals", "crossfit"),
    ("state",),
    ("panels",),
    ("measure", "reading"),
    ("asked",),
    ("estimates",),
    ("engines",),
    ("streaming",),
    ("evaluation", "grouped", "inspection", "mapping"),
    ("paired",),
    ("comparison", "sliced", "search", "selection", "perfection", "conventions", "monitoring"),
    ("gate",),
    ("diagrams",),
    ("page",),
    ("render", "export"),
    ("ink", "html"),
    ("train", "reference", "sklearn", "plot", "send", "testing", "tracking"),
    ("cli",),
    ("__main__",),
)
ANYWHERE = {"__init__"}  # the façade names things lazily and is imported by nobody inside
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}
HEAVY = {
    "dask",
    "distributed",
    "mlflow",
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
        f"files/{name}.py"
        for name in ("arrow", "arrow_file", "fetch", "filter", "partitions", "values")
    ),
    "rich": ("render/to_table.py",),
    "sklearn": ("sklearn.py",),
}
# torch is at home all over train/, but for what answers without it: lists, settings, data
TORCH_FREE = {
    *("__init__", "table", "settings", "config", "folder", "grammar"),
    *("rows", "split", "door", "text", "factory", "models"),
    *("data", "data_arrays", "data_bytes", "data_factory", "data_images"),
}


def main() -> int:
    """Check every file of the package."""
    mistakes = []
    for path in sorted(PACKAGE.rglob("*.py")):
        inside = path.relative_to(PACKAGE)
        own = inside.parts[0].removesuffix(".py")
        if own in ANYWHERE:
            continue
        if own not in LEVEL:
            mistakes.append(f"{inside}: belongs to no layer; add it to tools/layers.py")
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        mistakes += [f"{inside}:{line}: {what}" for line, what in _mistakes(tree, own, str(inside))]
        if len(inside.parts) > 2:
            mistakes.append(f"{inside}: two levels of folders, no deeper")
    print(
        "\n".join(mistakes) or f"{len(LEVEL)} modules in {len(LAYERS)} layers: imports point down"
    )
    return 1 if mistakes else 0


def _mistakes(tree: ast.Module, own: str, inside: str) -> list[tuple[int, str]]:
    found = []
    for node in ast.walk(tree):
        for name in _imported(node):
            other = name.split(".")[1] if name.startswith("calibtool.") else None
            if other is None or other in (own, "__init__"):
                continue
            if LEVEL.get(other, len(LAYERS)) >= LEVEL[own]:
                found.append((node.lineno, f"{own} may not import {other}, which is not below it"))
    for node in tree.body:
        for name in _imported(node):
            package = name.split(".")[0]
            if (
                package in HEAVY
                and inside not in HOME.get(package, ())
                and not _torch(package, inside)
            ):
                found.append((node.lineno, f"import {package} inside the function that needs it"))
    return found


def _torch(package: str, inside: str) -> bool:
    """Whether this is torch in a module that only training imports."""
    path = Path(inside)
    return package == "torch" and path.parts[0] == "train" and path.stem not in TORCH_FREE


def _imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom) and node.module == "calibtool":
        return [f"calibtool.{alias.name}" for alias in node.names]
    if isinstance(node, ast.ImportFrom) and node.module:
        return [node.module]
    return []


if __name__ == "__main__":
    sys.exit(main())
