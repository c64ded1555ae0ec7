"""Write the repository's owner, the version and its date wherever files repeat them.

python tools/release.py [--check]

Each is said once: the owner in `Repository` of pyproject.toml's [project.urls], the version in
calibtool/version.py, its date in the heading of CHANGELOG.md. tools/docs.py makes pages of what
commands print, which takes minutes and every extra; this takes Python alone, so that a release can
be checked before anything is installed.
"""

from __future__ import annotations

import re
import sys
import tomllib
from fnmatch import fnmatch
from itertools import chain
from pathlib import Path

ROOT = Path(__file__).parents[1]
FOLDERS = (".github", "docs", "packaging")  # besides the files of the root
NAMES = ("*.cff", "*.md", "*.toml", "*.yaml", "*.yml", "Dockerfile")
VERSION = r"\d+\.\d+\.\d+\w*"
# files, what stands there, and which fact it is
PLACES = (
    ("*", r"(?<=github\.com/)[\w.-]+(?=/calibtool\b)", "owner"),
    ("*", r"\b[\w-]+(?=\.github\.io/calibtool\b)", "owner"),
    ("*", r"(?<=uses: )[\w.-]+(?=/calibtool@)", "owner"),
    ("*", r"(?<=repo_name: )[\w.-]+(?=/calibtool\b)", "owner"),
    ("*.md", r"(?<=`)[\w.-]+(?=/calibtool`)", "owner"),
    ("*.md", rf"(?<=/calibtool@v){VERSION}", "version"),
    ("*.md", rf"(?<=    rev: v){VERSION}", "version"),
    ("CITATION.cff", rf"(?m)(?<=^version: ){VERSION}", "version"),
    ("CITATION.cff", r"(?m)(?<=^date-released: )\d{4}-\d\d-\d\d", "date"),
    ("recipe.yaml", rf'(?m)(?<=^  version: "){VERSION}', "version"),
)


def main() -> int:
    """Write what has changed, or with --check name it."""
    check = "--check" in sys.argv[1:]
    stale = 0
    for path, text in made(ROOT).items():
        if path.read_text(encoding="utf-8") == text:
            continue
        stale += 1
        if not check:
            path.write_text(text, encoding="utf-8")
        print(f"{path.relative_to(ROOT)}: {'run python tools/release.py' if check else 'written'}")
    return 1 if check and stale else 0


def facts(root: Path) -> dict[str, str]:
    """Return the owner, the version and its date, each from the place that says it."""
    urls = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]["urls"]
    owner = re.fullmatch(r"https://github\.com/([\w.-]+)/calibtool", urls["Repository"])
    if owner is None:
        raise SystemExit(
            f"pyproject.toml, [project.urls]: Repository is {urls['Repository']!r}; write "
            "https://github.com/NAME/calibtool"
        )
    code = (root / "calibtool" / "version.py").read_text(encoding="utf-8")
    version = re.search(rf'__version__ = "({VERSION})"', code)
    if version is None:
        raise SystemExit('calibtool/version.py: no line __version__ = "1.2.3"')
    heading = rf"(?m)^## \[{re.escape(version[1])}\] - (\d{{4}}-\d\d-\d\d)$"
    date = re.search(heading, (root / "CHANGELOG.md").read_text(encoding="utf-8"))
    if date is None:
        raise SystemExit(f"CHANGELOG.md: no heading '## [{version[1]}] - YYYY-MM-DD'; add it")
    return {"owner": owner[1], "version": version[1], "date": date[1]}


def made(root: Path) -> dict[Path, str]:
    """Return the text of every file in which a fact may stand, with the facts of today."""
    known = facts(root)
    texts = {}
    for path in chain(root.glob("*"), *((root / folder).rglob("*") for folder in FOLDERS)):
        if not any(fnmatch(path.name, name) for name in NAMES) or not path.is_file():
            continue
        text = path.read_text(encoding="utf-8")
        for name, pattern, fact in PLACES:
            if fnmatch(path.name, name):
                text = re.sub(pattern, known[fact], text)
        texts[path] = text
    return texts


if __name__ == "__main__":
    raise SystemExit(main())
