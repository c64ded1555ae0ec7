"""Docs that can rot are made from the code: python tools/docs.py [--check].

- docs/metrics.md and docs/commands.md are written whole;
- in README.md and docs/*.md, what stands below a `$ calibtool ...` line of a console block is
  replaced by what the command prints, run in order in an empty folder that holds docs/examples.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from calibtool import reference
from calibtool.cli import COMMANDS

ROOT = Path(__file__).parents[1]
CONSOLE = re.compile(r"```console\n(.*?)```", re.DOTALL)
FILE = re.compile(r"```(?:toml|json) title=(\S+)\n(.*?)```", re.DOTALL)
PLAIN = {"COLUMNS": "80", "NO_COLOR": "1", "CALIBTOOL_TRACEBACK": "", "TERM": "dumb"}


def main() -> int:
    """Write what has changed, or with --check name it."""
    stale = []
    for path, text in made().items():
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            stale.append(path.relative_to(ROOT))
            if "--check" not in sys.argv:
                path.write_text(text, encoding="utf-8")
    if "--check" not in sys.argv:
        pictures()
    for path in stale:
        print(f"{path}: {'is stale; run `just docs`' if '--check' in sys.argv else 'written'}")
    return 1 if stale and "--check" in sys.argv else 0


def made() -> dict[Path, str]:
    """Every made page."""
    pages = {ROOT / "docs" / "metrics.md": reference.page(), ROOT / "docs" / "commands.md": helps()}
    for path in sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")]):
        if path not in pages:
            pages[path] = with_output(path.read_text(encoding="utf-8"))
    return pages


def pictures() -> None:
    """The diagrams that pages show."""
    images = ROOT / "docs" / "images"
    images.mkdir(exist_ok=True)
    test, val = (f"docs/examples/fashion_{name}.npz" for name in ("test", "val"))
    with tempfile.TemporaryDirectory() as folder:
        fitted = f"{folder}/temperature.json"
        run(["calibtool", "fit-temperature", val, "-o", fitted], ROOT)
        draw = ["calibtool", "plot", "reliability", test, "-o"]
        run([*draw, str(images / "reliability.png")], ROOT)
        run([*draw, str(images / "after.png"), "--calibrator", fitted], ROOT)


def helps() -> str:
    """docs/commands.md: the help page of every command."""
    lines = ["# Commands", "", "Made from the code by `just docs`; do not edit.", ""]
    for title, section in COMMANDS.items():
        lines += [f"## {title}", ""]
        for name in section:
            words = [name, "reliability"] if name == "plot" else [name]
            text = run(["calibtool", *words, "--help"], ROOT)
            lines += [f"### calibtool {' '.join(words)}", "", "```text", text.rstrip(), "```", ""]
    return "\n".join(lines).rstrip() + "\n"


def with_output(text: str) -> str:
    """A page with the output of its commands, run in an empty folder."""
    if "$ calibtool" not in text:
        return text
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(ROOT / "docs" / "examples", Path(folder) / "docs" / "examples")
        shutil.copytree(ROOT / "docs" / "examples", Path(folder) / "demo")
        for name, body in FILE.findall(text):
            (Path(folder) / name).write_text(body, encoding="utf-8")
        return CONSOLE.sub(lambda block: _block(block[1], Path(folder)), text)


def _block(body: str, folder: Path) -> str:
    lines = []
    for command in re.findall(r"^\$ .*$", body, re.MULTILINE):
        lines.append(command)
        if command.startswith("$ calibtool"):
            lines.append(run(["bash", "-c", command[2:]], folder).rstrip("\n"))
    return "```console\n" + "\n".join(line for line in lines if line) + "\n```"


def run(command: list[str], folder: Path) -> str:
    """What a command prints, errors included."""
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, **PLAIN},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
