"""The table of formats of logs, in the order in which they are tried."""

from __future__ import annotations

from calibtool.data.logs import (
    decisions,
    helm,
    hle,
    inspect,
    json_document,
    lighteval,
    lm_eval,
    openai,
)
from calibtool.data.logs.log import LogFormat

FORMATS: tuple[LogFormat, ...] = (
    lm_eval.FORMAT,
    lighteval.FORMAT,
    helm.FORMAT,
    hle.FORMAT,
    inspect.FORMAT,
    openai.FORMAT,
    decisions.FORMAT,
    json_document.FORMAT,  # any JSON document: after all that know more of one
)
