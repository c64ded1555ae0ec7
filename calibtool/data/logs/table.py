"""The table of formats of logs, in the order in which they are tried."""

from __future__ import annotations

from calibtool.data.logs import decisions
from calibtool.data.logs.log import LogFormat

FORMATS: tuple[LogFormat, ...] = (decisions.FORMAT,)
