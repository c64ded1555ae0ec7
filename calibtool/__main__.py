"""python -m calibtool."""

from calibtool.cli.process import run

run()
