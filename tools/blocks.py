"""Blocks of pages, run: what commands print is put below them, and Python must not fail.

A page is run in a folder that holds docs/examples and demo/ (see `calibtool example demo`).
Blocks with a title are files of that folder, written first. Then, in the order of the page:

- a `$ command` of a console block is followed by what it prints (commands of SHOWN are not run);
- Python blocks without a title share one interpreter.

A comment `<!-- not run: REASON -->` above a block keeps it from being run. Below
`<!-- output kept: REASON -->` the commands of a console block are run and must succeed, but the
output stays as it is: that of a training depends on the processor.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "docs" / "examples"
FILE = re.compile(r'```(?:toml|json|yaml|csv|text|python) title="(\S+)"\n(.*?)```', re.DOTALL)
BLOCK = re.compile(
    r"(?:<!-- (?P<note>not run|output kept): [^>]+ -->\n)?"
    r"```(?P<kind>console|python)\n(?P<body>.*?)```",
    re.DOTALL,
)
# what changes the machine, or what it prints is none of ours
SHOWN = re.compile(r"\$ (pip|pipx|uv|git|docker|conda|just|dask|source|export|rm -rf) ")
PLAIN = {"COLUMNS": "80", "NO_COLOR": "1", "CALIBTOOL_TRACEBACK": "", "TERM": "dumb"}
PLAIN |= {"CALIBTOOL_QUIET": "1"}  # what progress says depends on the machine
PLAIN |= {"MPLBACKEND": "agg"}
# reads blocks as lines of JSON, runs them in one namespace, answers each with what went wrong
INTERPRETER = """
import contextlib, io, json, sys, traceback
names = {"__name__": "__main__"}
for line in sys.stdin:
    said = ""
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            exec(compile(json.loads(line), "page", "exec"), names)
    except BaseException:
        said = traceback.format_exc()
    print(json.dumps(said), flush=True)
"""


def with_output(text: str) -> str:
    """Return a page with the output of its commands; RuntimeError if its Python fails."""
    if not BLOCK.search(text):
        return text
    with tempfile.TemporaryDirectory() as name, Session(Path(name)) as session:
        for path, body in FILE.findall(text):
            whole = session.folder / path
            whole.parent.mkdir(parents=True, exist_ok=True)
            whole.write_text(body, encoding="utf-8")
        return BLOCK.sub(session.block, text)


class Session:
    """The folder of one page, and its Python interpreter, started by the first block."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.python: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        shutil.copytree(EXAMPLES, self.folder / "docs" / "examples")
        shutil.copytree(EXAMPLES, self.folder / "demo")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        where: TracebackType | None,
    ) -> None:
        if self.python is not None:
            self.python.communicate()

    def block(self, found: re.Match[str]) -> str:
        """Return a block as the page is to show it."""
        if found["note"] == "not run":
            return found[0]
        if found["kind"] == "python":
            self.run_python(found["body"])
            return found[0]
        commands = re.findall(r"^\$ .*$", found["body"], re.MULTILINE)
        if found["note"] == "output kept":
            script = "\n".join(line[2:] for line in commands if not SHOWN.match(line))
            said = finish(["bash", "-ec", script], self.folder)
            if said.returncode:
                raise RuntimeError(f"a console block fails:\n{found['body']}\n{said.stdout}")
            return found[0]
        lines = []
        for command in commands:
            lines.append(command)
            if not SHOWN.match(command):
                lines.append(run(["bash", "-c", command[2:]], self.folder).rstrip("\n"))
        return "```console\n" + "\n".join(line for line in lines if line) + "\n```"

    def run_python(self, body: str) -> None:
        """Run a block in the interpreter of the page."""
        if self.python is None:
            self.python = subprocess.Popen(
                [sys.executable, "-c", INTERPRETER],
                cwd=self.folder,
                env={**os.environ, **PLAIN},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        assert self.python.stdin is not None
        assert self.python.stdout is not None
        self.python.stdin.write(json.dumps(body) + "\n")
        self.python.stdin.flush()
        said = json.loads(self.python.stdout.readline())
        if said:
            raise RuntimeError(f"a Python block fails:\n{body}\n{said}")


def run(command: list[str], folder: Path) -> str:
    """Return what a command prints, errors included."""
    return finish(command, folder).stdout


def finish(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, as pages show it."""
    return subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, **PLAIN},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
